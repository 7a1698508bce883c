"""Whole training steps, called from Python: forward, loss, backward and update in one."""

import numpy as np
import pytest

from bench.networks import STEPS, Problem
from bench.peers import ours
from tests.mlp.oracle import Oracle

CASES = ("toy1", "toy3", "rl", "tabular", "mnist")


@pytest.mark.benchmark(group="step")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_step(benchmark, name, dtype):
    problem = Problem(STEPS[name], dtype=dtype, lr=1e-3)
    net, network, x = ours.build(problem), problem.network, problem.x

    oracle = Oracle(net)
    oracle.forward(x.astype(float))
    oracle.backward(np.eye(network.widths[-1])[problem.labels])
    oracle.step()
    net.train_step(x, problem.labels)
    for layer, w in zip(net.linear_layers, oracle.w, strict=True):
        np.testing.assert_allclose(layer.W, w, rtol=0, atol=1e-5 if dtype == "float32" else 1e-12)

    benchmark.extra_info.update(
        widths=network.widths, batch=network.batch, activation=network.activation, dtype=dtype,
        batchnorm=network.batchnorm, shape={"x": list(x.shape)}, flop=network.flop,
        bytes=net.params.nbytes * 3, threads=1,
    )  # fmt: skip
    benchmark(net.train_step, x, problem.labels)
