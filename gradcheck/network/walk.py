"""The walk down a network in backward order, from the loss to the input.

At each step there is a belief: the gradient that the network's code has there. Where what was
observed next (dγ, dβ, db, dW, what a layer was heard to receive) does not fit it, mistakes are
tried, first the one that was made further up, then single ones, then two at a time. What
explains most with the fewest mistakes goes on; so each mistake shows at its own place, and
what merely follows from it does not count.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gradcheck.network import mistakes
from gradcheck.network.listen import Heard
from gradcheck.network.mistakes import Guess, Mistake, Scene
from gradcheck.network.mistakes.scene import mistake
from gradcheck.network.replay import (
    ActivationStep,
    BatchNormStep,
    LinearStep,
    Step,
    letters,
)

Array = np.ndarray

EXACT = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 2e-5}
"""Relative to the largest entry: so near a formula must come to count as what was computed."""

ROUGH = 3e-6
"""So near comes what was right but for float32 somewhere inside."""

KEPT = 4
"""Beliefs that go on to the next step."""

NEW, AGAIN, UNEXPLAINED = 1.0, 0.25, 2.6
"""What a mistake costs, the same mistake made above, and what no mistake explains."""

SLIGHT = 0.05
"""Of two that explain as much, the one whose cause weighs more goes first."""


@dataclass(frozen=True)
class Told:
    """What is said of one observed array."""

    name: str
    mistakes: tuple[Mistake, ...] = ()
    is_explained: bool = True
    scale: float = 1.0
    delta: Array | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Belief:
    """The gradient that their code has at some step, and the mistakes that led to it.

    Attributes
    ----------
    delta : None where it is not known any more.
    mistakes : in the order in which backward makes them.
    pending : those of them that no array has shown yet.
    """

    delta: Array | None
    mistakes: tuple[Mistake, ...] = ()
    pending: tuple[Mistake, ...] = ()
    told: tuple[Told, ...] = ()
    cost: float = 0.0
    trail: tuple[Array, ...] = ()
    lost_at: str = ""

    def passing(self, delta: Array) -> "Belief":
        trail = self.trail if self.delta is None else (*self.trail, self.delta)[-4:]
        return replace(self, delta=delta, trail=trail)

    def making(self, one: Mistake, delta: Array) -> "Belief":
        return replace(
            self.passing(delta),
            mistakes=(*self.mistakes, one),
            pending=(*self.pending, one),
            cost=self.cost + self.price(one),
        )

    def price(self, one: Mistake) -> float:
        known = {m.kind for m in self.mistakes} | {m.kind for t in self.told for m in t.mistakes}
        return (AGAIN if one.kind in known else NEW) - SLIGHT * one.weight

    def telling(self, told: Told, cost: float = 0.0) -> "Belief":
        shown = told.mistakes or self.pending
        return replace(
            self,
            told=(*self.told, replace(told, mistakes=shown, delta=self.delta)),
            cost=self.cost + cost,
            pending=() if told.mistakes == () else self.pending,
        )


@dataclass(frozen=True)
class Passage:
    """The gradient passes a step, right or with a mistake."""

    place: str
    right: Callable[[Array], Array]
    wrong: Callable[[Array, Belief], Iterator[Guess]]


@dataclass(frozen=True)
class Look:
    """An array that was observed, and what it should be for a given gradient."""

    name: str
    observed: Array
    right: Callable[[Array], Array]
    wrong: Callable[[Array, Array], Iterator[Guess]]
    resets: bool = False
    """It is the passing gradient itself, as a layer was heard to receive it."""


Element = Passage | Look


class Walk:
    """One walk, with what is known of the network."""

    def __init__(
        self, scene: Scene, delta: Array, heard: Heard, scales: Sequence[float],
        spreads: dict[str, Array], others: dict[str, Array],
    ):  # fmt: skip
        self.scene, self.heard, self.scales, self.spreads = scene, heard, tuple(scales), spreads
        self.others = others
        self.start = delta

    def run(self) -> Belief:
        """The cheapest account of all that was observed."""
        beliefs = [Belief(np.zeros_like(self.start))]
        for segment in segments(list(self.elements())):
            beliefs = self.through(segment, beliefs)
        return beliefs[0]

    # ------------------------------------------------------------------ what there is to see

    def elements(self) -> Iterator[Element]:
        start = self.start
        yield Passage(
            "criterion.derivative", lambda _: start, lambda _, b: mistakes.loss_paths(self.scene)
        )
        yield from self.hearing("criterion", "derivative")
        for step in reversed(self.scene.replay.steps):
            if not isinstance(step, ActivationStep):
                yield from self.receiving(step)
                yield from (self.look(step, letter) for letter in letters(step)
                            if f"{step.place}.{letter}" in self.scene.observed)  # fmt: skip
            yield self.passage(step)
        if "input" in self.scene.observed:
            yield self.seen("input", self.scene.observed["input"])
        else:
            yield from self.hearing("linear_layers[0]", "backward")

    def passage(self, step: Step) -> Passage:
        def wrong(delta: Array, belief: Belief) -> Iterator[Guess]:
            if isinstance(step, ActivationStep):
                yield from mistakes.activation_paths(step, delta, self.scene)
            elif isinstance(step, BatchNormStep):
                yield from mistakes.batchnorm_paths(step, delta, self.scene)
            else:
                yield from mistakes.linear_paths(step, delta, self.scene)

        part = "derivative" if isinstance(step, ActivationStep) else "dx"
        return Passage(f"{step.place}.{part}", step.backward, wrong)

    def hearing(self, place: str, *methods: str) -> Iterator[Look]:
        value = self.heard.returned(place, *methods, "backward")
        if value is not None and value.ndim == 2:
            yield self.seen(f"{place} returns", value)

    def receiving(self, step: Step) -> Iterator[Look]:
        value = self.heard.given(step.place)
        if value is not None and value.shape == step.y.shape:
            yield self.seen(f"{step.place} receives", value)

    def seen(self, name: str, value: Array) -> Look:
        return Look(name, value, lambda delta: delta, lambda *_: iter(()), resets=True)

    def look(self, step: LinearStep | BatchNormStep, letter: str) -> Look:
        name = f"{step.place}.{letter}"

        def right(delta: Array) -> Array:
            return step.gradient(letter, delta)

        def wrong(delta: Array, value: Array) -> Iterator[Guess]:
            own = mistakes.linear_arrays if step.kind == "linear" else mistakes.batchnorm_arrays
            yield from own(step, letter, delta, self.scene)  # type: ignore[arg-type]
            yield from mistakes.array_mistakes(step, letter, value, self.scene, self.others)

        return Look(name, self.scene.observed[name], right, wrong)

    # ------------------------------------------------------------------ trying

    def through(self, segment: list[Element], beliefs: list[Belief]) -> list[Belief]:
        """The best beliefs after a segment: with no new mistake, or with one or two."""
        best: list[Belief] = []
        for allowed in (0, 1, 2):
            found = [b for belief in beliefs for b in self.follow(segment, belief, allowed)]
            best = distinct(sorted([*best, *found], key=lambda b: b.cost))[:KEPT]
            gained = best[0].cost - min(b.cost for b in beliefs)
            if gained < NEW * (allowed + 0.5) and not lost(best[0], segment):
                break
        return best

    def follow(self, segment: list[Element], belief: Belief, allowed: int) -> Iterator[Belief]:
        """All ways through a segment with so many new mistakes on the path."""
        if not segment:
            yield belief
            return
        first, *rest = segment
        if belief.delta is None:
            yield from self.follow(rest, self.resumed(first, belief), allowed)
            return
        if isinstance(first, Look):
            for told in self.judged(first, belief):
                yield from self.follow(rest, told, allowed)
            return
        right = first.right(belief.delta)
        yield from self.follow(rest, belief.passing(right), allowed)
        if allowed or belief.mistakes:
            for one, value in self.tries(first, right, belief, rest):
                if not usable(value, right):
                    continue
                made = belief.making(one, value)
                is_again = made.cost - belief.cost < NEW / 2
                if allowed or is_again:
                    yield from self.follow(rest, made, allowed - (not is_again))

    def tries(
        self, passage: Passage, right: Array, belief: Belief, rest: list[Element]
    ) -> Iterator[Guess]:
        assert belief.delta is not None
        yield from passage.wrong(belief.delta, belief)
        yield from mistakes.path_mistakes(passage.place, right, self.scene)
        yield from self.rescaled(passage.place, right, rest)

    def rescaled(self, place: str, right: Array, rest: list[Element]) -> Iterator[Guess]:
        """The right gradient times whatever factor the next array shows."""
        value, after = right, None
        for element in rest:
            value = element.right(value)
            if isinstance(element, Look):
                after = element
                break
        if after is None:
            return
        factor = proportion(after.observed, value)
        if factor is None:
            return
        for scale in self.scales:
            yield Guess(mistake("scaled-by-constant", place, factor=factor / scale),
                        right * (factor / scale))  # fmt: skip

    def judged(self, look: Look, belief: Belief) -> Iterator[Belief]:
        """What an array says of a belief."""
        assert belief.delta is not None
        value = look.right(belief.delta)
        scale = self.fits(look, value)
        if scale is not None:
            yield belief.telling(Told(look.name, scale=scale))
            return
        if look.resets:
            trusted = self.trusted(look, belief)
            yield trusted
            return
        explained = False
        for one, guess in [*self.rough(look, value), *look.wrong(belief.delta, value),
                           *self.odd_scale(look, value)]:  # fmt: skip
            scale = self.fits(look, guess, ROUGH if one.slug == "reduced-precision" else 0.0)
            if scale is not None:
                explained = True
                yield belief.telling(Told(look.name, (one,), True, scale), belief.price(one))
        if not explained:
            yield belief.telling(Told(look.name, (), False), UNEXPLAINED)

    def trusted(self, look: Look, belief: Belief) -> Belief:
        """A layer was heard to have another gradient than was believed: go on with that."""
        told = belief.telling(Told(look.name, (), False), UNEXPLAINED)
        scale = self.scales[-1] if len(self.scales) > 1 else self.scales[0]
        return replace(told, delta=look.observed / scale)

    def resumed(self, element: Element, belief: Belief) -> Belief:
        if isinstance(element, Look) and element.resets:
            return self.trusted(element, belief)
        return belief

    def rough(self, look: Look, value: Array) -> list[Guess]:
        if look.observed.dtype != np.float64:
            return []
        place = look.name
        return [Guess(mistake("reduced-precision", place, digits=7, dtype="float32"), value)]

    def odd_scale(self, look: Look, value: Array) -> list[Guess]:
        """The right gradient times a factor that is no convention."""
        factor = proportion(look.observed, value)
        if factor is None:
            return []
        place = gradient_place(look.name)
        count = self.scene.count
        found = []
        for scale in self.scales:
            ratio = factor / scale
            if count > 1 and abs(ratio * count - 1) < 1e-6:
                found.append(mistake("divided-by-batch-twice", place, n=count))
            if count > 1 and abs(ratio / count - 1) < 1e-6:
                found.append(mistake("scaled-by-batch", place, factor=count, n=count))
        found.append(mistake("scaled-by-constant", place, factor=factor))
        return [Guess(one, value * factor / self.scales[0]) for one in found]

    def fits(self, look: Look, value: Array, rough: float = 0.0) -> float | None:
        """The conventional scale at which the array is that value, or None."""
        observed = look.observed
        if observed.shape != value.shape:
            return None
        exact = max(EXACT.get(observed.dtype, EXACT[np.dtype(np.float64)]), rough)
        largest = float(np.max(abs(value), initial=0.0))
        slack = 8 * self.spreads[look.name] if look.name in self.spreads else 0.0
        for scale in self.scales:
            off = abs(observed - scale * value)
            if (off <= exact * scale * largest + slack + np.finfo(float).tiny).all():
                return scale
        return None


def lost(belief: Belief, segment: list[Element]) -> bool:
    names = {e.name for e in segment if isinstance(e, Look)}
    return any(not t.is_explained for t in belief.told if t.name in names)


def segments(elements: list[Element]) -> Iterator[list[Element]]:
    """Cut after each group of looks: passages, then what is seen of them."""
    current: list[Element] = []
    for element in elements:
        if isinstance(element, Passage) and current and isinstance(current[-1], Look):
            yield current
            current = []
        current.append(element)
    if any(isinstance(e, Look) for e in current):
        yield current


def usable(value: Array, right: Array) -> bool:
    """Whether a wrong gradient is one: of the right shape, and really another."""
    if value.shape != right.shape:
        return False
    return not np.allclose(value, right, rtol=1e-12, atol=0, equal_nan=True)


def proportion(observed: Array, value: Array) -> float | None:
    """c with observed = c·value, or None."""
    if observed.shape != value.shape or observed.size < 2 or not np.isfinite(observed).all():
        return None
    norm = float((value * value).sum())
    if not norm > 0:
        return None
    factor = float((observed * value).sum()) / norm
    off = abs(observed - factor * value).max()
    return factor if factor != 0 and off <= 1e-7 * abs(observed).max() else None


def distinct(beliefs: Sequence[Belief]) -> list[Belief]:
    """Of beliefs that come to the same gradient with the same mistakes, the cheapest."""
    seen: dict[Any, Belief] = {}
    for belief in beliefs:
        key = tuple((m.slug, m.place) for m in belief.mistakes), tuple(
            (t.name, t.is_explained, tuple(m.slug for m in t.mistakes)) for t in belief.told
        )
        seen.setdefault(key, belief)
    return list(seen.values())


def gradient_place(name: str) -> str:
    """linear_layers[1].W to linear_layers[1].dW; "input" stays."""
    place, dot, letter = name.rpartition(".")
    return f"{place}.d{letter}" if dot else name
