"""A backward that is not linear in dy is named by what it does to dy, or not named at all."""

import numpy as np
import pytest

from gradcheck import check

BACKWARDS = {
    "masked": (lambda dy, x: 2 * x * dy * (dy > 0), "cotangent-masked", "one sign"),
    "only losses": (lambda dy, x: 2 * x * np.minimum(dy, 0), "cotangent-masked", "one sign"),
    "clipped": (
        lambda dy, x: 2 * x * np.clip(dy, -0.5, 0.5),
        "cotangent-clipped",
        "dy are clipped",
    ),
    "large dropped": (lambda dy, x: 2 * x * dy * (abs(dy) < 90), "cotangent-clipped", "dropped"),
    "squashed": (lambda dy, x: 2 * x * np.tanh(dy), "cotangent-clipped", "dy are clipped"),
    "dx clipped": (
        lambda dy, x: np.clip(2 * x * dy, -3, 3),
        "cotangent-clipped",
        "entries of the gradient are clipped (at about 3)",
    ),
    "ignored": (lambda dy, x: 2 * x, "cotangent-ignored", "does not depend"),
    "addend": (lambda dy, x: 2 * x * dy + 0.25, "term-without-cotangent", "(0.25)"),
    "decay": (lambda dy, x: 2 * x * dy + 0.1 * x, "weight-decay-mismatch", "0.1·w"),
    "absolute": (lambda dy, x: 2 * x * abs(dy), "cotangent-nonlinear", "its sign is lost"),
    "square": (lambda dy, x: 2 * x * dy**2, "cotangent-nonlinear", "square of dy"),
    "leaky": (
        lambda dy, x: 2 * x * np.where(dy > 0, dy, 0.1 * dy),
        "cotangent-nonlinear",
        "another factor",
    ),
    "garbage": (lambda dy, x: np.sin(1000 * dy) * x, "cotangent-nonlinear", "not linear"),
}


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("name", BACKWARDS)
def test_what_is_done_to_the_cotangent_is_named(name, kind):
    backward, slug, words = BACKWARDS[name]
    x = np.random.default_rng(3).standard_normal((4, 5)).astype(kind)
    report = check(lambda x: x * x, lambda dy, x: (backward(dy, x).astype(x.dtype),), [x], ["x"])
    causes = report.findings[0].causes
    assert report.verdict == "fail"
    assert causes[0].slug == slug, causes
    assert words in causes[0].sentence


def test_garbage_is_no_mechanism():
    backward, _, _ = BACKWARDS["garbage"]
    x = np.random.default_rng(3).standard_normal((4, 5))
    report = check(lambda x: x * x, lambda dy, x: (backward(dy, x),), [x])
    assert report.causes[0].score < 0.3


def test_the_limit_of_clipping_is_found():
    x = np.random.default_rng(3).standard_normal((4, 5))
    report = check(lambda x: x * x, lambda dy, x: (2 * x * np.clip(dy, -7, 7),), [x])
    limit = float(report.causes[0].sentence.split("at about ")[1].split(")")[0])
    assert limit == pytest.approx(7, rel=0.15)


def test_weights_that_dy_has_updated():
    def backward(dy, x, w):
        return dy @ (w - 0.1 * x.T @ dy).T, x.T @ dy

    rng = np.random.default_rng(3)
    inputs = [rng.standard_normal((5, 4)), rng.standard_normal((4, 3))]
    report = check(lambda x, w: x @ w, backward, inputs, ["x", "w"])
    assert report.causes[0].slug == "wrong-weights"
    other = next(c for c in report.causes if c.slug == "cotangent-nonlinear")
    assert "updated already" in other.sentence
