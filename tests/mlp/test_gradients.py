"""Gradients that there are, and those that training steps have forgotten."""

import copy
import pickle

import numpy as np
import pytest

from mlp import MLP
from tests.mlp.helpers import data, network


def test_steps_that_keep_no_gradients_leave_none_to_step_along():
    net = MLP(3, 2, [4], seed=1)
    x, labels = np.ones((5, 3)), np.array([0, 1, 0, 1, 1])
    net.forward(x)
    net.backward(labels)
    net.train_step(x, labels)
    assert np.isnan(net.linear_layers[0].dW).all()
    before = net.params.copy()
    with pytest.raises(ValueError, match="MLP.step: got no gradients"):
        net.step()
    np.testing.assert_array_equal(net.params, before)
    for other in (copy.copy(net), pickle.loads(pickle.dumps(net)), net.astype(np.float32)):
        with pytest.raises(ValueError, match="MLP.step: got no gradients"):
            other.step()
    net.zero_grads()
    net.step()
    np.testing.assert_array_equal(net.params, before)
    for give in (net.zero_grads, lambda: setattr(net, "grads", np.ones(net.grads.size))):
        give()
        net.train_step(x, labels)
        assert np.isnan(net.linear_layers[0].dW).all()
        with pytest.raises(ValueError, match="MLP.step: got no gradients"):
            net.step()
    before = net.params.copy()
    net.forward(x)
    net.backward(labels)
    assert np.isfinite(net.grads).all()
    net.step()
    assert (net.params != before).any()


def test_gradients_are_forgotten_once():
    """Not at every step, which with target rows would be a pass over all parameters each time."""
    net = MLP(3, 2, [4], seed=1)
    x, targets = np.ones((5, 3)), np.full((5, 2), 0.5)
    net.train_step(x, targets)
    net._memory[net._plan.gradients_at] = 7  # unlike an assignment, this tells nobody
    net.train_step(x, targets)
    assert net._memory[net._plan.gradients_at] == 7
    assert np.isnan(net.grads).all()  # where somebody looks


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_gradient_assigned_to_a_layer_is_forgotten_by_the_next_step(momentum):
    """Also where batches have one shape, whose steps prepare nothing."""
    net, (x, labels) = network(momentum=momentum), data()
    net.train_step(x, labels)
    for layer, name in ((net.linear_layers[1], "dW"), (net.bn_layers[0], "dbeta")):
        setattr(layer, name, np.ones(getattr(layer, name).shape))
        assert (getattr(layer, name) == 1).all()
        net.train_step(x, labels)
        assert np.isnan(getattr(layer, name)).all()
        assert np.isnan(net.grads).all()


def test_a_step_wants_every_gradient():
    """Where training steps have forgotten them, one that is given is not enough."""
    net, (x, labels) = network(momentum=0.0), data()
    net.train_step(x, labels)
    net.linear_layers[0].dW = np.ones((4, 6))
    before = net.params.copy()
    for other in (net, copy.copy(net), pickle.loads(pickle.dumps(net))):
        with pytest.raises(ValueError, match="MLP.step: got only 1 of 8 gradients"):
            other.step()
        np.testing.assert_array_equal(other.params, before)
    for layer in (*net.linear_layers, *net.bn_layers):
        for name in ("dW", "db") if hasattr(layer, "W") else ("dgamma", "dbeta"):
            setattr(layer, name, np.ones(getattr(layer, name).shape))
    net.step()
    np.testing.assert_allclose(net.params, before - 0.05, rtol=1e-14)


def test_a_gradient_is_no_parameter():
    """Assigning one leaves the activations what they are: backward may follow."""
    net, (x, labels) = network(), data()
    net.forward(x)
    expected = net.backward(labels)
    net.forward(x)
    net.linear_layers[0].dW = np.zeros((4, 6))
    np.testing.assert_array_equal(net.backward(labels), expected)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_compiled_steps_are_seen_by_the_network(momentum):
    """They change parameters without a call of any of its methods."""
    net, (x, labels) = network(momentum=momentum), data()
    train_step, params = net.jit_train_step(len(x))
    net.forward(x)
    net.backward(labels)
    net.forward(x)
    train_step(params, x, labels)
    with pytest.raises(ValueError, match="MLP.backward: got no activations of the present"):
        net.backward(labels)
    assert np.isnan(net.linear_layers[0].dW).all()
    assert np.isnan(net.grads).all()
    with pytest.raises(ValueError, match="MLP.step: got no gradients"):
        net.step()
    net.forward(x)
    net.backward(labels)
    assert np.isfinite(net.grads).all()
    train_step(params, x, labels)
    twin = copy.copy(net)
    for stale in (net, twin):
        with pytest.raises(ValueError, match="MLP.step: got no gradients"):
            stale.step()
