"""Held constant: a norm, a mean, a maximum of the input itself, taken for a number in backward.

Where y = f(x, s(x)) and backward forgets that s depends on x, what is missing is ∂L/∂s·∇s: in
each group of entries that s is taken over, a multiple of ∇s, which is known for every such s.
"""

from collections.abc import Callable, Iterator

import numpy as np

from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.experiments import analytic_of, certainty, fresh_points
from gradcheck.diagnose.groups import Groups, partitions
from gradcheck.diagnose.losses import softmax
from gradcheck.verdict import Cause

Array = np.ndarray
Gradient = Callable[[Array, Groups], Array]

NEAR = 10.0
"""Times the certainty: how near what is missing must be to a multiple of ∇s."""

FEWEST = 3
"""Entries more than groups, at least: two numbers are always a multiple of two others' ratio."""


def largest(x: Array, groups: Groups, sign: float = 1.0) -> Array:
    """1 at the greatest entry of each group (the least, where the sign is negative)."""
    top = np.maximum.reduce(sign * x, axis=groups.axes, keepdims=True)
    return np.asarray((sign * x == top) * 1.0)


def exponentials(x: Array, groups: Groups) -> Array:
    moved = np.moveaxis(x, groups.axes[0], -1)
    return np.asarray(np.moveaxis(softmax(moved), -1, groups.axes[0]))


KINDS: dict[str, Gradient] = {
    "norm": lambda x, groups: x,
    "mean or sum": lambda x, groups: np.ones(x.shape),
    "spread around the mean": lambda x, groups: x - groups.mean(x),
    "sum of absolute values": lambda x, groups: np.sign(x),
    "maximum": largest,
    "minimum": lambda x, groups: largest(x, groups, -1.0),
    "largest absolute value": lambda x, groups: np.sign(x) * largest(abs(x), groups),
    "sum of exponentials": exponentials,
    "product": lambda x, groups: 1 / x,
}
"""What s may be, and its gradient, but for a factor."""


def held_constant(evidence: Evidence, i: int) -> Iterator[Cause]:
    """What is missing is a multiple of ∇s in every group; the multiples depend on dy."""
    analytic, known = analytic_of(evidence, i), evidence.measured(i)
    x, name = evidence.inputs[i], evidence.names[i]
    if analytic is None or not known.all() or x.ndim == 0 or x.size < FEWEST:
        return
    if is_added(evidence, i):
        return
    numeric, near = evidence.numeric[i], NEAR * certainty(evidence, i)
    wide = np.asarray(x, np.float64)
    whole_first = sorted(partitions(x.shape), key=lambda groups: -groups.size(x.shape))
    for groups in whole_first:  # what one number explains, one for each row explains as well
        if groups.blocks > 1:
            continue
        for kind, gradient in KINDS.items():
            with np.errstate(all="ignore"):
                direction = gradient(wide, groups) if is_usable(kind, groups) else np.zeros(0)
            if (
                direction.size
                and is_missing(analytic, numeric, direction, groups, near)
                and (holds_elsewhere(evidence, i, gradient, groups, near))
            ):
                how = f"its {kind} along {groups.describe()} is one, which was held constant"
                yield cause("path-missing", 0.98, name=name, how=how)
                return


def is_added(evidence: Evidence, i: int) -> bool:
    """Whether something is there for dy = 0, too: no gradient of anything then."""
    if evidence.is_fixed:
        return False
    answer = evidence.gradients_at([np.zeros_like(c) for c in evidence.cotangents])
    return answer is None or answer[i] is None or bool(np.any(answer[i]))


def is_usable(kind: str, groups: Groups) -> bool:
    return kind != "sum of exponentials" or len(groups.axes) == 1


def is_missing(
    analytic: Array, numeric: Array, direction: Array, groups: Groups, near: float
) -> bool:
    """Whether what is missing is along the direction, and the gradient itself is not."""
    off, scale = analytic - numeric, abs(numeric).max(initial=0)
    if not np.isfinite(direction).all() or abs(off).max() <= near * scale:
        return False
    left = off - along(off, direction, groups)
    rest = numeric - along(numeric, direction, groups)
    is_along = abs(left).max() <= near * scale and abs(rest).max() > 100 * near * scale
    return bool(is_along) and is_seen(abs(off) > 100 * near * scale, direction, groups)


def is_seen(off: Array, direction: Array, groups: Groups) -> bool:
    """Whether there is more of it than one number in each group, which fits any direction."""
    touched = groups.mean(off * 1.0) > 0
    if (groups.mean((direction != 0) * 1.0) * groups.size(off.shape) <= 1.5).all():
        return bool(touched.all()) and off.size >= FEWEST * groups.size(off.shape)
    count = touched.sum() / groups.size(off.shape)
    return bool(off.sum() - count >= FEWEST - 1)


def along(values: Array, direction: Array, groups: Groups) -> Array:
    """The part of the values that is a multiple of the direction, group by group."""
    norm = groups.mean(direction * direction)
    product = groups.mean(values * direction)
    part = np.divide(product, norm, out=np.zeros(values.shape), where=norm > 0)
    return np.asarray(part * direction)


def holds_elsewhere(
    evidence: Evidence, i: int, gradient: Gradient, groups: Groups, near: float
) -> bool:
    """Whether it is the same at other points, whose entries were all moved."""
    for point in fresh_points(evidence, i):
        x = np.asarray(point.inputs[i], np.float64)
        if not point.jacobian.is_complete:
            return True
        direction = gradient(x, groups)
        off = (point.analytic - point.numeric).reshape(x.shape)
        left = off - along(off, direction, groups)
        if not np.isfinite(direction).all() or not (
            abs(left).max() <= near * abs(point.numeric).max()
        ):
            return False
    return True


RECOGNISERS = (held_constant,)
