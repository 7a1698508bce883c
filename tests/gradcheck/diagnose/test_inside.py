"""Slips inside cells and gates, where an activation is followed by more."""

import numpy as np
import pytest

from gradcheck import check, check_gradient
from tests.gradcheck.diagnose.drawing import RNG, draw


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def first(report, name):
    return next(f for f in report.findings if f.name == name).causes[0].slug


def recurrent(x, h, u, w, b):
    return np.tanh(x @ u + h @ w + b)


def recurrent_backward(slope, weights):
    def backward(dy, x, h, u, w, b):
        z = x @ u + h @ w + b
        dz = dy * slope(z, np.tanh(z))
        return dz @ u.T, dz @ weights(u, w), x.T @ dz, h.T @ dz, dz.sum(axis=0)

    return backward


RECURRENT = {
    "no derivative": (lambda z, y: 1.0, lambda u, w: w.T, "w", "activation-derivative-missing"),
    "at the output": (
        lambda z, y: 1 - np.tanh(y) ** 2,
        lambda u, w: w.T,
        "w",
        "activation-derivative-at-output",
    ),
    "the output's formula": (
        lambda z, y: 1 - z * z,
        lambda u, w: w.T,
        "w",
        "output-formula-at-input",
    ),
    "not transposed": (lambda z, y: 1 - y * y, lambda u, w: w, "h", "wrong-weights"),
    "of the other input": (lambda z, y: 1 - y * y, lambda u, w: u.T, "h", "wrong-weights"),
}


@pytest.mark.parametrize("mistake", RECURRENT)
def test_a_recurrent_step(mistake):
    slope, weights, name, slug = RECURRENT[mistake]
    inputs = [draw(6, 4), draw(6, 4), draw(4, 4) / 2, draw(4, 4) / 2, draw(4)]
    backward = recurrent_backward(slope, weights)
    report = check(recurrent, backward, inputs, ("x", "h", "u", "w", "b"))
    assert first(report, name) == slug, str(report)


def gated(x, h, wz, wc):
    z = sigmoid(x @ wz)
    return (1 - z) * h + z * np.tanh(x @ wc)


def gated_backward(gate, candidate):
    def backward(dy, x, h, wz, wc):
        z, c = sigmoid(x @ wz), np.tanh(x @ wc)
        dz, dc = dy * (c - h) * gate(z), dy * z * candidate(c)
        return dz @ wz.T + dc @ wc.T, dy * (1 - z), x.T @ dz, x.T @ dc

    return backward


@pytest.mark.parametrize(
    ("gate", "candidate", "name"),
    [
        (lambda z: 1.0, lambda c: 1 - c * c, "wz"),
        (lambda z: z * (1 - z), lambda c: 1.0, "wc"),
    ],
)
def test_a_gated_cell(gate, candidate, name):
    inputs = [draw(6, 4), draw(6, 3), draw(4, 3), draw(4, 3)]
    report = check(gated, gated_backward(gate, candidate), inputs, ("x", "h", "wz", "wc"))
    assert first(report, name) == "activation-derivative-missing", str(report)


@pytest.mark.parametrize("name", ["wf", "uf"])
def test_a_gate_of_two_inputs_that_are_used_elsewhere_too(name):
    def cell(x, h, wf, uf, wc):
        f = sigmoid(x @ wf + h @ uf)
        return (1 - f) * h + f * np.tanh(x @ wc)

    def backward(dy, x, h, wf, uf, wc):
        df = dy * (np.tanh(x @ wc) - h)  # where the derivative of the sigmoid belongs
        return None, None, x.T @ df, h.T @ df, None

    inputs = [draw(6, 3), draw(6, 4), draw(3, 4), draw(4, 4), draw(3, 4)]
    report = check(cell, backward, inputs, ("x", "h", "wf", "uf", "wc"))
    assert first(report, name) == "activation-derivative-missing", str(report)


@pytest.mark.parametrize(
    ("slope", "slug"),
    [
        (lambda b, s: 1.0, "activation-derivative-missing"),
        (lambda b, s: sigmoid(s) * (1 - sigmoid(s)), "activation-derivative-at-output"),
        (lambda b, s: b * (1 - b), "output-formula-at-input"),
    ],
)
def test_a_linear_unit_with_a_gate(slope, slug):
    report = check(
        lambda a, b: a * sigmoid(b),
        lambda dy, a, b: (dy * sigmoid(b), dy * a * slope(b, sigmoid(b))),
        [draw(6, 5), draw(6, 5)],
        ("a", "b"),
    )
    assert first(report, "b") == slug, str(report)


def test_tied_weights():
    def backward(dy, x, w):
        return (dy @ w) @ w.T, None

    report = check(
        lambda x, w: np.tanh(x @ w) @ w.T, backward, [draw(5, 4), draw(4, 3)], ("x", "w")
    )
    assert first(report, "x") == "activation-derivative-missing", str(report)


def test_a_mask_that_hides_all_entries_it_should_is_not_a_missing_derivative():
    def leaky(x, w):
        return np.where(x @ w > 0, x @ w, 0.2 * (x @ w))

    def backward(dy, x, w):
        dz = dy * np.where(x @ w > 0, 1.0, 0.02)
        return dz @ w.T, x.T @ dz

    report = check(leaky, backward, [draw(6, 4), draw(4, 5)], ("x", "w"))
    assert "activation-derivative-missing" not in [c.slug for c in report.causes]


# ---------------------------------------------------------------- side by side, transposed


def test_one_gate_of_several_in_one_matrix():
    def forward(x, w):
        a, g = np.split(x @ w, 2, axis=1)
        return sigmoid(a) * np.tanh(g)

    def backward(dy, x, w):
        a, g = np.split(x @ w, 2, axis=1)
        da = dy * np.tanh(g)  # where the derivative of the sigmoid belongs
        dg = dy * sigmoid(a) * (1 - np.tanh(g) ** 2)
        dz = np.concatenate([da, dg], axis=1)
        return dz @ w.T, x.T @ dz

    report = check(forward, backward, [draw(6, 4), draw(4, 6)], ("x", "w"))
    assert first(report, "w") == "activation-derivative-missing", str(report)


def test_weights_of_shape_outputs_by_inputs():
    def backward(dy, x, w):
        return dy @ w, (dy.T @ x)

    report = check(lambda x, w: np.tanh(x @ w.T), backward, [draw(6, 4), draw(3, 4)], ("x", "w"))
    assert first(report, "w") == "activation-derivative-missing", str(report)


def test_updated_weights_of_shape_outputs_by_inputs():
    def backward(dy, x, w):
        dw = dy.T @ x
        return dy @ (w - 0.1 * dw), dw

    report = check(lambda x, w: x @ w.T, backward, [draw(6, 4), draw(3, 4)], ("x", "w"))
    assert "wrong-weights" in [c.slug for c in report.causes[:3]], str(report)


# ---------------------------------------------------------------- the loss of a whole network


LABELS = np.array([0, 2, 1, 1, 0, 2, 2, 1])


def loss_of_network(u, b, v, x, labels):
    z = np.maximum(x @ u + b, 0) @ v
    z = z - z.max(axis=1, keepdims=True)
    return (np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels]).mean()


def gradient_of_network(at_loss, at_hidden):
    def gradient(u, b, v, x, labels):
        h = np.maximum(x @ u + b, 0)
        e = np.exp(h @ v)
        dz = at_loss(e / e.sum(axis=1, keepdims=True), np.eye(3)[labels]) / len(x)
        dh = at_hidden(dz @ v.T, h)
        return x.T @ dh, dh.sum(axis=0), h.T @ dz, None, None

    return gradient


def right_loss(p, y):
    return p - y


def right_hidden(dh, h):
    return dh * (h > 0)


@pytest.mark.parametrize(
    ("at_loss", "at_hidden", "slug"),
    [
        (lambda p, y: p, right_hidden, "one-hot-not-subtracted"),
        (lambda p, y: len(p) * (p - y), right_hidden, "scaled-by-batch"),
        (right_loss, lambda dh, h: dh, "activation-derivative-missing"),
        (right_loss, lambda dh, h: dh * (dh > 0), "cotangent-masked"),
    ],
)
def test_the_loss_of_a_network(at_loss, at_hidden, slug):
    inputs = [draw(4, 5), draw(5), draw(5, 3), draw(8, 4), LABELS]
    gradient = gradient_of_network(at_loss, at_hidden)
    report = check_gradient(loss_of_network, gradient, inputs, ["u", "b", "v", "x", "labels"])
    assert report.causes[0].slug == slug, str(report)


# ---------------------------------------------------------------- deeper networks


def deep(x, a, b, c):
    return np.maximum(np.maximum(x @ a, 0) @ b, 0) @ c


def deep_backward(upper, lower, weights):
    def backward(dy, x, a, b, c):
        h = np.maximum(x @ a, 0)
        k = np.maximum(h @ b, 0)
        dk = dy @ c.T * upper(k)
        dh = dk @ weights(b)
        dh = dh * lower(h)
        return dh @ a.T, x.T @ dh, h.T @ dk, k.T @ dy

    return backward


def mask(h):
    return h > 0


DEEP = {
    "the upper mask": (lambda h: 1.0, mask, np.transpose, "activation-derivative-missing"),
    "the lower mask": (mask, lambda h: 1.0, np.transpose, "activation-derivative-missing"),
    "both masks": (lambda h: 1.0, lambda h: 1.0, np.transpose, "activation-derivative-missing"),
    "the weights between": (mask, mask, np.asarray, "wrong-weights"),
}


@pytest.mark.parametrize("mistake", DEEP)
def test_a_network_of_three_layers(mistake):
    *parts, slug = DEEP[mistake]
    inputs = [draw(7, 4), draw(4, 5), draw(5, 5), draw(5, 3)]
    report = check(deep, deep_backward(*parts), inputs, ("x", "a", "b", "c"))
    assert report.causes[0].slug == slug, str(report)


@pytest.mark.parametrize(
    ("delta", "slug"),
    [
        (lambda y, t: y - t, "activation-derivative-missing"),
        (lambda y, t: y * y * (1 - y), "one-hot-not-subtracted"),
        (lambda y, t: (y - t) * sigmoid(y) * (1 - sigmoid(y)), "activation-derivative-at-output"),
    ],
)
def test_a_loss_behind_an_activation(delta, slug):
    def gradient(w, b, x, t):
        d = 2 * delta(sigmoid(x @ w + b), t) / t.size
        return x.T @ d, d.sum(axis=0), None, None

    report = check_gradient(
        lambda w, b, x, t: ((sigmoid(x @ w + b) - t) ** 2).mean(),
        gradient,
        [draw(4, 2), draw(2), draw(8, 4), RNG.random((8, 2))],
        ["w", "b", "x", "t"],
    )
    assert report.causes[0].slug == slug, str(report)


def test_weights_not_transposed_beside_a_skip():
    def backward(dy, x, w):
        dz = 0.1 * dy * (1 - np.tanh(x @ w) ** 2)
        return dy + dz @ w, x.T @ dz

    report = check(
        lambda x, w: x + 0.1 * np.tanh(x @ w), backward, [draw(6, 4), draw(4, 4)], ("x", "w")
    )
    assert report.causes[0].slug == "wrong-weights", str(report)


def test_a_constant_factor_beside_a_dead_unit():
    def backward(dy, x, w):
        dz = dy * (x @ w > 0)
        return dz @ (0.9 * w).T, x.T @ dz

    w = draw(4, 3)
    x = np.abs(draw(6, 4))
    w[:, 1] = -np.abs(w[:, 1])
    report = check(lambda x, w: np.maximum(x @ w, 0), backward, [x, w], ("x", "w"))
    assert report.causes[0].slug == "scaled-by-constant", str(report)
