"""Layers used alone, as the course's homework uses them."""

import numpy as np
import pytest

from mlp import MSE, Activation, BatchNorm, Linear, ReLU, Sigmoid, SoftmaxCrossEntropy, he, xavier
from mlp.activations import ACTIVATION_CODES


def test_linear(rng):
    x, delta, w = (rng.standard_normal(s) for s in ((4, 3), (4, 5), (3, 5)))
    layer = Linear(3, 5, lambda i, o: w, lambda o: np.full((1, o), 2.0))
    np.testing.assert_allclose(layer(x), x @ w + 2)
    np.testing.assert_allclose(layer.backward(delta), delta @ w.T)
    np.testing.assert_allclose(layer.dx, delta @ w.T)
    np.testing.assert_allclose(layer.dW, x.T @ delta)
    np.testing.assert_allclose(layer.db, delta.sum(axis=0, keepdims=True))
    assert layer.b.shape == layer.momentum_b.shape == (1, 5)
    assert layer.momentum_W.shape == (3, 5)


def test_batchnorm(rng):
    x = rng.standard_normal((6, 3)) * 3 + 1
    layer = BatchNorm(3, alpha=0.8)
    layer.gamma = gamma = rng.standard_normal((1, 3))
    xhat = (x - x.mean(axis=0)) / x.std(axis=0)
    np.testing.assert_allclose(layer(x), gamma * xhat, atol=1e-7)
    np.testing.assert_allclose(layer.running_mean, 0.2 * x.mean(axis=0, keepdims=True))
    np.testing.assert_allclose(layer.running_var, 0.8 + 0.2 * x.var(axis=0, keepdims=True))
    delta = rng.standard_normal((6, 3))
    dx = layer.backward(delta)
    np.testing.assert_allclose(dx.sum(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose((dx * xhat).sum(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(layer.dbeta[0], delta.sum(axis=0))
    np.testing.assert_allclose(layer.dgamma[0], (delta * xhat).sum(axis=0), atol=1e-7)
    mean, var = np.array(layer.running_mean), np.array(layer.running_var)
    np.testing.assert_allclose(
        layer.forward(x, eval=True), gamma * (x - mean) / np.sqrt(var + 1e-8)
    )
    np.testing.assert_array_equal(layer.running_mean, mean)
    np.testing.assert_allclose(layer.backward(delta), delta * gamma / np.sqrt(var + 1e-8))


def test_an_empty_batch_moves_no_average():
    layer = BatchNorm(3)
    assert layer(np.empty((0, 3))).shape == (0, 3)
    assert (layer.running_var == 1).all()


@pytest.mark.parametrize("name", ACTIVATION_CODES)
def test_activations_keep_their_output(name, rng):
    x = rng.standard_normal((3, 4))
    activation = Activation(name)
    assert activation.state is None
    y = activation(x)
    np.testing.assert_array_equal(activation.state, y)
    h = 1e-6
    slope = (Activation(name)(x + h) - Activation(name)(x - h)) / (2 * h)
    np.testing.assert_allclose(activation.derivative(), slope, atol=1e-8)


def test_criteria(rng):
    z, y = rng.standard_normal((4, 3)), rng.dirichlet(np.ones(3), 4)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    criterion = SoftmaxCrossEntropy()
    np.testing.assert_allclose(criterion(z, y), -(y * np.log(p)).sum(axis=1))
    np.testing.assert_allclose(criterion.derivative(), p - y, atol=1e-15)
    np.testing.assert_allclose(criterion(z, [0, 1, 2, 0]), -np.log(p[range(4), [0, 1, 2, 0]]))
    np.testing.assert_allclose(criterion.derivative(), p - np.eye(3)[[0, 1, 2, 0]], atol=1e-15)
    squares = MSE()
    np.testing.assert_allclose(squares(z, y), ((z - y) ** 2).mean(axis=1))
    np.testing.assert_allclose(squares.derivative(), 2 * (z - y) / 3)


def test_single_instances_do_not_share(rng):
    first, second = Sigmoid(), Sigmoid()
    first(rng.standard_normal(3))
    assert second.state is None
    assert ReLU().name == "relu"


def test_initializers_have_their_variance(rng):
    w = he(rng, 400, 300)
    assert w.shape == (400, 300)
    assert w.var() == pytest.approx(2 / 400, rel=0.02)
    assert xavier(rng, 400, 300).var() == pytest.approx(2 / 700, rel=0.02)
    assert abs(w.mean()) < 1e-3
