"""Mistakes of losses, lookups and stateful pairs that only an experiment of their own shows."""

import numpy as np
import pytest

from gradcheck import check, check_gradient
from gradcheck.diagnose.causes import CAUSES, cause, widened
from tests.gradcheck.diagnose.drawing import RNG, draw


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def slugs(report):
    return [c.slug for c in report.causes]


# ---------------------------------------------------------------- losses


def divergence(z, p):
    return (p * (np.log(p) - np.log(softmax(z)))).sum(axis=1).mean()


@pytest.mark.parametrize(
    ("gradient", "slug"),
    [
        (lambda q, p: q, "one-hot-not-subtracted"),
        (lambda q, p: p - q, "sign-flipped"),
        (lambda q, p: np.maximum(q, 0.1) - p, "probability-clipped"),
        (lambda q, p: len(q) * (q - p), "scaled-by-batch"),
    ],
)
def test_a_divergence(gradient, slug):
    def backward(dy, z, p):
        return dy * gradient(softmax(z), p) / len(z), None

    report = check(divergence, backward, [draw(7, 5), softmax(draw(7, 5))], ("z", "p"))
    assert report.causes[0].slug == slug, str(report)


def test_targets_left_out_of_a_loss_without_a_name():
    def loss(y, t):
        e = abs(y - t)
        return np.where(e < 1, e * e / 2, e - 0.5).mean()

    def backward(dy, y, t):
        return dy * np.clip(y, -1, 1) / y.size, None

    report = check(loss, backward, [2 * draw(6, 4), draw(6, 4)], ("y", "t"))
    assert report.causes[0].slug == "one-hot-not-subtracted", str(report)


def test_probabilities_clipped_in_forward_alone():
    def loss(p, t):
        kept = np.where(t > 0.5, np.maximum(p, 0.01), np.maximum(1 - p, 0.01))
        return -np.log(kept).mean()

    def backward(dy, p, t):
        return dy * (p - t) / (p * (1 - p)) / p.size, None

    p, t = RNG.random((8, 4)) ** 4 * 0.95 + 1e-3, (RNG.random((8, 4)) > 0.5) * 1.0
    report = check(loss, backward, [p, t], ("p", "t"))
    assert report.causes[0].slug == "probability-clipped", str(report)


def test_targets_left_out_at_another_temperature():
    def loss(z, y):
        return -(y * np.log(softmax(z / 2))).sum(axis=1).mean()

    def gradient(z, y):
        return softmax(z / 2) / 2 / len(z), None

    y = np.eye(4)[RNG.integers(0, 4, 9)]
    report = check_gradient(loss, gradient, [draw(9, 4), y], ["z", "y"])
    assert report.causes[0].slug == "one-hot-not-subtracted", str(report)


def test_targets_left_out_of_a_regression_with_decay():
    def loss(w, x, t):
        return ((x @ w - t) ** 2).sum() / 2 + 0.3 * abs(w).sum()

    def gradient(w, x, t):
        return x.T @ (x @ w) + 0.3 * np.sign(w), None, None

    report = check_gradient(loss, gradient, [draw(5), draw(8, 5), draw(8)], ["w", "x", "t"])
    assert report.causes[0].slug == "one-hot-not-subtracted", str(report)


def test_labels_off_by_one():
    labels = RNG.integers(0, 4, 8)

    def loss(z, k):
        return -np.log(softmax(z)[np.arange(len(z)), k]).mean()

    def gradient(z, k):
        return (softmax(z) - np.eye(4)[(k + 1) % 4]) / len(z), None

    report = check_gradient(loss, gradient, [draw(8, 4), labels], ["z", "labels"])
    assert report.causes[0].slug == "one-hot-not-subtracted", str(report)


def test_the_batch_is_found_behind_the_parameters():
    def loss(w, x):
        return np.logaddexp(0, x @ w).mean()

    def gradient(w, x):
        return (x / (1 + np.exp(-(x @ w)))[:, None]).sum(axis=0), None

    report = check_gradient(loss, gradient, [draw(5), draw(9, 5)], ["w", "x"])
    assert report.causes[0].slug == "scaled-by-batch", str(report)


# ---------------------------------------------------------------- lookups, arithmetic


def test_rows_that_are_looked_up_twice():
    rows = np.array([0, 2, 2, 5, 1, 0, 2])

    def backward(dy, w):
        dw = np.zeros_like(w)
        dw[rows] = dy
        return (dw,)

    report = check(lambda w: w[rows], backward, [draw(6, 3)], ("w",))
    assert report.causes[0].slug == "overwrites-instead-of-accumulating", str(report)


def test_a_lookup_divided_by_the_number_of_rows():
    def backward(dy, w, rows):
        dw = np.zeros_like(w)
        np.add.at(dw, rows, dy)
        return dw / len(rows), None

    rows = np.array([0, 2, 2, 5, 1, 0, 2])
    report = check(lambda w, rows: w[rows], backward, [draw(6, 3), rows], ("w", "rows"))
    assert report.causes[0].slug == "divided-by-batch-twice", str(report)


def test_exp_that_overflows_in_backward():
    def backward(dy, x):
        return (dy * np.exp(x) / (1 + np.exp(x)) ** 2,)

    report = check(lambda x: 1 / (1 + np.exp(-x)), backward, [500 * draw(4, 5)], ("x",))
    assert report.causes[0].slug == "max-shift-missing", str(report)


def test_a_mask_on_the_gradient_within():
    def forward(x, u, v):
        return np.maximum(x @ u, 0) @ v

    def backward(dy, x, u, v):
        dh = dy @ v.T
        return (dh * (dh > 0)) @ u.T, None, None

    report = check(forward, backward, [draw(6, 4), draw(4, 5), draw(5, 3)], ("x", "u", "v"))
    assert report.causes[0].slug == "cotangent-masked", str(report)


def test_a_kernel_that_is_turned_around():
    x, w = draw(4, 3, 8), draw(3, 3, 3)

    def windows(x):
        return np.lib.stride_tricks.sliding_window_view(x, 3, axis=2)

    def backward(dy, x, w):
        dx = np.zeros_like(x)
        for k in range(3):
            dx[:, :, k : k + 6] += np.einsum("nol,oc->ncl", dy, w[:, :, 2 - k])
        return dx, None

    report = check(
        lambda x, w: np.einsum("nclk,ock->nol", windows(x), w), backward, [x, w], ("x", "w")
    )
    assert report.causes[0].slug == "wrong-weights", str(report)


# ---------------------------------------------------------------- what is kept between calls


class KeepsTheFirst:
    """y = x·w, with the first x kept for good."""

    x = None

    def forward(self, x, w):
        self.x = np.array(x) if self.x is None or self.x.shape != x.shape else self.x
        return x @ w

    def backward(self, dy, x, w):
        return dy @ w.T, self.x.T @ dy


def test_a_method_that_keeps_its_first_input():
    layer = KeepsTheFirst()
    report = check(layer.forward, layer.backward, [draw(5, 4), draw(4, 3)], ("x", "w"))
    assert report.causes[0].slug == "stale-cache", str(report)


def test_a_closure_that_keeps_its_first_output():
    kept = {}

    def forward(x):
        y = np.tanh(x)
        return kept.setdefault(y.shape, y).copy() * 0 + y

    def backward(dy, x):
        return (dy * (1 - kept[x.shape] ** 2),)

    report = check(forward, backward, [draw(5, 4)], ("x",))
    assert report.causes[0].slug == "stale-cache", str(report)


def test_the_state_of_the_pair_is_left_as_it_came_to_be():
    layer = KeepsTheFirst()
    x = draw(5, 4)
    check(layer.forward, layer.backward, [x, draw(4, 3)], ("x", "w"))
    assert layer.x is not None


# ---------------------------------------------------------------- the table


def test_wider_causes_are_in_the_table():
    assert all(wider in CAUSES for row in CAUSES.values() for wider in row.wider)


def test_a_wider_cause_is_told_with_the_same_words():
    (one, other) = widened([cause("other-layers-values", detail="those of the layer above")])
    assert (one.slug, other.slug) == ("other-layers-values", "stale-cache")
    assert one.sentence == other.sentence


def test_what_only_describes_stands_behind_all_that_explains():
    weights = {slug: row.weight for slug, row in CAUSES.items()}
    described = {"follows-from", "entries-wrong", "unrelated"}
    rest = min(weight for slug, weight in weights.items() if slug not in described)
    assert all(weights[slug] < rest for slug in described)
