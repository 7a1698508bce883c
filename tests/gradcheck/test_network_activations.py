"""check_network: activations of all kinds, listed or not, between layers of all widths."""

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


def check_of(
    hidden,
    linear=homework.Linear,
    widths=(5, 4),
    net=homework.MLP,
    criterion=homework.SoftmaxCrossEntropy,
    scale=1.0,
):
    rng = np.random.default_rng(5)
    made = type("Net", (net,), {"linear": linear})(
        3,
        3,
        list(widths),
        [*(hidden() for _ in widths), homework.Tanh()],
        lambda a, b: scale * rng.standard_normal((a, b)),
        lambda b: rng.standard_normal((1, b)),
        criterion(),
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


class Unlisted(homework.MLP):
    """A network that keeps its activations elsewhere."""

    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        self.phis = self.activations
        del self.activations

    def forward(self, x):
        for layer, phi in zip(self.linear_layers, self.phis, strict=True):
            x = phi.forward(layer.forward(x))
        self.output = x
        return x

    def backward(self, labels):
        self.criterion.forward(self.output, labels)
        delta = self.criterion.derivative()
        for layer, phi in zip(self.linear_layers[::-1], self.phis[::-1], strict=True):
            delta = layer.backward(delta * phi.derivative())


class Leaky(Elu):
    """z where z > 0, else z/5; the derivative is relu's."""

    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, 0.2 * x)

    def derivative(self):
        return np.where(self.x > 0, 1.0, 0.0)


class Cube(Elu):
    """No usual activation."""

    def forward(self, x):
        self.x = x
        return x**3 / 10

    def derivative(self):
        return self.x**2 / 10


@pytest.mark.parametrize(
    ("hidden", "slug"),
    [(EluOfTheOutput, "activation-derivative-formula"), (Leaky, "wrong-activation-derivative")],
)
@pytest.mark.parametrize("net", [homework.MLP, Unlisted])
def test_derivatives_of_usual_activations_that_are_listed_or_not(hidden, slug, net):
    report = check_of(hidden, net=net)
    assert report.causes[0].slug == slug
    assert report.notes[0].startswith("first wrong: activations[1].derivative ")


def test_what_a_network_has_to_have_for_causes():
    report = check_of(Cube, net=Unlisted)
    assert report.verdict == "fail"
    assert any("net.activations has no list" in note for note in report.notes)


class ClippedLinear(homework.Linear):
    """The gradient that comes in is clipped, for dx alone."""

    def backward(self, delta):
        super().backward(delta)
        return np.clip(delta, -0.07, 0.07) @ self.W.T


class SignLinear(homework.Linear):
    def backward(self, delta):
        return np.sign(super().backward(delta))


class SigmoidTwice(homework.MLP):
    def backward(self, labels):
        self.criterion.forward(self.output, labels)
        delta = self.criterion.derivative() * self.criterion.p * (1 - self.criterion.p)
        for layer, phi in zip(self.linear_layers[::-1], self.activations[::-1], strict=True):
            delta = layer.backward(delta * phi.derivative())


@pytest.mark.parametrize(
    ("options", "slug"),
    [
        ({"linear": ClippedLinear}, "cotangent-clipped"),
        ({"linear": SignLinear}, "cotangent-nonlinear"),
        ({"net": SigmoidTwice}, "derivative-taken-twice"),
    ],
)
def test_what_is_done_to_the_gradient_on_its_way(options, slug):
    report = check_of(homework.Tanh, **options)
    assert report.causes[0].slug == slug


class TransposedLinear(homework.Linear):
    def backward(self, delta):
        below = super().backward(delta)
        self.dW = self.dW.T
        return below


def test_the_sentence_names_the_array():
    report = check_of(homework.Tanh, TransposedLinear)
    assert report.causes[0].slug == "transposed"
    assert report.causes[0].sentence.startswith("dW is the transpose of the right one")


class Fussy(homework.Tanh):
    """No usual activation, and one that refuses what a network may well give it."""

    def forward(self, x):
        if x[0, 0] > 2:
            raise ValueError("too large")
        self.state = np.tanh(x) + x / 100
        return self.state


def test_an_activation_that_refuses_other_values_costs_the_causes_alone():
    report = check_of(Fussy, scale=0.1)
    assert report.verdict == "fail"
    assert all(not finding.causes for finding in report.findings)
    assert sum("no places and causes are told" in note for note in report.notes) == 1


@pytest.mark.parametrize("calls", [6, 20])
def test_a_criterion_that_raises_on_the_way_is_told(calls):
    class Tired:
        """A squared error that answers so many times."""

        count = 0

        def forward(self, x, y):
            self.count += 1
            if self.count > calls:
                raise ValueError("no more")
            self.off = x - y
            return (self.off**2).sum(axis=1)

        def derivative(self):
            return 2 * self.off

    report = check_of(homework.Tanh, criterion=Tired)
    assert report.verdict != "pass"
    assert any("no more" in note for note in report.notes)
