"""The walk down a network in backward order, from the loss to the input.

At each step there is a belief: the gradient that the network's code has there. Where what was
observed next (dγ, dβ, db, dW, what a layer was heard to receive) does not fit it, mistakes are
tried, first the one that was made further up, then single ones, then two at a time. What
explains most with the fewest mistakes goes on; so each mistake shows at its own place, and
what merely follows from it does not count.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from gradcheck.guard import spared
from gradcheck.network import mistakes
from gradcheck.network.belief import (
    AGAIN,
    NEW,
    ODD,
    SLIGHT,
    UNEXPLAINED,
    Belief,
    Event,
    distinct,
)
from gradcheck.network.inferred import clipped, rescaled
from gradcheck.network.listen import Heard
from gradcheck.network.mistakes import Guess, Scene
from gradcheck.network.mistakes.scene import mistake
from gradcheck.network.replay import ActivationStep, BatchNormStep, LinearStep, Step, letters
from gradcheck.network.route import (
    Element,
    Look,
    Passage,
    gradient_place,
    proportion,
    repeated,
    segments,
    spread_of,
    usable,
)

Array = np.ndarray

EXACT = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 2e-5}
"""Relative to the largest entry: so near a formula must come to count as what was computed."""

ROUGH = 3e-6
"""So near comes what was right but for float32 somewhere inside."""

ROUNDING = 64.0
"""Units in the last place, of the largest gradient of the network."""

MOST = 0.6
"""The share of entries that must be right for the others to count as exceptions."""

THIN = 97
"""In large arrays every so many'th entry is looked at first."""

FREE = ("criterion", "input")
"""What these give may be of the sum or of the mean, whatever the layers between have."""

UNIT = float(np.finfo(np.float64).eps)

TIE = 0.2
"""Beliefs that cost so much more than the best are still worth keeping."""

KEPT = 4
"""Beliefs that go on to the next step."""

SECONDS = 0.5
"""Of the processor's time: after so long, no further pairs of mistakes are tried; after twice
as long, no further mistakes at all."""


class Walk:
    """One walk, with what is known of the network."""

    def __init__(
        self, scene: Scene, delta: Array, heard: Heard, scales: Sequence[float],
        others: dict[str, Array],
    ):  # fmt: skip
        self.scene, self.heard, self.scales = scene, heard, tuple(scales)
        self.others = others
        self.largest = max((float(abs(g).max(initial=0.0)) for g in others.values()), default=0.0)
        self.start = delta

    def run(self) -> Belief:
        """The cheapest account of all that was observed.

        Where it leaves something unexplained, the network may have changed what its layers
        returned: then each step is followed by a second one, in which that can be.
        """
        first = self.account(list(self.elements()))
        if all(event.is_explained for event in first.events):
            return first
        second = self.account(list(repeated(self.elements())))
        return second if second.cost < first.cost else first

    def account(self, elements: list[Element]) -> Belief:
        """The cheapest one of these steps and arrays."""
        self.deadline = time.process_time() + SECONDS
        beliefs = [Belief(np.zeros_like(self.start))]
        for segment in segments(elements):
            beliefs = self.through(segment, beliefs)
        return beliefs[0]

    # ------------------------------------------------------------------ what there is to see

    def elements(self) -> Iterator[Element]:
        start, place = self.start, "criterion.derivative"
        yield Passage(place, lambda _: start, lambda _: mistakes.loss_paths(self.scene))
        yield from self.hearing("criterion", place)
        steps = self.scene.replay.steps[::-1]
        for step, following in zip(steps, (*steps[1:], None), strict=True):
            if not isinstance(step, ActivationStep):
                yield from self.receiving(step, place)
                yield from (self.look(step, letter) for letter in letters(step)
                            if f"{step.place}.{letter}" in self.scene.observed)  # fmt: skip
            passage = self.passage(step)
            place = passage.place
            yield passage
            # What it returned and what the next one received may differ: a network that drops it.
            if following is None or self.heard.given(following.place) is None:
                yield from self.hearing(step.place, place)
        if "input" in self.scene.observed:
            yield self.seen("input", place, self.scene.observed["input"])

    def passage(self, step: Step) -> Passage:
        def wrong(delta: Array) -> Iterator[Guess]:
            if isinstance(step, ActivationStep):
                yield from mistakes.activation_paths(step, delta, self.scene)
            elif isinstance(step, BatchNormStep):
                yield from mistakes.batchnorm_paths(step, delta, self.scene)
            else:
                yield from mistakes.linear_paths(step, delta, self.scene)

        part = "derivative" if isinstance(step, ActivationStep) else "dx"
        return Passage(f"{step.place}.{part}", step.backward, wrong, step)

    def hearing(self, place: str, passage: str) -> Iterator[Look]:
        """What a layer was heard to return, where that is the gradient passed on."""
        methods = ("derivative", "backward") if place == "criterion" else ("backward",)
        value = self.heard.returned(place, *methods)
        if value is not None and value.ndim == 2:
            yield self.seen(f"{place} returns", passage, value)

    def receiving(self, step: Step, passage: str) -> Iterator[Look]:
        value = self.heard.given(step.place)
        if value is not None and value.shape == step.y.shape:
            yield self.seen(f"{step.place} receives", passage, value)

    def seen(self, name: str, place: str, value: Array) -> Look:
        return Look(name, place, value, lambda delta: delta, lambda *_: iter(()), resets=True)

    def look(self, step: LinearStep | BatchNormStep, letter: str) -> Look:
        name = f"{step.place}.{letter}"

        def right(delta: Array) -> Array:
            return step.gradient(letter, delta)

        def wrong(delta: Array, value: Array) -> Iterator[Guess]:
            own = mistakes.linear_arrays if step.kind == "linear" else mistakes.batchnorm_arrays
            yield from own(step, letter, delta, self.scene)  # type: ignore[arg-type]
            yield from mistakes.array_mistakes(step, letter, value, self.scene, self.others)

        return Look(name, gradient_place(name), self.scene.observed[name], right, wrong)

    # ------------------------------------------------------------------ trying

    def through(self, segment: list[Element], beliefs: list[Belief]) -> list[Belief]:
        """The best beliefs after a segment: with no new mistake, or with one or two."""
        best: list[Belief] = []
        self.limit = np.inf
        start = min(b.cost for b in beliefs)
        for allowed in (0, 1, 2):
            for belief in beliefs:
                for found in self.follow(segment, belief, allowed):
                    best = distinct(sorted([*best, found], key=lambda b: b.cost))[:KEPT]
                    self.limit = min(self.limit, best[0].cost + TIE)
            if best[0].cost - start < (NEW + TIE) * (allowed + 1) - TIE and not lost(
                best[0], segment
            ):
                break
        return [b for b in best if b.cost <= best[0].cost + TIE]

    def follow(self, segment: list[Element], belief: Belief, allowed: int) -> Iterator[Belief]:
        """All ways through a segment with so many new mistakes on the path."""
        if belief.cost > self.limit or (allowed and self.is_late(allowed)):
            return
        if not segment:
            yield belief
            return
        first, *rest = segment
        if belief.delta is None:
            yield from self.follow(rest, self.resumed(first, belief), allowed)
        elif isinstance(first, Look):
            for told in self.judged(first, belief):
                yield from self.follow(rest, told, allowed)
        else:
            for passed in self.passed(first, rest, belief, allowed):
                used = passed.cost - belief.cost > NEW / 2
                yield from self.follow(rest, passed, allowed - used)

    def is_late(self, allowed: int) -> bool:
        """Whether it is time to stop trying pairs of mistakes (2), or any (1, 0)."""
        late = time.process_time() - self.deadline
        return late > (0 if allowed > 1 else SECONDS)

    def passed(
        self, passage: Passage, rest: list[Element], belief: Belief, allowed: int
    ) -> Iterator[Belief]:
        """The belief after a step: done right, or with each mistake that is allowed."""
        assert belief.delta is not None
        right = passage.right(belief.delta)
        yield belief if passage.is_repeated else belief.passing(right)
        yield from self.reordered(passage, belief)
        if not (allowed or belief.wrong):
            return
        for one, value in self.tries(passage, right, belief, rest):
            if self.is_late(allowed):
                return
            is_new = belief.price(one) > NEW / 2
            if usable(value, right) and (allowed or not is_new):
                yield belief.making(one, value)

    def reordered(self, passage: Passage, belief: Belief) -> Iterator[Belief]:
        """The activation's derivative, left out above batchnorm, comes after it."""
        last = belief.wrong[-1].mistake if belief.wrong else None
        step = passage.step
        if not isinstance(step, BatchNormStep) or last is None or belief.delta is None:
            return
        if (last.slug, last.place) != (
            "activation-derivative-missing",
            f"activations[{step.index}].derivative",
        ):
            return
        above = next(
            s for s in self.scene.replay.steps
            if isinstance(s, ActivationStep) and s.index == step.index
        )  # fmt: skip
        detail = "batchnorm before the activation that follows it"
        one = mistake("layers-out-of-order", last.place, detail=detail)
        events = tuple(replace(e, mistake=one) if e.mistake is last else e for e in belief.events)
        below = step.backward(belief.delta)
        if below.shape != above.y.shape:  # batchnorm stands before the layer's product
            return
        yield replace(
            belief.passing(below * above.slope),
            events=events,
            cost=belief.cost - SLIGHT,
        )

    def tries(
        self, passage: Passage, right: Array, belief: Belief, rest: list[Element]
    ) -> Iterator[Guess]:
        given = belief.above if passage.is_repeated else belief.delta
        place, scales, count = passage.place, self.scales, self.scene.count
        if given is not None:
            yield from spared(lambda: passage.wrong(given))
        yield from spared(lambda: mistakes.path_mistakes(place, right, self.scene))
        yield from spared(lambda: rescaled(place, right, rest, scales, count))
        yield from spared(lambda: clipped(place, right, lambda value: value, rest, scales))
        if given is not None and passage.step is not None and not passage.is_repeated:
            yield from spared(lambda: clipped(place, given, passage.right, rest, scales))

    def judged(self, look: Look, belief: Belief) -> Iterator[Belief]:
        """What an array says of a belief."""
        assert belief.delta is not None
        delta = belief.delta
        value = look.right(delta)
        scale = self.fits(look, value)
        if scale is not None:
            yield self.agreed(look, belief, value, scale)
            return
        if look.resets:
            yield self.trusted(look, belief)
            return
        yield from self.spotted(look, belief, value)
        if belief.cost + AGAIN > self.limit or (belief.wrong and self.is_late(1)):
            return
        explained = False
        guesses = [
            *self.rough(look, value),
            *self.misplaced(look, belief),
            *spared(lambda: look.wrong(delta, value)),
            *self.odd_scale(look, value),
        ]
        for one, guess in guesses:
            scale = self.fits(look, guess, ROUGH if one.slug == "reduced-precision" else 0.0)
            if scale is not None:
                explained = True
                event = Event(look.name, look.place, one, True, scale)
                yield belief.telling(event, belief.price(one))
        if not explained:
            event = Event(look.name, look.place, None, False, 1.0, None, look.observed)
            yield belief.telling(event, UNEXPLAINED)

    def agreed(self, look: Look, belief: Belief, value: Array, scale: float) -> Belief:
        """The array is right. What layers pass on must keep its scale, since all below shares it.

        Between the criterion and the last layer it may change: the network may take the mean.
        """
        told = belief.telling(Event(look.name, look.place, scale=scale))
        if not look.resets or not value.any() or look.name.startswith(FREE):
            return told
        changed = belief.heard is not None and belief.heard != scale
        return replace(told, heard=scale, cost=told.cost + (NEW + ODD if changed else 0.0))

    def spotted(self, look: Look, belief: Belief, value: Array) -> Iterator[Belief]:
        """Most entries are right, and some are not."""
        if look.observed.shape != value.shape or value.size < 4:
            return
        for scale in self.scales:
            right = abs(look.observed - scale * value) <= self.slack(look, value, scale)
            if right.mean() < MOST:
                continue
            wrong = np.argwhere(~right)
            fields = {"count": len(wrong), "total": right.size, "where": spread_of(wrong)}
            event = Event(look.name, look.place, mistake("entries-wrong", look.place, **fields),
                          True, scale, None, look.observed)  # fmt: skip
            yield belief.telling(event, NEW + ODD)
            return

    def slack(self, look: Look, value: Array, scale: float, rough: float = 0.0) -> float:
        """How far an entry may be off."""
        dtype = look.observed.dtype
        exact = max(EXACT.get(dtype, EXACT[np.dtype(np.float64)]), rough)
        unit = float(np.finfo(dtype).eps) if dtype in EXACT else UNIT
        floor = ROUNDING * unit * self.largest  # what should be zero is not quite
        return scale * (exact * float(np.max(abs(value), initial=0.0)) + floor)

    def misplaced(self, look: Look, belief: Belief) -> list[Guess]:
        """The array is made of the gradient above the last step."""
        above, delta = belief.above, belief.delta
        if above is None or delta is None or above.shape != delta.shape:
            return []
        detail = "that above the last step, before its derivative is applied"
        return [Guess(mistake("wrong-delta", look.place, detail=detail), look.right(above))]

    def trusted(self, look: Look, belief: Belief) -> Belief:
        """A layer was heard to have another gradient than was believed: go on with that."""
        scale = self.scales[-1] if len(self.scales) > 1 else self.scales[0]
        event = Event(look.name, look.place, None, False, scale, None, look.observed / scale)
        told = replace(belief, delta=belief.above).telling(event, UNEXPLAINED)
        return replace(told, delta=event.observed)

    def resumed(self, element: Element, belief: Belief) -> Belief:
        if isinstance(element, Look) and element.resets:
            return self.trusted(element, belief)
        return belief

    def rough(self, look: Look, value: Array) -> list[Guess]:
        if look.observed.dtype != np.float64:
            return []
        place = look.place
        return [Guess(mistake("reduced-precision", place, digits=7, dtype="float32"), value)]

    def odd_scale(self, look: Look, value: Array) -> list[Guess]:
        """The right gradient times a factor that is no convention."""
        factor = proportion(look.observed, value)
        if factor is None:
            return []
        place = look.place
        count = self.scene.count
        found = []
        for scale in self.scales:
            ratio = factor / scale
            if count > 1 and abs(ratio * count - 1) < 1e-6:
                found.append(mistake("divided-by-batch-twice", place, n=count))
            if count > 1 and abs(ratio / count - 1) < 1e-6:
                found.append(mistake("scaled-by-batch", place, factor=count, n=count))
        found.append(mistake("scaled-by-constant", place, factor=factor, detail=""))
        return [Guess(one, value * factor / self.scales[0]) for one in found]

    def fits(self, look: Look, value: Array, rough: float = 0.0) -> float | None:
        """The conventional scale at which the array is that value, or None."""
        observed = look.observed
        if observed.shape != value.shape:
            return None
        thin = slice(None, None, THIN) if observed.size > THIN * THIN else None
        for scale in self.scales:
            slack = self.slack(look, value, scale, rough)
            if thin is not None:
                few = abs(observed.ravel()[thin] - scale * value.ravel()[thin])
                if not (few <= slack).all():
                    continue
            if (abs(observed - scale * value) <= slack).all():
                return scale
        return None


def lost(belief: Belief, segment: list[Element]) -> bool:
    names = {e.name for e in segment if isinstance(e, Look)}
    return any(not e.is_explained for e in belief.events if e.name in names)
