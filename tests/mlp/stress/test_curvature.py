"""The curvature against the Hessian of least squares."""

import numpy as np
import pytest

from mlp import MLP
from mlp.stress.curvature import hessian_product, largest_curvature, largest_stable_lr


def test_curvature_of_least_squares(rng):
    """The loss is the mean of (z - y)²/2 or (z - y)², whose Hessian is c·XᵀX/N: by autocheck."""
    x, y = rng.standard_normal((20, 5)), rng.standard_normal((20, 1))
    net = MLP(5, 1, criterion="mse")
    with_bias = np.hstack([x, np.ones((20, 1))])
    net.forward(x)
    net.backward(y)
    residual = net.output - y
    c = net.grads[0] / (with_bias.T @ residual)[0, 0]
    expected = c * np.linalg.eigvalsh(with_bias.T @ with_bias)[-1]
    assert largest_curvature(net, x, y) == pytest.approx(expected, rel=1e-6)
    assert largest_stable_lr(net, x, y) == pytest.approx(2 / expected, rel=1e-6)


def test_largest_curvature_is_not_the_most_negative(rng):
    """Of a network whose whole Hessian is computed column by column."""
    x, y = rng.standard_normal((6, 2)), rng.integers(0, 2, 6)
    net = MLP(2, 2, [3], "tanh", seed=2)
    product = hessian_product(net, x, y)
    hessian = np.array([product(v) for v in np.eye(len(net.params))])
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-7)
    expected = np.linalg.eigvalsh((hessian + hessian.T) / 2)[-1]
    assert largest_curvature(net, x, y) == pytest.approx(expected, rel=1e-5)
