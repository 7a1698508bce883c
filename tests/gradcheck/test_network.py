"""check_network: whole networks, right and with planted mistakes."""

import numpy as np
import pytest

from gradcheck import check_network
from gradcheck.suite import check_networks, check_operations
from kernels import OPS
from kernels.activation import ACTIVATIONS
from mlp import MLP
from tests.gradcheck import homework


def network(rng, **options):
    net = MLP(3, 3, [5, 4], "tanh", seed=1, **options)
    net.params = net.params + 0.3 * rng.standard_normal(net.params.shape)
    return net


def spoil(net, change):
    """The network with a backward after which `change(net)` alters a gradient."""
    backward = net.backward

    def spoilt(labels):
        dx = backward(labels)
        change(net)
        return dx

    net.backward = spoilt
    return net


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_right_networks_pass(rng, reduction):
    net = network(rng, reduction=reduction, num_bn_layers=1)
    x, labels = rng.standard_normal((6, 3)), rng.integers(0, 3, 6)
    before = net.params.copy()
    statistics = [np.array(bn.running_mean) for bn in net.bn_layers]
    report = check_network(net, x, labels)
    assert report, str(report)
    assert [f.name for f in report.findings][:2] == ["linear_layers[0].W", "linear_layers[0].b"]
    assert report.findings[-1].name == "input"
    assert not report.notes
    np.testing.assert_array_equal(net.params, before)
    for bn, mean in zip(net.bn_layers, statistics, strict=True):
        np.testing.assert_array_equal(bn.running_mean, mean)


def test_a_checked_network_is_as_it_was(rng):
    """Outputs and gradients after the check are those of a forward and backward before it."""
    net, other = (network(np.random.default_rng(5), num_bn_layers=1) for _ in range(2))
    x, labels = rng.standard_normal((6, 3)), rng.integers(0, 3, 6)
    check_network(net, x, labels)
    other.forward(x)
    other.backward(labels)
    np.testing.assert_array_equal(net.output, other.output)
    np.testing.assert_array_equal(net.grads, other.grads)


CHANGES = {
    "sign of one bias": lambda net: net.linear_layers[1].db.__imul__(-1),
    "one weight off by 1e-4": lambda net: net.linear_layers[2].dW.__setitem__(
        (1, 1), net.linear_layers[2].dW[1, 1] * 1.0001
    ),
    "gamma forgotten": lambda net: net.bn_layers[0].dgamma.__imul__(0),
    "half of a layer": lambda net: net.linear_layers[0].dW.__imul__(0.5),
}


@pytest.mark.parametrize("name", CHANGES)
def test_planted_mistakes_are_found(name, rng):
    net = spoil(network(rng, num_bn_layers=1), CHANGES[name])
    report = check_network(net, rng.standard_normal((6, 3)), rng.integers(0, 3, 6))
    assert report.verdict == "fail"
    assert sum(finding.verdict == "fail" for finding in report.findings) == 1


def test_a_misplaced_mean_is_found(rng):
    """Where the network says how it reduces, a tensor scaled otherwise is wrong."""
    net = spoil(network(rng), lambda net: net.linear_layers[1].db.__imul__(6))
    x, labels = rng.standard_normal((6, 3)), rng.integers(0, 3, 6)
    assert check_network(net, x, labels).verdict == "fail"
    net.__class__ = type("Silent", (MLP,), {"reduction": None})
    net._reduction = "mean"
    report = check_network(net, x, labels)
    assert report  # somebody else's convention, but no single loss has these gradients
    assert "gradients of no single loss" in report.notes[-1]


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "tanh"])
def test_float32_networks_do_not_fail(name):
    for seed in range(2):
        rng = np.random.default_rng(seed)
        net = MLP(20, 4, [32], name, dtype=np.float32, seed=seed)
        x, labels = rng.standard_normal((16, 20)).astype(np.float32), rng.integers(0, 4, 16)
        assert check_network(net, x, labels), name
        coarse = check_network(net, x, labels, twin=net)
        assert coarse.verdict != "fail", str(coarse)


def test_units_at_rest_on_a_kink_do_not_fail():
    """Exclusive or with zero biases: the row of zeros puts every unit on its kink."""
    x, labels = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    report = check_network(MLP(2, 2, [16], "relu", seed=4), x, labels)
    assert report.verdict == "inconclusive"
    assert any("kink" in finding.note for finding in report.findings)


def test_a_foreign_network_is_checked_too(rng):
    weights = [rng.standard_normal((a, b)) for a, b in ((3, 4), (4, 2))]
    draw = iter(weights)
    net = homework.MLP(
        3,
        2,
        [4],
        [homework.Tanh(), homework.Sigmoid()],
        lambda a, b: next(draw),
        lambda b: rng.standard_normal((1, b)),
        homework.SoftmaxCrossEntropy(),
        0.1,
        num_bn_layers=1,
    )
    report = check_network(net, rng.standard_normal((5, 3)), rng.dirichlet(np.ones(2), 5))
    assert report, str(report)
    # All but b before batchnorm, whose gradient is zero, and the input's, which is not returned.
    assert len(report.notes) == 5
    assert all("sum over the batch" in note for note in report.notes)


def test_every_operation_passes():
    reports = list(check_operations())
    assert len(reports) == 2 * sum(op.backward is not None for op in OPS.values())
    assert all(reports), [str(report) for report in reports if not report]


def test_every_network_passes():
    reports = list(check_networks())
    assert len(reports) == 2 * (2 * len(ACTIVATIONS) + 2)
    assert all(reports), [str(report) for report in reports if not report]
