"""Every planted mistake is found, and its cause comes first."""

import numpy as np
import pytest

from gradcheck import check
from tests.gradcheck.diagnose.mistakes import MISTAKES

RELATION_FIRST = {"float16"}
"""Mistakes that break an exact relation as well, whose cause is then shown before."""


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: f"{m.title} {m.shapes[0]}")
def test_the_cause_comes_first(mistake):
    inputs = mistake.inputs()
    names = mistake.names[: len(inputs)]
    report = check(mistake.forward, mistake.backward, inputs, names)
    assert report.verdict == "fail"
    finding = next(f for f in report.findings if f.name == names[mistake.wrong])
    slugs = [cause.slug for cause in finding.causes]
    if mistake.title in RELATION_FIRST:
        assert mistake.slug in slugs[:3]
    else:
        assert slugs[0] == mistake.slug, slugs
    assert "<" not in finding.causes[0].sentence.replace("x <", "")  # no field left blank


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0), (2, 3), (1, 1, 1, 1), (200,)])
@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: np.full(x.shape, np.nan),
        lambda x: np.full(x.shape, np.inf),
        lambda x: np.where(x > 0, np.nan, x),
        lambda x: np.full(x.shape, 1e308),
        lambda x: np.zeros((2, *x.shape)),
        lambda x: x * 1j,
        lambda x: x > 0,
    ],
    ids=["nan", "inf", "some nan", "huge", "shape", "complex", "bool"],
)
def test_no_recogniser_raises(shape, wrong, rng):
    for forward in (np.sin, np.sum, np.cumsum, np.transpose):
        report = check(forward, lambda dy, x: (wrong(np.asarray(x)),), [rng.standard_normal(shape)])
        assert report.verdict in ("pass", "fail", "inconclusive")


def test_sentences_say_where_and_what(rng):
    x = 3 * rng.standard_normal((8, 9))
    report = check(np.tanh, lambda dy, x: (dy * (1 - np.tanh(x) ** 2) * (1 + (x > 2)),), [x], ["x"])
    sentence = report.findings[0].causes[0].sentence
    assert "wrong where x > 2" in sentence
    assert "2 times the right one" in sentence


def test_a_batch_of_two_is_told_from_a_factor_of_two(rng):
    x = rng.standard_normal((2, 5))
    factor = check(lambda x: x * x, lambda dy, x: (4 * dy * x,), [x]).findings[0].causes
    batch = check(lambda x: x * x, lambda dy, x: (2 * len(x) * dy * x,), [x]).findings[0].causes
    assert "scaled-by-batch" not in [cause.slug for cause in factor]
    assert batch[0].slug == "scaled-by-batch"


@pytest.mark.parametrize(
    ("slope", "slug", "told"),
    [
        (lambda z, y: 1 - y, "activation-derivative-formula", "taken as (1 − y), where it is (1 −"),
        (lambda z, y: 1 - z**2, "output-formula-at-input", "1 − z² is the derivative writ"),
    ],
)
def test_the_wrong_slope_inside_a_layer(slope, slug, told):
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(shape) for shape in ((4, 3), (3, 2), 2))

    def backward(dy, x, w, b):
        z = x @ w + b
        dz = dy * slope(z, np.tanh(z))
        return dz @ w.T, x.T @ dz, dz.sum(axis=0)

    report = check(lambda x, w, b: np.tanh(x @ w + b), backward, [x, w, b], ["x", "w", "b"])
    for finding in report.findings:
        assert finding.causes[0].slug == slug, str(report)
        assert told in finding.causes[0].sentence


@pytest.mark.parametrize("shape", [(3,), (1, 3)])
def test_a_bias_that_forward_leaves_out(shape, seed):
    rng = np.random.default_rng(seed)
    inputs = [rng.standard_normal((5, 4)), rng.standard_normal((4, 3)), rng.standard_normal(shape)]

    def backward(dy, x, w, b):
        return dy @ w.T, x.T @ dy, dy.sum(axis=0).reshape(b.shape)

    report = check(lambda x, w, b: x @ w, backward, inputs, ["x", "w", "b"], seed)
    assert [f.name for f in report.findings if f.verdict == "fail"] == ["b"]
    assert report.causes[0].slug == "bias-left-out"
