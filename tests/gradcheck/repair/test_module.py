"""The backward of a layer, whose gradients are left in attributes."""

import numpy as np

from gradcheck import check_module


class Gate:
    """tanh(x·W) ⊙ σ(x·V)"""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.W, self.V = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
        self.dW, self.dV = np.zeros((3, 4)), np.zeros((3, 4))

    def forward(self, x):
        self.x = x
        self.a = np.tanh(x @ self.W)
        self.g = 1 / (1 + np.exp(-x @ self.V))
        return self.a * self.g

    def backward(self, dy):
        dz = dy * self.g * (1 - self.a**2)
        dg = dy * self.a * self.g * (1 - self.g)
        self.dW = self.x.T @ dz
        self.dV = self.x.T @ dg
        return dz @ self.W.T + dg @ self.V.T


class WithoutFactor(Gate):
    def backward(self, dy):
        dz = dy * self.g * (1 - self.a**2)
        dg = dy * self.a * (1 - self.g)
        self.dW = self.x.T @ dz
        self.dV = self.x.T @ dg
        return dz @ self.W.T + dg @ self.V.T


class WithoutPath(Gate):
    def backward(self, dy):
        dz = dy * self.g * (1 - self.a**2)
        dg = dy * self.a * self.g * (1 - self.g)
        self.dW = self.x.T @ dz
        self.dV = self.x.T @ dg
        return dz @ self.W.T


class TwoMistakes(Gate):
    def backward(self, dy):
        dz = dy * self.g * (1 - self.a**2)
        dg = dy * self.a * self.g * (1 - self.g)
        self.dW = self.x.T @ dz
        self.dV = self.x.T @ dz
        return dz @ self.W.T + dg @ self.W.T


def report_of(layer):
    return check_module(layer, np.random.default_rng(1).standard_normal((5, 3)))


def fixes_of(report):
    return {f.name: f.causes[0].fix.after for f in report.findings if f.verdict == "fail"}


def test_a_right_layer_passes():
    assert report_of(Gate())


def test_a_factor_of_an_attribute():
    report = report_of(WithoutFactor())
    after = "dg = dy * self.a * (1 - self.g) * self.g"
    assert fixes_of(report) == {"x": after, "V": after}
    assert report.causes[0].slug == "chain-rule-factor-missing"


def test_a_second_path():
    report = report_of(WithoutPath())
    assert fixes_of(report) == {"x": "return dz @ self.W.T + dg @ self.V.T"}
    assert report.causes[0].slug == "path-missing"


def test_two_mistakes_are_mended_one_by_one():
    report = report_of(TwoMistakes())
    assert fixes_of(report) == {
        "x": "return dz @ self.W.T + dg @ self.V.T",
        "V": "self.dV = self.x.T @ dg",
    }
    assert "wrong-weights" in {cause.slug for cause in report.causes}


def test_the_layer_is_left_as_it_was():
    layer = WithoutPath()
    kept = {name: value.copy() for name, value in vars(layer).items()}
    method = WithoutPath.backward
    report_of(layer)
    assert WithoutPath.backward is method
    assert set(vars(layer)) == set(kept)
    for name, value in kept.items():
        np.testing.assert_array_equal(getattr(layer, name), value)
