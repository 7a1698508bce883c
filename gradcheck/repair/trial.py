"""Trial: whether an edited backward gives the right gradients, by slopes taken once.

At two points, along random directions of every input, differences of forward say what the
gradient must give. Each edited backward then costs one call a point and some dot products.
"""

import io
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gradcheck.arrays import flat, is_floating
from gradcheck.diagnose.evidence import Evidence
from gradcheck.numeric import SIGNIFICANT, Estimate, directional_derivative
from gradcheck.points import batch_sizes, elsewhere, sliced
from gradcheck.state import Snapshot
from gradcheck.subject import Raised, Subject

Array = np.ndarray

DIRECTIONS, MANY = 2, 6
"""Of each input, at each point; one is enough where so many inputs must agree."""

NEAR = {8: 1e-7, 4: 2e-3}
"""By item size, relative to the largest slope: how far off a right gradient may be, apart from
the error bar."""

TIMINGS = 3
"""Calls that are timed."""

SHARP = 1e-3
"""Bars above this share of the largest slope tell nothing."""


@dataclass(frozen=True)
class Place:
    """One point, and what differences say there.

    Attributes
    ----------
    directions, slopes : for each input that is differentiated.
    """

    inputs: list[Any]
    cotangents: list[Array]
    directions: dict[int, list[Array]]
    slopes: dict[int, list[Estimate]]

    def right(self, gradients: list[Any]) -> frozenset[int]:
        """The inputs whose gradients agree with the differences."""
        return frozenset(i for i in self.slopes if self.is_right(i, gradients[i]))

    @property
    def telling(self) -> frozenset[int]:
        """The inputs that have a gradient here: much else is right where it is zero."""
        return frozenset(
            i
            for i, slopes in self.slopes.items()
            if any(abs(slope.value) > SIGNIFICANT * slope.error_bar for slope in slopes)
        )

    def is_right(self, i: int, gradient: Any) -> bool:
        if gradient is None or gradient.shape != self.inputs[i].shape:
            return False
        if gradient.dtype.kind != "f" or not np.isfinite(gradient).all():
            return False
        estimates = self.slopes[i]
        item = min(a.dtype.itemsize for a in (gradient, self.inputs[i]))
        near = NEAR.get(item, NEAR[4]) * max(abs(estimate.value) for estimate in estimates)
        wide = gradient.astype(np.float64)
        return all(
            abs(float((wide * direction).sum()) - estimate.value) <= near + estimate.error_bar
            for direction, estimate in zip(self.directions[i], estimates, strict=True)
        )


class Trial:
    """The pair under test, to be asked for gradients with another backward.

    Attributes
    ----------
    places : points with their slopes; empty where differences are not sharp enough there.
    right : for each of them, the inputs whose gradients are right as it is.
    needs_forward : backward is to be called after a forward at the same point.
    """

    def __init__(self, evidence: Evidence):
        self.subject = Subject(
            evidence.subject.forward, evidence.subject.backward, evidence.subject.names
        )
        self.original = evidence.subject.backward
        self.subject.is_watched = False
        authored = evidence.subject.authored
        is_restored = authored is not None and authored.is_restored
        self.state = Snapshot(None if is_restored else held_by(evidence.subject))
        self.state.has_globals = False  # put back once, when all is over
        self.needs_forward = True
        self.places: list[Place] = []
        self.right: list[frozenset[int]] = []
        rng = np.random.default_rng(0)
        for inputs in (evidence.inputs, elsewhere(evidence.inputs, rng)):
            place = self.measured(evidence, inputs, rng)
            gradients = None if place is None else self.gradients(evidence.subject.backward, place)
            if place is None or gradients is None:
                self.places = []
                return
            self.places.append(place)
            self.right.append(place.right(gradients))
        self.add_fewer_rows(evidence, rng)
        self.needs_forward = not self.is_free_of_state()

    def is_free_of_state(self) -> bool:
        """Whether backward gives the same after a forward somewhere else."""
        here, there = self.places[:2]
        expected = self.gradients(self.original, here)
        try:
            self.subject.outputs(there.inputs)
            found = self.subject.gradients_alone(here.cotangents, here.inputs)
        except Raised:
            return False
        return expected is not None and all(
            one is other or (one is not None and np.array_equal(one, other, equal_nan=True))
            for one, other in zip(expected, found, strict=True)
        )

    def add_fewer_rows(self, evidence: Evidence, rng: np.random.Generator) -> None:
        """A batch of another size, where the pair takes one: it tells 4 from len(x)."""
        for rows in batch_sizes(evidence.inputs, evidence.outputs[0]):
            if rows < 2:
                continue
            inputs = sliced(self.places[1].inputs, rows, evidence.outputs[0].ndim == 1, rows - 1)
            place = self.measured(evidence, inputs, rng)
            gradients = None if place is None else self.gradients(self.original, place)
            if place is not None and gradients is not None:
                self.places.append(place)
                self.right.append(place.right(gradients))
                return

    @cached_property
    def wrong(self) -> frozenset[int]:
        """The inputs whose gradients are not right at every point."""
        every = frozenset(i for place in self.places for i in place.slopes)
        return every - frozenset.intersection(every, *self.right)

    @cached_property
    def telling(self) -> frozenset[int]:
        return frozenset().union(*(place.telling for place in self.places))

    def measured(self, evidence: Evidence, inputs: list[Any], rng: Any) -> Place | None:
        """The slopes there; None where they are not finite, or not sharp."""
        try:
            outputs = self.subject.outputs(inputs)
        except Raised:
            return None
        if evidence.is_fixed and any(
            c.shape != y.shape for c, y in zip(evidence.cotangents, outputs, strict=True)
        ):
            return None
        cotangents = [
            np.asarray(c if evidence.is_fixed else rng.standard_normal(y.shape),
                       y.dtype if y.dtype.kind == "f" else np.float64)
            for c, y in zip(evidence.cotangents, outputs, strict=True)
        ]  # fmt: skip
        place = Place(inputs, cotangents, {}, {})
        for i, gradient in enumerate(evidence.analytic):
            if gradient is None or not is_floating(inputs[i]) or not inputs[i].size:
                continue
            count = DIRECTIONS if len(evidence.inputs) <= MANY else 1
            directions = [rng.standard_normal(inputs[i].shape) for _ in range(count)]
            enough = NEAR[8] * float(np.linalg.norm(np.nan_to_num(gradient, posinf=0.0)))
            slopes = [self.slope(place, i, direction, enough) for direction in directions]
            largest = max(abs(slope.value) for slope in slopes)
            if not all(s.is_finite and s.kink is None for s in slopes):
                return None
            if largest and any(s.error_bar > SHARP * largest + 1e-9 for s in slopes):
                return None
            place.directions[i], place.slopes[i] = directions, slopes
        return place

    def slope(self, place: Place, i: int, direction: Array, enough: float) -> Estimate:
        """The derivative of the weighted outputs along a direction of input i."""
        inputs = place.inputs

        def along(t: float) -> Array:
            moved = np.asarray(inputs[i] + t * direction, inputs[i].dtype)
            return flat(self.subject.outputs([*inputs[:i], moved, *inputs[i + 1 :]]))

        dtypes = {a.dtype for a in (inputs[i], *place.cotangents)}
        epsilon = max(float(np.finfo(dtype).eps) for dtype in dtypes)
        scale = float(abs(inputs[i]).max(initial=0)) or 1.0
        return directional_derivative(
            along, flat(place.cotangents), (scale,), enough, epsilon, scale, True
        )

    def gradients(self, backward: Callable[..., Any], place: Place) -> list[Any] | None:
        """What another backward gives there; None where it raises."""
        self.state.restore()
        self.subject.backward = backward
        alone = self.subject.gradients_alone
        give = self.subject.gradients if self.needs_forward else alone
        try:
            return give(place.cotangents, place.inputs)
        except Raised:
            return None

    @property
    def seconds(self) -> float:
        """What one call of forward and backward takes, if nothing else keeps the machine busy."""
        found = np.inf
        for _ in range(TIMINGS):
            began = time.perf_counter()
            self.gradients(self.original, self.places[0])
            found = min(found, time.perf_counter() - began)
        return found

    def is_same(self, backward: Callable[..., Any]) -> bool:
        """Whether another backward gives what that under test gives."""
        before = self.gradients(self.original, self.places[0])
        after = self.gradients(backward, self.places[0])
        if before is None or after is None:
            return False
        return all(alike(a, b) for a, b in zip(before, after, strict=True))

    def repaired(self, backward: Callable[..., Any]) -> frozenset[int]:
        """The inputs whose gradients it makes right everywhere; none if it spoils another."""
        found = self.wrong
        for place, before in zip(self.places, self.right, strict=True):
            gradients = self.gradients(backward, place)
            right = frozenset() if gradients is None else place.right(gradients)
            found &= right
            if not found or not before <= right:
                return frozenset()
        return found if found & self.telling else frozenset()


def alike(a: Any, b: Any) -> bool:
    """The same gradient, but for what a compiler rounds in another order."""
    if a is None or b is None:
        return a is b
    if a.shape != b.shape or a.dtype.kind != "f" or b.dtype.kind != "f":
        return bool(np.array_equal(a, b))
    scale = float(abs(np.nan_to_num(a)).max(initial=0))
    near = NEAR.get(min(a.dtype.itemsize, b.dtype.itemsize), NEAR[4])
    return bool(np.allclose(a, b, rtol=0, atol=near * scale, equal_nan=True))


def held_by(subject: Subject) -> list[Any]:
    """What the pair may keep between calls: the objects of methods, and the cells of closures."""
    found: list[Any] = []
    for function in (subject.forward, subject.backward):
        found.append(getattr(function, "__self__", None))
        for cell in getattr(function, "__closure__", None) or ():
            with_contents = cell.cell_contents if cell_is_full(cell) else None
            found.append(with_contents)
    return found


def cell_is_full(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


@contextmanager
def unheard() -> Iterator[None]:
    """Within, nothing is printed and nobody is warned."""
    silence = io.StringIO()
    with redirect_stdout(silence), redirect_stderr(silence), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with np.errstate(all="ignore"):
            yield
