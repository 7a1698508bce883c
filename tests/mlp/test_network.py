"""The network against an independent NumPy implementation of the course's formulas."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mlp import MLP, Identity, LeakyReLU, ReLU, SoftmaxCrossEntropy, Tanh
from tests.mlp.oracle import Oracle

RTOL = {np.float64: 1e-12, np.float32: 2e-4}


def problem(rng, net, n, labels="classes"):
    x = rng.standard_normal((n, net.linear_layers[0].W.shape[0])).astype(net.dtype)
    m = net.linear_layers[-1].W.shape[1]
    classes = rng.integers(0, m, n)
    one_hot = np.eye(m)[classes]
    if labels == "classes":
        return x, classes, one_hot
    targets = one_hot if labels == "one-hot" else rng.dirichlet(np.ones(m), n)
    return x, targets.astype(net.dtype), targets.astype(net.dtype).astype(np.float64)


def shake(net, rng):
    """Random biases, gammas and betas: what starts at 0 or 1 hides mistakes."""
    net.params = net.params + (0.2 * rng.standard_normal(net.params.shape)).astype(net.dtype)


def assert_same(net, oracle, rtol, *, has_gradients=True):
    def near(got, expected):
        scale = max(float(abs(expected).max(initial=0)), 1e-3)
        np.testing.assert_allclose(got, expected, rtol=0, atol=rtol * scale)

    for i, layer in enumerate(net.linear_layers):
        near(layer.W, oracle.w[i])
        near(layer.b[0], oracle.b[i])
        if has_gradients:
            near(layer.dW, oracle.dw[i])
            near(layer.db[0], oracle.db[i])
            near(layer.dx, oracle.dx[i])
        else:
            assert layer.dx is None
    for i, layer in enumerate(net.bn_layers):
        near(layer.gamma[0], oracle.gamma[i])
        near(layer.beta[0], oracle.beta[i])
        if has_gradients:
            near(layer.dgamma[0], oracle.dgamma[i])
            near(layer.dbeta[0], oracle.dbeta[i])
        near(layer.running_mean[0], oracle.running[i][0])
        near(layer.running_var[0], oracle.running[i][1])
    for got, expected in zip(net.layer_outputs, oracle.x[1:], strict=True):
        near(got, expected)
    if has_gradients:
        for got, expected in zip(net.layer_gradients, oracle.dy, strict=True):
            near(got, expected)


CASES = list(itertools.product(
    ["relu", "sigmoid", "tanh", "identity"], [0, 1, 3], ["classes", "one-hot", "soft", "mse"]
))  # fmt: skip


@pytest.mark.parametrize(("name", "batchnorm", "labels"), CASES)
def test_steps_agree_with_numpy(name, batchnorm, labels, dtype, rng):
    """Forward, backward and four updates, one method at a time."""
    net = MLP(
        4,
        3,
        [6, 5],
        name,
        criterion="mse" if labels == "mse" else SoftmaxCrossEntropy(),
        lr=0.1,
        momentum=0.9,
        num_bn_layers=batchnorm,
        dtype=dtype,
        seed=1,
    )
    shake(net, rng)
    oracle = Oracle(net)
    for n in (7, 3, 12, 7):
        x, given_labels, targets = problem(rng, net, n, labels)
        net.zero_grads()
        output = net.forward(x)
        np.testing.assert_allclose(
            output, oracle.forward(x.astype(float)), rtol=RTOL[dtype], atol=RTOL[dtype]
        )
        assert output.dtype == dtype
        dx = net.backward(given_labels)
        np.testing.assert_allclose(dx, oracle.backward(targets), atol=RTOL[dtype])
        assert net.total_loss(given_labels) == pytest.approx(
            oracle.losses(targets).sum(), rel=10 * RTOL[dtype]
        )
        assert net.error(given_labels) == (output.argmax(1) != targets.argmax(1)).sum()
        net.step()
        oracle.step()
        assert_same(net, oracle, 10 * RTOL[dtype])


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("labels", ["classes", "soft"])
def test_train_step_is_the_same_in_one_call(reduction, labels, dtype, rng):
    net = MLP(
        4,
        3,
        [6, 5],
        "tanh",
        lr=0.05,
        momentum=0.5,
        num_bn_layers=2,
        dtype=dtype,
        reduction=reduction,
    )
    shake(net, rng)
    oracle = Oracle(net)
    for n in (5, 9, 2):
        x, given_labels, targets = problem(rng, net, n, labels)
        loss = net.train_step(x, given_labels)
        oracle.forward(x.astype(float))
        losses = oracle.losses(targets)
        expected = losses.mean() if reduction == "mean" else losses.sum()
        assert loss == pytest.approx(expected, rel=10 * RTOL[dtype])
        oracle.backward(targets)
        oracle.step()
        assert_same(net, oracle, 10 * RTOL[dtype], has_gradients=False)


def test_evaluation_uses_running_statistics(dtype, rng):
    net = MLP(4, 3, [6], "relu", num_bn_layers=2, dtype=dtype)
    shake(net, rng)
    oracle = Oracle(net)
    for n in (8, 8):
        x, labels, targets = problem(rng, net, n)
        net.train_step(x, labels)
        oracle.forward(x.astype(float))
        oracle.backward(targets)
        oracle.step()
    net.eval()
    assert not net.train_mode
    before = [np.array(bn.running_mean) for bn in net.bn_layers]
    for n in (1, 5):
        x, labels, targets = problem(rng, net, n)
        output = net(x)
        np.testing.assert_allclose(
            output, oracle.forward(x.astype(float), training=False), atol=RTOL[dtype]
        )
        dx = net.backward(labels)
        np.testing.assert_allclose(dx, oracle.backward(targets, training=False), atol=RTOL[dtype])
        assert_same(net, oracle, 10 * RTOL[dtype])
    for bn, mean in zip(net.bn_layers, before, strict=True):
        np.testing.assert_array_equal(bn.running_mean, mean)
    net.train()
    assert net.train_mode


@settings(max_examples=40, deadline=None)
@given(
    widths=st.lists(st.integers(1, 9), min_size=2, max_size=6),
    n=st.integers(2, 17),
    batchnorm=st.integers(0, 5),
    name=st.sampled_from(["relu", "sigmoid", "tanh"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_architecture(widths, n, batchnorm, name, seed):
    rng = np.random.default_rng(seed)
    first, *hiddens, last = widths
    net = MLP(first, last, hiddens, name, num_bn_layers=min(batchnorm, len(hiddens) + 1), seed=seed)
    shake(net, rng)
    oracle = Oracle(net)
    x, labels, targets = problem(rng, net, n)
    net.train_step(x, labels)
    oracle.forward(x)
    oracle.backward(targets)
    oracle.step()
    # Nearly constant columns make batchnorm amplify rounding by 1/σ.
    amplification = max([1.0, *(float(r.max()) for r in oracle.rstd)])
    assume(amplification < 30)
    assert_same(net, oracle, 1e-11 * amplification**2, has_gradients=False)


def test_an_empty_batch_has_no_loss_and_no_gradient(dtype):
    net = MLP(3, 2, [4], num_bn_layers=1, dtype=dtype)
    before = net.params.copy()
    statistics = np.array(net.bn_layers[0].running_var)
    assert net.forward(np.empty((0, 3), dtype)).shape == (0, 2)
    assert net.backward(np.empty(0, int)).shape == (0, 3)
    assert not net.grads.any()
    assert net.total_loss([]) == 0
    assert net.error([]) == 0
    assert net.train_step(np.empty((0, 3), dtype), np.empty((0, 2), dtype)) == 0
    np.testing.assert_array_equal(net.params, before)
    np.testing.assert_array_equal(net.bn_layers[0].running_var, statistics)


def test_default_initialisation_follows_the_activation():
    for name, variance in (("relu", 2 / 300), ("silu", 2 / 300), ("tanh", 2 / 500)):
        w = MLP(300, 2, [200], name).linear_layers[0].W
        assert w.var() == pytest.approx(variance, rel=0.05)
    assert MLP(300, 200).linear_layers[0].W.var() == pytest.approx(2 / 500, rel=0.05)


def test_a_row_with_nan_is_a_mistake():
    net = MLP(2, 2)
    net.forward(np.array([[np.nan, 0.0], [1.0, 1.0]]))
    labels = np.array([0, net.output[1].argmax()])
    assert net.error(labels) == 1


def test_a_layer_used_alone_stays_in_its_network(rng):
    net = MLP(2, 3, [4])
    layer = net.linear_layers[1]
    layer.forward(np.ones((2, 4)))
    layer.backward(np.ones((2, 3)))
    net.activations[0].forward(np.ones((7, 1)))
    net.forward(np.ones((5, 2)))
    assert net.activations[0].state.shape == (5, 4)
    net.backward([0, 1, 2, 0, 1])
    assert layer.dx.shape == (5, 4)


def test_settings_of_layers_reach_the_engine(rng):
    net = MLP(2, 3, [4], num_bn_layers=1)
    x = rng.standard_normal((6, 2))
    net.bn_layers[0].alpha = 0.25
    net.forward(x)
    z = x @ net.linear_layers[0].W
    np.testing.assert_allclose(net.bn_layers[0].running_mean[0], 0.75 * z.mean(axis=0))
    net.bn_layers[0].eps = 3.0
    net.forward(x)
    expected = np.maximum((z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 3), 0)
    np.testing.assert_allclose(net.layer_outputs[0], expected)
    with pytest.raises(TypeError):
        net.activations[0].settings["slope"] = 1.0


def test_assigned_parameters_want_a_new_forward(rng):
    net = MLP(2, 3, [4])
    for assign in (
        lambda: setattr(net, "params", np.zeros(net.params.size)),
        lambda: setattr(net.linear_layers[0], "W", np.zeros((2, 4))),
    ):
        net.forward(np.ones((5, 2)))
        assign()
        with pytest.raises(ValueError, match="expected a forward before"):
            net.backward([0, 1, 2, 0, 1])


def test_without_momentum_there_is_no_velocity(rng):
    net = MLP(2, 3, lr=0.1, momentum=0.5)
    layer, batch = net.linear_layers[0], (rng.standard_normal((5, 2)), [0, 1, 2, 0, 1])
    net.train_step(*batch)
    assert layer.momentum_W.any()
    net.momentum = 0
    net.train_step(*batch)
    assert not layer.momentum_W.any()
    net.momentum = 0.5
    net.forward(batch[0])
    net.backward(batch[1])
    gradient = layer.dW.copy()
    net.train_step(*batch)
    np.testing.assert_array_equal(layer.momentum_W, -0.1 * gradient)


def test_one_seed_one_network():
    first, second, third = (MLP(3, 2, [4], seed=s).params for s in (5, 5, 6))
    np.testing.assert_array_equal(first, second)
    assert (first != third).any()


def test_activations_as_given():
    net = MLP(3, 2, [4], ["relu", Tanh()])
    assert [a.name for a in net.activations] == ["relu", "tanh"]
    net = MLP(3, 2, [4, 4], "tanh")
    assert [a.name for a in net.activations] == ["tanh", "tanh", "identity"]
    one = ReLU()
    net = MLP(3, 2, [4], [one, one])
    assert len({id(a) for a in net.activations} | {id(one)}) == 3
    net = MLP(3, 2, [], [Identity()])
    assert net.nlayers == 1


def test_an_activations_setting_reaches_the_engine(rng):
    x = rng.standard_normal((5, 3))
    net = MLP(3, 4, [], [LeakyReLU(0.5)])
    z = x @ net.linear_layers[0].W
    np.testing.assert_allclose(net.forward(x), np.where(z > 0, z, 0.5 * z))
    np.testing.assert_allclose(net.activations[0].derivative(), np.where(z > 0, 1, 0.5))
    np.testing.assert_array_equal(net.activations[0].state, net.output)


def test_a_network_says_what_it_is():
    assert repr(MLP(2, 2, [3, 3], num_bn_layers=1)) == (
        "<MLP 2-3-3-2, relu, relu, identity, 1 batchnorm, float64, 35 parameters>"
    )


def test_training_learns(dtype):
    """XOR: what one layer cannot do, and two can."""
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype)
    labels = np.array([0, 1, 1, 0])
    net = MLP(2, 2, [16], "tanh", lr=0.5, momentum=0.9, dtype=dtype, seed=4)
    losses = [net.train_step(x, labels) for _ in range(300)]
    assert losses[-1] < 0.01 < losses[0]
    net.forward(x)
    assert net.error(labels) == 0
