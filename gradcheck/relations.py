"""Exact relations that every right pair keeps, whatever it computes. No differences are taken.

Each function makes one experiment and yields what is broken, with the cause that it shows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gradcheck.arrays import is_floating, jitter, largest_difference
from gradcheck.coarse import NUDGES, dtype_of_numbers, is_deaf
from gradcheck.diagnose.causes import cause, widened
from gradcheck.subject import Raised, Subject, copy_of, is_real, same
from gradcheck.verdict import FAIL, INCONCLUSIVE, TRUSTED, Cause, Finding

Array = np.ndarray

LINEAR = 1e-3
"""Relative to the largest entry: how far B(c·dy) may be from c·B(dy). Multiplying by a power
of two is exact, so only what is not linear is further off."""

FACTORS = (-1.0, 2.0**10, 2.0**-12, 0.0)

POISON = (np.nan, 3e99)
"""What freed memory is filled with, to see whether a function returns it as its own."""

UNSURE = 0.9
"""A second backward may differ for being random, too."""

ROUNDINGS = 16.0
"""Times what was seen of rounding, before it is called anything else."""

REORDERED = {4: 2e-4, 8: 1e-10}
"""By item size, relative to the largest entry: how far sums in another order may be off."""


@dataclass(frozen=True)
class Broken:
    """A relation that does not hold: for which array, and what that looks like."""

    name: str
    cause: Cause
    note: str
    verdict: str = FAIL


def with_broken(findings: Iterable[Finding], broken: Iterable[Broken]) -> list[Finding]:
    """The findings, and one for each relation that does not hold: its causes go first."""
    found = list(findings)
    for one in broken:
        own = widened((one.cause,))
        k = next((k for k, f in enumerate(found) if f.name == one.name), None)
        if k is None:
            found.append(Finding(one.name, one.verdict, note=one.note, causes=own))
            continue
        old = found[k]
        if own[0].score >= TRUSTED:  # what was observed is likelier than whatever edit fits
            edits = [c.score for c in old.causes if c.fix is not None]
            own = (replace(own[0], score=max(own[0].score, *edits, 0.0)), *own[1:])
        slugs = {c.slug for c in own}
        known = (*own, *(c for c in old.causes if c.slug not in slugs))
        verdict = old.verdict if one.verdict == INCONCLUSIVE else one.verdict
        found[k] = replace(old, verdict=verdict, note=one.note, causes=known)
    return found


@dataclass(frozen=True)
class Point:
    """Where experiments are made."""

    inputs: list[Any]
    cotangents: list[Array]
    outputs: list[Array]
    gradients: list[Any]
    spreads: list[Any] = field(default_factory=list)
    """How far rounding may have moved each gradient, entry by entry."""

    def rounding(self, i: int) -> float:
        known = i < len(self.spreads) and self.spreads[i] is not None
        return ROUNDINGS * float(self.spreads[i].max(initial=0)) if known else 0.0


def repeated(subject: Subject, point: Point) -> Iterator[Broken]:
    """The same call gives the same bits, whatever memory held before."""
    poison(point, POISON[0])
    outputs = subject.outputs(point.inputs)
    if not all(same(a, b) for a, b in zip(point.outputs, outputs, strict=True)):
        yield Broken(
            "forward",
            changed("forward", point.outputs, outputs),
            "forward gives another answer for the same inputs",
            INCONCLUSIVE,
        )
        return
    poison(point, POISON[1])
    again = subject.gradients(point.cotangents, point.inputs)
    for name, first, second in zip(subject.names, point.gradients, again, strict=True):
        if first is not None and (second is None or not same(first, second)):
            what = changed("backward", [first], [second])
            yield Broken(name, what, "backward gives another answer for the same inputs")


def poison(point: Point, value: float) -> None:
    """Fills memory of the sizes in question and frees it, for the next allocation to find."""
    for array in [*point.outputs, *(g for g in point.gradients if g is not None)]:
        if array.dtype.kind == "f":
            held = [np.full(array.shape, value, array.dtype) for _ in range(3)]
            del held


def changed(call: str, first: list[Any], second: list[Any]) -> Cause:
    """Why the second answer is not the first: it was added to, not written, or random."""
    for a, b in zip(first, second, strict=True):
        if b is None or a.shape != b.shape or same(a, b):
            continue
        finite = np.isfinite(a) & np.isfinite(b)
        scale = abs(a[finite]).max(initial=0)
        if finite.all() and scale and abs(b - 2 * a).max() <= 1e-6 * scale:
            return cause("accumulates-into-stale-buffer", detail="twice the first")
        differs = ~((a == b) | ((a != a) & (b != b)))
        odd = b[differs]
        is_poison = is_left_over(odd)
        if is_poison.all() or (is_poison | ~np.isfinite(a[differs])).all():
            return cause("output-not-written")
    return cause("not-deterministic", call=call)


def is_left_over(values: Array) -> Array:
    """Which numbers are poison, or the addresses that freed memory is chained by: denormal ones."""
    is_address = (values != 0) & (abs(values) < np.finfo(values.dtype).tiny)
    return np.asarray(~np.isfinite(values) | (abs(values) > 1e90) | is_address)


def spoilt(subject: Subject) -> Iterator[Broken]:
    """Arguments are left as they were."""
    for call, name in sorted(subject.spoilt):
        note = f"{call} changes its argument {name} in place"
        if name == "dy":
            yield Broken("dy", cause("cotangent-modified"), note)
        else:
            yield Broken(name, cause("input-modified", call=call, name=name), note)


def linear(subject: Subject, point: Point) -> Iterator[tuple[int, float, Array, Array]]:
    """B(c·dy) = c·B(dy). Yields (input, c, what it gives, what it should) where it does not."""
    for factor in FACTORS:
        scaled = [np.asarray(c * factor, c.dtype) for c in point.cotangents]
        try:
            gradients = subject.gradients(scaled, point.inputs)
        except Raised:
            continue
        for i, (gradient, other) in enumerate(zip(point.gradients, gradients, strict=True)):
            if not is_real(gradient) or other is None or gradient.shape != other.shape:
                continue
            if not np.isfinite(gradient).all():
                continue  # a finding of its own
            expected = gradient.astype(np.float64) * factor
            tolerance = LINEAR * float(abs(expected).max(initial=0))
            tolerance += abs(factor) * point.rounding(i)
            if not np.isfinite(gradient).all() or (factor and not np.isfinite(other).all()):
                continue  # overflow, or a fault that other findings name
            if not abs(other - expected).max(initial=0) <= tolerance:
                yield i, factor, other, expected


def overwritten(subject: Subject, point: Point, elsewhere: list[Any]) -> Iterator[Broken]:
    """What a call returned is still there after the next one."""
    kept, before = subject.raw_outputs(point.inputs)
    subject.outputs(elsewhere)
    if not all(same(a, b) for a, b in zip(kept, before, strict=True)):
        detail = "the output that forward returned changes when forward is called again"
        yield Broken("forward", cause("cache-aliased", detail=detail), detail)
    kept, before = subject.raw_gradients(point.cotangents, point.inputs)
    subject.gradients([2 * c for c in point.cotangents], elsewhere)
    for name, a, b in zip(subject.names, kept, before, strict=True):
        if a is not None and not same(a, b):
            detail = f"the gradient of {name} changes when backward is called again"
            yield Broken(name, cause("cache-aliased", detail=detail), detail)


def kept(subject: Subject, point: Point, may_accumulate: bool) -> Iterator[Broken]:
    """A second backward after the same forward gives the same: the first has left what it needs.

    One that cannot be asked twice, and says so, has only chosen not to keep it. Where gradients
    of parameters may be added up, that of the first input is looked at alone.
    """
    first = subject.gradients(point.cotangents, point.inputs)
    try:
        again = subject.gradients_alone(point.cotangents, point.inputs)
    except Raised:
        return
    for k, (name, a, b) in enumerate(zip(subject.names, first, again, strict=True)):
        if a is not None and (b is None or not same(a, b)) and not (may_accumulate and k):
            detail = "backward changes what forward kept, so that a second one gives another answer"
            yield Broken(name, cause("cache-aliased", UNSURE, detail=detail), detail)


def laid_out(
    subject: Subject, point: Point, rng: np.random.Generator, is_fixed: bool = False
) -> Iterator[Broken]:
    """Strides are no numbers: other layouts of the same arrays give the same answers."""
    floats = [a.dtype.itemsize for a in point.inputs if is_floating(a)]
    for title, layout in LAYOUTS.items():
        try:
            outputs = subject.outputs(point.inputs, layout)
            gradients = subject.gradients(point.cotangents, point.inputs, layout)
        except Raised:
            continue  # to refuse a layout is an answer, too
        answers: list[tuple[int | None, str, Any, Any, float | None]] = [
            (None, "forward", a, b, None) for a, b in zip(point.outputs, outputs, strict=True)
        ]
        answers += [
            (i, name, a, b, point.rounding(i))
            for i, (name, a, b) in enumerate(
                zip(subject.names, point.gradients, gradients, strict=True)
            )
        ]
        for i, name, expected, found, rounding in answers:
            tolerance = REORDERED.get(min(floats, default=8), 0.0)
            if not is_real(expected) or near(expected, found, tolerance, rounding or 0.0):
                continue
            if rounding is None and near(
                expected, found, tolerance, forward_rounding(subject, point, rng)
            ):
                continue
            if i is not None and is_coarse(subject, point, i, found, is_fixed):
                continue  # the order of sums shows in their last digits, and those are few
            what = "output" if name == "forward" else f"d{name}"
            detail = f"{title} arrays give another {what}"
            yield Broken(name, cause("layout-ignored", detail=detail), detail)
            return


def is_coarse(subject: Subject, point: Point, i: int, found: Any, is_fixed: bool) -> bool:
    """Whether backward computes in so few digits that this is the same gradient."""
    expected = point.gradients[i]
    if expected.dtype != np.float64 or found is None or found.shape != expected.shape:
        return False

    def gradients(cotangents: list[Any], inputs: list[Any]) -> list[Any] | None:
        try:
            return subject.gradients(cotangents, inputs)
        except Raised:
            return None

    scale = float(abs(expected).max(initial=0))
    off = float(abs(found - expected).max(initial=0))
    for dtype, nudge, most in NUDGES:
        is_rounded = dtype_of_numbers(expected, dtype) or is_deaf(
            gradients, i, expected, point.cotangents, point.inputs, nudge, is_fixed
        )
        if off <= most * scale and is_rounded:
            return True
    return False


def forward_rounding(subject: Subject, point: Point, rng: np.random.Generator) -> float:
    """How far outputs move when every input moves by one unit in the last place."""
    moved = subject.outputs(jitter(point.inputs, rng))
    return ROUNDINGS * max(
        float(largest_difference(y, [other]).max(initial=0))
        for y, other in zip(point.outputs, moved, strict=True)
    )


def fortran(value: Any) -> Any:
    return np.array(value, order="F") if is_real(value) else value


def strided(value: Any) -> Any:
    """A view of every second entry of a larger array, whose other entries are large."""
    if not is_real(value) or value.ndim == 0:
        return copy_of(value)
    wide = np.full((*value.shape[:-1], 2 * value.shape[-1]), 77, value.dtype)
    wide[..., ::2] = value
    return wide[..., ::2]


LAYOUTS = {"Fortran-ordered": fortran, "strided": strided}


def near(expected: Array, found: Any, tolerance: float, rounding: float) -> bool:
    """The same numbers but for the order of sums."""
    if found is None or found.shape != expected.shape:
        return False
    expected, found = expected.astype(np.float64), found.astype(np.float64)  # bool has no minus
    scale = float(abs(expected[np.isfinite(expected)]).max(initial=0))
    close = abs(found - expected) <= tolerance * scale + rounding
    return bool((close | (found == expected) | ((found != found) & (expected != expected))).all())
