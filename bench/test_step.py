"""Whole training steps, called from Python: forward, loss, backward and update in one."""

from dataclasses import dataclass

import numpy as np
import pytest

from mlp import MLP
from tests.mlp.oracle import Oracle


@dataclass(frozen=True)
class Step:
    widths: tuple[int, ...]
    batch: int
    activation: str
    batchnorm: bool = False


STEPS = {
    "toy1": Step((2, 3, 3, 2), 1, "relu"),
    "toy3": Step((2, 3, 3, 2), 3, "relu"),
    "rl": Step((8, 64, 64, 4), 32, "tanh"),
    "tabular": Step((32, 128, 128, 2), 64, "relu", batchnorm=True),
    "mnist": Step((784, 512, 256, 10), 128, "relu"),
}


def flop(step: Step) -> int:
    """Of the products alone: 2nkm forward, twice that backward."""
    pairs = zip(step.widths, step.widths[1:], strict=False)
    return sum(6 * step.batch * k * m for k, m in pairs)


@pytest.mark.benchmark(group="step")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", STEPS)
def test_step(benchmark, name, dtype):
    step = STEPS[name]
    first, *hiddens, last = step.widths
    net = MLP(
        first,
        last,
        hiddens,
        step.activation,
        lr=1e-3,
        dtype=dtype,
        num_bn_layers=len(hiddens) if step.batchnorm else 0,
    )
    rng = np.random.default_rng(0)
    x = rng.standard_normal((step.batch, first)).astype(dtype)
    labels = rng.integers(0, last, step.batch)

    oracle = Oracle(net)
    oracle.forward(x.astype(float))
    oracle.backward(np.eye(last)[labels])
    oracle.step()
    net.train_step(x, labels)
    for layer, w in zip(net.linear_layers, oracle.w, strict=True):
        np.testing.assert_allclose(layer.W, w, rtol=0, atol=1e-5 if dtype == "float32" else 1e-12)

    benchmark.extra_info.update(
        widths=step.widths, batch=step.batch, activation=step.activation, dtype=dtype,
        batchnorm=step.batchnorm, shape={"x": list(x.shape)}, flop=flop(step),
        bytes=net.params.nbytes * 3, threads=1,
    )  # fmt: skip
    benchmark(net.train_step, x, labels)
