"""The pytest plugin at work: python -m pytest examples/test_my_layer.py

The fixture `gradcheck` fails a test with the report of its check; the marker fixes the seed.
"""

import numpy as np
import pytest


class Scale:
    """y = x·w"""

    def __init__(self, width):
        self.w = np.full(width, 0.5)

    def forward(self, x, w):
        return x * w

    def backward(self, dy, x, w):
        """dx = dy·w, dw = Σ dy·x over the batch."""
        return dy * w, (dy * x).sum(axis=0)


def test_scale(gradcheck):
    layer = Scale(3)
    x = np.random.default_rng(0).standard_normal((5, 3))
    gradcheck.check(layer.forward, layer.backward, [x, layer.w], names=["x", "w"])


@pytest.mark.gradcheck(seed=3)
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_scale_at_other_sizes(gradcheck, size):
    layer = Scale(3)
    x = size * np.random.default_rng(1).standard_normal((5, 3))
    gradcheck.check(layer.forward, layer.backward, [x, layer.w], names=["x", "w"])


def test_a_loss(gradcheck):
    def loss(z):
        return 0.5 * (z * z).sum()

    gradcheck.check_gradient(loss, lambda z: (z,), [np.linspace(-1, 1, 6)], names=["z"])
