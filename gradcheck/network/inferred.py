"""Mistakes with a number in them, which the next array that is looked at gives away."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from gradcheck.network.mistakes import Guess
from gradcheck.network.mistakes.scene import mistake
from gradcheck.network.route import Element, Look, proportion

Array = np.ndarray

NAMED = 1e-6
"""Relative: so near the batch size a factor is that, and tried by its name."""

LARGEST = 512
"""Entries of a gradient whose clipping is looked for: each may be where it begins."""

MOST_LIMITS = 6
"""Limits that fit one entry of the next array, and are held against all of it."""


def next_look(rest: Sequence[Element]) -> tuple[list[Element], Look] | None:
    """The steps down to the next array, and that array."""
    for k, element in enumerate(rest):
        if isinstance(element, Look):
            return list(rest[:k]), element
    return None


def seen(value: Array, steps: Sequence[Element], look: Look) -> Array:
    """What the array is, for a gradient some steps above it."""
    for step in steps:
        value = step.right(value)
    return look.right(value)


def rescaled(
    place: str, right: Array, rest: Sequence[Element], scales: Sequence[float], count: int
) -> Iterator[Guess]:
    """The right gradient times whatever factor the next array shows."""
    after = next_look(rest)
    if after is None:
        return
    factor = proportion(after[1].observed, seen(right, *after))
    if factor is None:
        return
    for scale in scales:
        ratio = factor / scale
        if min(abs(ratio / count - 1), abs(ratio * count - 1)) > NAMED:
            one = mistake("scaled-by-constant", place, factor=ratio, detail="")
            yield Guess(one, right * ratio)


def clipped(
    place: str,
    delta: Array,
    passed: Callable[[Array], Array],
    rest: Sequence[Element],
    scales: Sequence[float],
) -> Iterator[Guess]:
    """A gradient, clipped at the limit for which the next array comes out, and passed on."""
    after = next_look(rest)
    if after is None or not 1 < delta.size <= LARGEST or not np.isfinite(delta).all():
        return
    steps, look = after
    whole = seen(passed(delta), steps, look)
    if look.observed.shape != whole.shape or not np.isfinite(look.observed).all():
        return
    corners = np.unique(np.append(abs(delta), 0.0))
    for scale in scales:
        target = look.observed / scale
        entry = int(abs(target - whole).argmax())

        def at(limit: float, entry: int = entry) -> float:
            value = passed(np.clip(delta, -limit, limit))
            return float(seen(value, steps, look).ravel()[entry])

        values = np.array([at(float(c)) for c in corners]) - target.ravel()[entry]
        for k in np.flatnonzero(values[:-1] * values[1:] < 0)[:MOST_LIMITS]:  # straight between
            share = values[k] / (values[k] - values[k + 1])
            limit = float(corners[k] + share * (corners[k + 1] - corners[k]))
            one = mistake(
                "cotangent-clipped", place, what="entries of δ", how="clipped", limit=limit
            )
            yield Guess(one, passed(np.clip(delta, -limit, limit)))
