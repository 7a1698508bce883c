"""A belief: what the gradient of their code is at some step, and the mistakes that led to it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gradcheck.network.mistakes import Mistake

Array = np.ndarray

NEW, AGAIN, UNEXPLAINED = 1.0, 0.25, 2.6
"""What a mistake costs, the same mistake made above, and what no mistake explains."""

ODD = 0.5
"""Added for a mistake that nobody makes there."""

EARLY = 1e-3
"""Of two places that explain as much, the one that backward comes to first."""

SLIGHT = 0.05
"""Of two that explain as much, the one whose cause weighs more goes first."""


@dataclass(frozen=True)
class Event:
    """Something on the way down: a mistake, or an array and what is said of it.

    Attributes
    ----------
    name : of the array; empty for a mistake on the path.
    mistake : what explains the array, or is made on the path; None where all is right.
    is_explained : False where the array is wrong, and no mistake explains it.
    place : where it is.
    scale : the convention that the array follows.
    delta : the gradient that the array was to be made of.
    """

    name: str
    place: str
    mistake: Mistake | None = None
    is_explained: bool = True
    scale: float = 1.0
    delta: Array | None = field(default=None, repr=False, compare=False)
    observed: Array | None = field(default=None, repr=False, compare=False)

    @property
    def is_wrong(self) -> bool:
        return self.mistake is not None or not self.is_explained


@dataclass(frozen=True)
class Belief:
    """The gradient that their code has at some step, and what led to it.

    `delta` is None where it is not known any more.
    """

    delta: Array | None
    events: tuple[Event, ...] = ()
    cost: float = 0.0
    passages: int = 0
    above: Array | None = None
    """The gradient before the last step, which that step was given."""

    heard: float | None = None
    """The scale at which layers were heard to pass the gradient on: the sum's, or the mean's."""

    def passing(self, delta: Array) -> "Belief":
        return replace(self, delta=delta, passages=self.passages + 1, above=self.delta)

    def making(self, one: Mistake, delta: Array) -> "Belief":
        cost = self.cost + self.price(one) + EARLY * self.passages
        event = Event("", one.place, one)
        return replace(self.passing(delta), events=(*self.events, event), cost=cost)

    def price(self, one: Mistake) -> float:
        known = {e.mistake.slug for e in self.events if e.mistake is not None}
        price = (AGAIN if one.slug in known else NEW) - SLIGHT * one.weight
        # Nobody divides by the batch in an activation's derivative: rather in what follows.
        return price + (ODD if "batch" in one.slug and one.place.startswith("act") else 0.0)

    def telling(self, event: Event, cost: float = 0.0) -> "Belief":
        event = replace(event, delta=self.delta)
        return replace(self, events=(*self.events, event), cost=self.cost + cost)

    @property
    def wrong(self) -> tuple[Event, ...]:
        return tuple(e for e in self.events if e.is_wrong)


def distinct(beliefs: Sequence[Belief]) -> list[Belief]:
    """Of beliefs that come to the same gradient with the same mistakes, the cheapest."""
    seen: dict[Any, Belief] = {}
    for belief in beliefs:
        key = tuple((e.place, e.mistake and e.mistake.slug, e.is_explained) for e in belief.wrong)
        seen.setdefault(key, belief)
    return list(seen.values())
