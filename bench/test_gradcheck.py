"""Gradient checks as a whole: the toy, and a network of 101,770 parameters."""

import numpy as np
import pytest

from gradcheck import check_network
from gradcheck.toycheck import run_toy
from mlp import MLP


@pytest.mark.benchmark(group="gradcheck")
def test_toy(benchmark):
    result = run_toy()
    assert result.matched == 180
    benchmark.extra_info.update(numbers=180, dtype="float64", shape={"x": [1, 2]})
    benchmark(run_toy)


@pytest.mark.benchmark(group="gradcheck")
def test_network_784_128_10(benchmark):
    rng = np.random.default_rng(0)
    net = MLP(784, 10, [128], "tanh")
    x, labels = rng.standard_normal((16, 784)), rng.integers(0, 10, 16)
    report = check_network(net, x, labels)
    assert report, str(report)
    benchmark.extra_info.update(
        parameters=net.params.size,
        comparisons=report.checked,
        shape={"x": list(x.shape)},
        bytes=net.params.nbytes,
        dtype="float64",
    )
    benchmark.pedantic(check_network, (net, x, labels), rounds=3)
