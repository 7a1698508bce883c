"""What is known while mistakes are tried."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gradcheck.diagnose.causes import CAUSES, cause
from gradcheck.network.replay import Replay
from gradcheck.verdict import Cause

Array = np.ndarray


@dataclass(frozen=True)
class Mistake:
    """A row of the table of causes, with its fields, and where it is made."""

    slug: str
    place: str
    fields: tuple[tuple[str, Any], ...] = ()

    @property
    def kind(self) -> tuple[str, str]:
        """The same for the same mistake in each layer, as when a class has it."""
        return self.slug, self.place.partition("[")[0] + self.place.partition("]")[2]

    @property
    def weight(self) -> float:
        return CAUSES[self.slug].weight

    def cause(self, match: float = 1.0) -> Cause:
        return cause(self.slug, match, **dict(self.fields))


class Guess(NamedTuple):
    """A mistake, and the array that it leads to."""

    mistake: Mistake
    value: Array


@dataclass
class Scene:
    """One batch, and what of the network's own may have got into its gradients.

    Attributes
    ----------
    replay : the forward pass, right.
    before : earlier forward passes, for what is stale.
    observed : the gradients under test, by the name of their array.
    earlier : those of the batch before.
    targets : as rows.
    count : samples.
    buffers : other arrays that a layer keeps, by the name of the parameter.
    changed : parameters as a backward left them, where it changed them.
    rate : the network's learning rate, 0 where it has none.
    loss : its kind.
    """

    replay: Replay
    before: tuple[Replay, ...]
    observed: dict[str, Array]
    earlier: dict[str, Array]
    targets: Array
    count: int
    loss: str
    weight: float
    buffers: dict[str, dict[str, Array]] = field(default_factory=dict)
    changed: dict[str, Array] = field(default_factory=dict)
    rate: float = 0.0

    def earlier_steps(self, place: str) -> list[Any]:
        """The same step in earlier passes."""
        return [s for replay in self.before for s in replay.steps if s.place == place]

    def units(self) -> tuple[float, ...]:
        """Gradients of a mean are N times those of a sum: what is not linear sees which."""
        return (1.0, float(self.count)) if self.count > 1 else (1.0,)


def mistake(slug: str, place: str, **fields: Any) -> Mistake:
    return Mistake(slug, place, tuple(fields.items()))
