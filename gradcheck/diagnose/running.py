"""Normalisation by given statistics, y = γ·(x − mean)·rstd(var) + β: backward of evaluation mode.

Which input is which is found by experiment: along β the slope of y is 1, along the mean that of
x turned around, along γ it is x̂; the variance is what is left, and how the slope depends on it
gives eps and where it stands.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.experiments import agreement, close, remembered
from gradcheck.diagnose.mode import is_parameter, own_slope, unit_slope
from gradcheck.diagnose.normalisation import Root, expand, first_output, replaced, shrink
from gradcheck.diagnose.normalisation_formulas import EPSILONS, describe
from gradcheck.diagnose.replay import wide
from gradcheck.verdict import Cause

Array = np.ndarray

FIT = {np.dtype(np.float64): 1e-7, np.dtype(np.float32): 1e-3}
"""Relative: how well forward must follow the formula."""

STRETCHED = 4.0
"""Times the variance: what eps is, is looked at there as well."""


@dataclass(frozen=True)
class Running:
    """What forward takes; γ and β may be missing.

    Attributes
    ----------
    x, gamma, beta, mean, variance : which inputs they are.
    root : of the variance.
    """

    x: int
    gamma: int | None
    beta: int | None
    mean: int
    variance: int
    root: Root

    def laid_out(self, k: int | None, inputs: list[Any], otherwise: float = 1.0) -> Array:
        shape = inputs[self.x].shape
        return np.full(shape, otherwise) if k is None else expand(wide(inputs[k]), shape)


def found_in(evidence: Evidence) -> Running | None:
    """The normalisation by given statistics that forward is; remembered."""
    return remembered(evidence, "running", lambda: identify(evidence))


def identify(evidence: Evidence) -> Running | None:
    inputs, y = evidence.inputs, first_output(evidence.outputs_at, evidence.inputs)
    if y is None or y.ndim < 2 or y.size < 2:
        return None
    x = next((k for k, a in enumerate(inputs) if np.shape(a) == y.shape), None)
    slope = None if x is None else own_slope(evidence, x)
    if x is None or slope is None or not slope.any():
        return None
    near = FIT.get(inputs[x].dtype, FIT[np.dtype(np.float64)])
    places: dict[str, int] = {}
    others = []
    for k, a in enumerate(inputs):
        if k == x or not is_parameter(a, y.shape):
            continue
        along = unit_slope(evidence, k, y.shape)
        if along is not None and close(along, np.ones(y.shape), near):
            places["beta"] = k
        elif along is not None and close(along, -slope, near):
            places["mean"] = k
        else:
            others.append(k)
    if "mean" not in places:
        return None
    for variance in others:
        for gamma in (None, *(k for k in others if k != variance)):
            found = Running(x, gamma, places.get("beta"), places["mean"], variance, Root())
            root = root_of(evidence, found, near)
            if root is not None:
                found = Running(x, gamma, found.beta, found.mean, variance, root)
                if close(value(found, inputs), y, near):
                    return found
    return None


def root_of(evidence: Evidence, found: Running, near: float) -> Root | None:
    """1/√(var + eps), or with eps outside: the one that fits at two variances."""
    gamma = found.laid_out(found.gamma, evidence.inputs)
    seen = []
    for factor in (1.0, STRETCHED):
        inputs = replaced(
            evidence.inputs, {found.variance: factor * evidence.inputs[found.variance]}
        )
        variance = found.laid_out(found.variance, inputs)
        moved = replaced(inputs, {found.x: inputs[found.x] + 1})
        ends = [first_output(evidence.outputs_at, at) for at in (inputs, moved)]
        if ends[0] is None or ends[1] is None or not (variance > 0).all() or not gamma.all():
            return None
        seen.append((variance, (ends[1] - ends[0]) / gamma))
    if not all((rstd > 0).all() for _, rstd in seen):
        return None
    for is_outside in (False, True):
        variance, rstd = seen[0]
        off = 1 / rstd - np.sqrt(variance) if is_outside else 1 / rstd**2 - variance
        eps = float(np.median(off))
        size = float(np.median(np.sqrt(variance) if is_outside else variance))
        root = Root(eps=0.0 if eps <= near * size else eps, is_outside=is_outside)
        if all(close(root.rstd(v), r, near) for v, r in seen):
            return root
    return None


def value(found: Running, inputs: list[Any]) -> Array:
    centred = wide(inputs[found.x]) - found.laid_out(found.mean, inputs)
    xhat = centred * found.root.rstd(found.laid_out(found.variance, inputs))
    return np.asarray(
        found.laid_out(found.gamma, inputs) * xhat + found.laid_out(found.beta, inputs, 0.0)
    )


def given_statistics(evidence: Evidence, i: int) -> Iterator[Cause]:
    """dx = γ·rstd·dy and dγ = Σ dy·x̂, with γ missing, another eps, or no rstd."""
    found = found_in(evidence)
    if found is None or i not in (found.x, found.gamma) or evidence.analytic[i] is None:
        return
    dy, gamma = wide(evidence.cotangents[0]), found.laid_out(found.gamma, evidence.inputs)
    variance = found.laid_out(found.variance, evidence.inputs)
    rstd = found.root.rstd(variance)
    centred = wide(evidence.inputs[found.x]) - found.laid_out(found.mean, evidence.inputs)
    before = gamma if i == found.x else centred

    def match(per_entry: Array) -> float:
        candidate = per_entry if i == found.x else shrink(per_entry, evidence.inputs[i])
        return 0.0 if candidate is None else agreement(evidence, i, candidate)

    for other in other_roots(found.root):
        detail = f"{describe(other)} in backward, {describe(found.root)} in forward"
        with np.errstate(all="ignore"):
            score = match(dy * before * other.rstd(variance))
        yield cause("batchnorm-eps-mismatch", score, detail=detail)
    if i == found.x:
        if found.gamma is not None:
            for power in (0, 2):
                yield cause("batchnorm-gamma-missing", match(dy * gamma**power * rstd))
        for power, text in ((0, "rstd in front is missing"), (2, "rstd stands in front twice")):
            yield cause("batchnorm-terms-wrong", match(dy * gamma * rstd**power), detail=text)
        return
    for label, used in {
        "x itself, not x̂": wide(evidence.inputs[found.x]), "x − mean, without rstd": centred,
        "γ·x̂": gamma * centred * rstd, "x̂·rstd": centred * rstd**2,
    }.items():  # fmt: skip
        text = f"dγ is summed with {label}"
        yield cause("batchnorm-parameter-gradient", match(dy * used), detail=text)


def other_roots(root: Root) -> Iterator[Root]:
    for is_outside in (root.is_outside, not root.is_outside):
        for eps in (root.eps, *EPSILONS):
            other = Root(eps=eps, is_outside=is_outside)
            if other != root and (eps or is_outside == root.is_outside):
                yield other


RECOGNISERS = (given_statistics,)
