"""check_network: activations that gradcheck has no formula of, between layers of all widths."""

import numpy as np
import pytest

from gradcheck import check_network
from tests.gradcheck import homework


class Elu:
    """z where z > 0, else exp(z) − 1."""

    def forward(self, x):
        self.x = x
        self.y = np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
        return self.y

    def derivative(self):
        return np.where(self.x > 0, 1.0, self.y + 1)


class EluOfTheOutput(Elu):
    def derivative(self):
        return np.where(self.x > 0, 1.0, self.y)


class TwiceTheBias(homework.Linear):
    def backward(self, delta):
        below = super().backward(delta)
        self.db = 2 * self.db
        return below


def check_of(hidden, linear=homework.Linear, widths=(5, 4), net=homework.MLP):
    rng = np.random.default_rng(5)
    made = type("Net", (net,), {"linear": linear})(
        3,
        3,
        list(widths),
        [*(hidden() for _ in widths), homework.Tanh()],
        lambda a, b: rng.standard_normal((a, b)),
        lambda b: rng.standard_normal((1, b)),
        homework.SoftmaxCrossEntropy(),
        0.1,
    )
    return check_network(made, rng.standard_normal((6, 3)), np.eye(3)[rng.integers(0, 3, 6)])


def test_right_ones_pass():
    assert check_of(Elu)


@pytest.mark.parametrize("widths", [(5, 4), (4, 4)])
def test_a_mistake_elsewhere_is_named(widths):
    report = check_of(Elu, TwiceTheBias, widths)
    assert report.causes[0].slug == "scaled-by-constant"
    assert report.notes[0].startswith("first wrong: linear_layers[2].db ")


class NormFirst(homework.MLP):
    """Batchnorm, product, activation; backward leaves out the activations' derivatives."""

    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        self.bn_layers = [homework.BatchNorm(len(layer.W)) for layer in self.linear_layers]

    def forward(self, x):
        for norm, layer, phi in self.layers():
            x = phi.forward(layer.forward(norm.forward(x)))
        self.output = x
        return x

    def backward(self, labels):
        self.criterion.forward(self.output, labels)
        delta = self.criterion.derivative()
        for norm, layer, _ in reversed(list(self.layers())):
            delta = norm.backward(layer.backward(delta))

    def layers(self):
        return zip(self.bn_layers, self.linear_layers, self.activations, strict=True)


def test_batchnorm_before_layers_of_other_widths():
    report = check_of(homework.Tanh, net=NormFirst)
    assert report.causes[0].slug == "activation-derivative-missing"
