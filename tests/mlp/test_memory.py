"""Whose memory it is: layers are views, a copy is a network of its own, the caller's stays his."""

import copy
import pickle

import numpy as np
import pytest

from mlp import MLP, LeakyReLU


def test_the_vectors_hold_every_layer(rng):
    net = MLP(3, 2, [4, 5], num_bn_layers=2)
    assert net.params.size == net.grads.size == 3 * 4 + 4 + 4 * 5 + 5 + 5 * 2 + 2 + 2 * (4 + 5)
    assert net.params.ctypes.data % 64 == 0
    for i, layer in enumerate(net.linear_layers):
        layer.W = np.full(layer.W.shape, i + 1.0)
        layer.b = np.full(layer.b.shape, -i - 1.0)
        assert np.shares_memory(layer.W, net.params)
        assert np.shares_memory(layer.dW, net.grads)
    for layer in net.bn_layers:
        layer.gamma = np.full(layer.gamma.shape, 8.0)
        layer.beta = np.full(layer.beta.shape[1], 9.0)
    expected = [1] * 12 + [-1] * 4 + [2] * 20 + [-2] * 5 + [3] * 10 + [-3] * 2
    expected += [8] * 4 + [9] * 4 + [8] * 5 + [9] * 5
    np.testing.assert_array_equal(net.params, expected)
    net.params = np.arange(net.params.size)
    np.testing.assert_array_equal(net.linear_layers[0].W, np.arange(12.0).reshape(3, 4))
    assert not net.grads.any()


def test_views_survive_a_larger_batch(rng):
    net = MLP(3, 2, [4])
    w, dw = net.linear_layers[0].W, net.linear_layers[0].dW
    net.train_step(rng.standard_normal((2, 3)), [0, 1])
    net.train_step(rng.standard_normal((200, 3)), rng.integers(0, 2, 200))
    assert np.shares_memory(w, net.params)
    np.testing.assert_array_equal(w, net.linear_layers[0].W)
    np.testing.assert_array_equal(dw, net.linear_layers[0].dW)


def test_results_are_the_callers_own(rng):
    """What a method returned does not change when the network runs again."""
    net = MLP(3, 2, [4], seed=3)
    x = rng.standard_normal((5, 3))
    first = net.forward(x)
    dx = net.backward([0, 1, 0, 1, 0])
    outputs, gradients = net.layer_outputs, net.layer_gradients
    kept = [a.copy() for a in (first, dx, *outputs, *gradients)]
    net.train_step(rng.standard_normal((5, 3)), [1, 1, 1, 1, 1])
    for now, then in zip((first, dx, *outputs, *gradients), kept, strict=True):
        np.testing.assert_array_equal(now, then)


def test_the_callers_arrays_are_untouched(rng):
    net = MLP(3, 2, [4], num_bn_layers=1)
    x, targets = rng.standard_normal((5, 3)), rng.dirichlet(np.ones(2), 5)
    kept = x.copy(), targets.copy()
    net.forward(x)
    net.backward(targets)
    net.train_step(x, targets)
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(targets, kept[1])
    net.forward(x)
    x[:] = 0  # the caller reuses the array before backward
    again = MLP(3, 2, [4], num_bn_layers=1)
    again.params = net.params
    again.forward(kept[0])
    np.testing.assert_array_equal(net.backward(targets), again.backward(targets))


COPIERS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda net: pickle.loads(pickle.dumps(net)),
}


@pytest.mark.parametrize("copier", COPIERS.values(), ids=list(COPIERS))
def test_a_copy_is_a_network_of_its_own(copier, rng):
    net = MLP(
        3,
        2,
        [4],
        [LeakyReLU(0.3), "tanh"],
        momentum=0.9,
        num_bn_layers=1,
        reduction="sum",
        criterion="mse",
    )
    net.bn_layers[0].alpha = 0.5
    x, y = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    net.train_step(x, y)
    twin = copier(net)
    assert twin.params.ctypes.data % 64 == 0
    before = net.params.copy()
    losses = [twin.train_step(x, y) for _ in range(3)]
    np.testing.assert_array_equal(net.params, before)
    assert losses == [net.train_step(x, y) for _ in range(3)]
    np.testing.assert_array_equal(twin._memory, net._memory)
    assert np.shares_memory(twin.linear_layers[0].W, twin.params)
    assert not np.shares_memory(twin.linear_layers[0].W, net.params)
    net.eval()
    assert not copier(net).train_mode


def test_a_subclass_stays_one_when_copied():
    class Own(MLP):
        def __init__(self):
            super().__init__(2, 2)

    assert type(copy.deepcopy(Own())) is Own


def test_another_dtype(rng):
    net = MLP(3, 2, [4], num_bn_layers=1, dtype=np.float32)
    x, labels = rng.standard_normal((6, 3)).astype(np.float32), rng.integers(0, 2, 6)
    net.train_step(x, labels)
    wide = net.astype(np.float64)
    assert wide.dtype == np.float64
    np.testing.assert_array_equal(wide.params, net.params)
    np.testing.assert_array_equal(wide.bn_layers[0].running_var, net.bn_layers[0].running_var)
    np.testing.assert_allclose(wide.forward(x.astype(float)), net.forward(x), atol=1e-5)
    np.testing.assert_array_equal(wide.astype("float32").params, net.params)


def test_two_networks_do_not_meet(rng):
    x, labels = rng.standard_normal((6, 3)), rng.integers(0, 2, 6)
    alone = MLP(3, 2, [4], "tanh", seed=1)
    for _ in range(3):
        alone.train_step(x, labels)
    together, other = MLP(3, 2, [4], "tanh", seed=1), MLP(3, 2, [40, 9], "relu", seed=2)
    for _ in range(3):
        together.forward(x)
        other.train_step(x, labels)
        together.backward(labels)
        together.step()
    np.testing.assert_array_equal(alone.params, together.params)
