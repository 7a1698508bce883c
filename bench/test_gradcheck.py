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


@pytest.mark.benchmark(group="gradcheck")
def test_network_784_128_10_by_torch(benchmark):
    """The same network by torch.autograd.gradcheck, slow mode: entry by entry."""
    if benchmark.disabled:
        pytest.skip("takes most of a minute: only where it is timed")
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    net = MLP(784, 10, [128], "tanh")
    x = torch.tensor(rng.standard_normal((16, 784)))
    labels = torch.tensor(rng.integers(0, 10, 16))
    arrays = [np.array(a) for layer in net.linear_layers for a in (layer.W, layer.b)]
    parameters = [torch.tensor(a, requires_grad=True) for a in arrays]

    def loss(w1, b1, w2, b2):
        z = torch.tanh(x @ w1 + b1) @ w2 + b2
        return torch.nn.functional.cross_entropy(z, labels)

    benchmark.extra_info.update(parameters=net.params.size, dtype="float64")
    assert benchmark.pedantic(torch.autograd.gradcheck, (loss, parameters), rounds=1)
