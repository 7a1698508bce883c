"""The catalogue itself: bugs are bugs, correct functions are correct, by long double differences.

Nothing here uses the checker: slopes come from central differences in extended precision, or in
float64 where a function knows nothing better.
"""

import numpy as np
import pytest

from gradcheck.catalogue import bugs, rights
from gradcheck.catalogue.functional import functional
from gradcheck.catalogue.run import stream
from gradcheck.diagnose.causes import CAUSES

BUGS, RIGHTS = bugs(), rights()

NEEDS_PROTOCOL = {"manners", "modules", "networks", "optimisers"}
"""Families of mistakes in the order of calls, or in objects: no formula to differentiate."""

FOUR_POINTS = ((1, 8 / 12), (-1, -8 / 12), (2, -1 / 12), (-2, 1 / 12))


def identifier(case):
    return f"{case.family}: {case.name}"


KINKED = {"relu", "leaky relu", "hardtanh", "absolute error"}
"""Steps stay below the size of x there; elsewhere their size is absolute."""


def discrepancy(case, seed=0, times=1.0):
    """How far the gradient is from a difference along random directions, and how far it may be.

    The formula with four points, in long double where the function keeps it.
    """
    problem = functional(case.make(stream(case, seed)))
    rng = np.random.default_rng(7)
    arrays = [np.asarray(times * a, a.dtype) for a in problem.arrays]
    dy = np.asarray(rng.standard_normal(problem.forward(*arrays).shape), arrays[0].dtype)
    gradients = problem.backward(dy, *arrays)
    worst = 0.0
    for i, gradient in enumerate(gradients):
        if gradient.shape != arrays[i].shape or not np.isfinite(gradient).all():
            return np.inf
        for _ in range(3):
            direction = rng.choice([-1.0, 1.0], arrays[i].shape)
            slope, error = derivative(problem.forward, arrays, i, dy, direction, case.family)
            size = float(np.linalg.norm(gradient.astype(float))) + abs(slope) + 1e-300
            off = abs(float((gradient.astype(np.longdouble) * direction).sum()) - slope)
            worst = max(worst, max(off - error, 0.0) / size)
    return worst


def derivative(forward, arrays, i, dy, direction, family):
    """The slope from the steps that agree best, and by how much they do not."""
    wide = [np.asarray(a, widest(forward, arrays)) for a in arrays]
    scale = (float(abs(wide[i]).max(initial=0)) or 1.0) if family in KINKED else 1.0
    slopes = []
    for step in 10.0 ** np.arange(-1, -9, -1):
        total = np.longdouble(0)
        for k, weight in FOUR_POINTS:
            moved = list(wide)
            moved[i] = wide[i] + k * step * scale * direction
            total += np.longdouble(weight) * (dy * forward(*moved)).sum()
        slopes.append(float(total / (step * scale)))
    errors = [abs(a - b) for a, b in zip(slopes, slopes[1:], strict=False)]
    best = int(np.nanargmin(errors))
    return slopes[best + 1], errors[best]


def widest(forward, arrays):
    try:
        forward(*(np.asarray(a, np.longdouble) for a in arrays))
    except TypeError:  # numpy.linalg knows no more than float64
        return np.float64
    return np.longdouble


def test_there_are_enough_of_each():
    assert len(BUGS) >= 200
    assert len(RIGHTS) >= 100
    for cases in (BUGS, RIGHTS):
        assert len({identifier(case) for case in cases}) == len(cases)


def test_the_causes_that_were_asked_for_are_planted_twice():
    """Those of the table when the catalogue was begun; conventions stand in correct functions."""
    named = [slug for bug in BUGS for slug in bug.slugs]
    conventions = {right.convention for right in RIGHTS} | {"batch-scale"}
    asked = set(ASKED.split()) - {slug for slug in CAUSES if CAUSES[slug].is_convention}
    assert [slug for slug in sorted(asked) if named.count(slug) < 2] == []
    assert {"kink-convention", "dead-unit", "unbiased-running-variance"} <= conventions


ASKED = """
sign-flipped scaled-by-batch divided-by-batch-twice scaled-by-constant transposed
swapped-gradients activation-derivative-missing activation-derivative-at-output cotangent-masked
cotangent-clipped cotangent-ignored cotangent-nonlinear region-wrong bias-not-summed
bias-wrong-axis samples-missing accumulates-into-stale-buffer overwrites-instead-of-accumulating
stale-cache cache-aliased input-modified cotangent-modified batchnorm-mean-term-missing
batchnorm-variance-term-missing batchnorm-statistics-constant batchnorm-eps-mismatch
batchnorm-unbiased-variance batchnorm-gamma-missing batchnorm-mode-confused
running-statistics-drift one-hot-not-subtracted probability-clipped targets-not-normalised
max-shift-missing softmax-wrong-axis wrong-weights gradient-stops weight-decay-mismatch
layout-ignored tail-not-computed output-not-written not-deterministic reduced-precision
momentum-mismatch update-formula-mismatch entries-wrong unrelated
"""


FORMULAS = [b for b in BUGS if b.family not in NEEDS_PROTOCOL]


@pytest.mark.parametrize("bug", FORMULAS, ids=identifier)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_planted_bug_is_wrong(bug):
    """At the sample, or at three times the inputs: some mistakes hide at γ = 1, or near zero."""
    problem = functional(bug.make(stream(bug, 0)))
    if not np.isfinite(problem.forward(*problem.arrays)).all():
        return  # which is the mistake
    least = 1e-4 if problem.arrays[0].dtype == np.float32 else 1e-9
    assert any(discrepancy(bug, seed, times) > least for seed in range(3) for times in (1, 3))


SMOOTH = [
    r for r in RIGHTS
    if r.family not in NEEDS_PROTOCOL | {"kinks"} and "1e5 entries" not in r.name
]  # fmt: skip


@pytest.mark.parametrize("right", SMOOTH, ids=identifier)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_correct_function_is_right(right):
    assert discrepancy(right) < (1e-4 if "float32" in right.name else 1e-6)
