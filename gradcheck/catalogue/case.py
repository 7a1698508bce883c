"""Case objects: what is checked (a problem), and what ought to be said of it (a case)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from gradcheck.check import check, check_gradient
from gradcheck.verdict import Report

Array = np.ndarray
Generator = np.random.Generator
Function = Callable[..., Any]


class Problem(Protocol):
    """Something that one of gradcheck's functions can be called with."""

    def report(self, seed: int) -> Report:
        """What gradcheck says of it."""


@dataclass(frozen=True)
class Pair:
    """For `check`: forward(*inputs), backward(dy, *inputs)."""

    forward: Function
    backward: Function
    inputs: Sequence[Any]
    names: Sequence[str]
    options: dict[str, Any] = field(default_factory=dict)

    def report(self, seed: int) -> Report:
        return check(self.forward, self.backward, self.inputs, self.names, seed, **self.options)


@dataclass(frozen=True)
class Scalar:
    """For `check_gradient`: loss(*inputs), gradient(*inputs)."""

    loss: Function
    gradient: Function
    inputs: Sequence[Any]
    names: Sequence[str]

    def report(self, seed: int) -> Report:
        return check_gradient(self.loss, self.gradient, self.inputs, self.names, seed)


@dataclass(frozen=True)
class Case:
    """What is made from a random stream, and where it belongs.

    Attributes
    ----------
    name : unique, with the sizes.
    family : the row of the table that it counts in.
    make : make(rng) gives a fresh problem: nothing of an earlier run is left in it.
    """

    name: str
    family: str
    make: Callable[[Generator], Problem]


@dataclass(frozen=True)
class Bug(Case):
    """A planted mistake.

    Attributes
    ----------
    slugs : of the causes that name it: the expected one first, then others that are as true.
        Empty where only being caught counts.
    """

    slugs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Right(Case):
    """A correct function.

    Attributes
    ----------
    convention : the slug that must be among the report's conventions, if any.
    may_be_inconclusive : the arithmetic of the function leaves too few digits to tell.
    """

    convention: str = ""
    may_be_inconclusive: bool = False


@dataclass(frozen=True)
class Setting:
    """Sizes, dtype and magnitude: in how many ways one formula is tried."""

    batch: int = 7
    inputs: int = 5
    outputs: int = 4
    dtype: Any = np.float64
    size: float = 1.0

    def normal(self, rng: Generator, *shape: int) -> Array:
        """Random numbers of the dtype and the magnitude."""
        return np.asarray(self.size * rng.standard_normal(shape), self.dtype)

    def plain(self, rng: Generator, *shape: int) -> Array:
        """Random numbers of the dtype, of magnitude one."""
        return np.asarray(rng.standard_normal(shape), self.dtype)

    def __str__(self) -> str:
        text = f"{self.batch}x{self.inputs}x{self.outputs} {np.dtype(self.dtype).name}"
        return text if self.size == 1.0 else f"{text} size {self.size:g}"


PLAIN = Setting()
SQUARE = Setting(5, 5, 5)
LARGE = Setting(16, 40, 30)
SINGLE = Setting(dtype=np.float32)
SMALL_NUMBERS = Setting(size=1e-6)
LARGE_NUMBERS = Setting(size=1e4)


@dataclass(frozen=True)
class Formula:
    """A function and its gradient, written once.

    Attributes
    ----------
    draw : draw(rng, setting) gives the inputs.
    """

    family: str
    names: tuple[str, ...]
    forward: Function
    backward: Function
    draw: Callable[[Generator, Setting], Sequence[Any]]
    options: dict[str, Any] = field(default_factory=dict)

    def problem(
        self,
        setting: Setting,
        forward: Function | None = None,
        backward: Function | None = None,
        layer: Callable[[], Any] | None = None,
    ) -> Callable[[Generator], Pair]:
        """The pair, with another forward or backward, or both those of a fresh layer."""

        def make(rng: Generator) -> Pair:
            pair = layer() if layer else None
            return Pair(
                pair.forward if pair else forward or self.forward,
                pair.backward if pair else backward or self.backward,
                self.draw(rng, setting),
                self.names,
                self.options,
            )

        return make

    def right(self, *settings: Setting, name: str = "", **how: Any) -> Iterator[Right]:
        """The formula itself, in some settings."""
        for setting in settings:
            title = f"{name or self.family}, {setting}"
            yield Right(title, self.family, self.problem(setting), **how)


@dataclass(frozen=True)
class Mistake:
    """One line that is wrong, and the causes that name it (see `Bug.slugs`).

    Attributes
    ----------
    backward, forward : in place of the formula's.
    layer : makes an object with methods forward and backward, for what keeps a state.
    """

    name: str
    slugs: tuple[str, ...]
    backward: Function | None = None
    forward: Function | None = None
    layer: Callable[[], Any] | None = None
    settings: tuple[Setting, ...] = (PLAIN,)


def plant(formula: Formula, mistakes: Sequence[Mistake]) -> Iterator[Bug]:
    """Every mistake in the formula, in each of its settings."""
    for m in mistakes:
        for setting in m.settings:
            make = formula.problem(setting, m.forward, m.backward, m.layer)
            yield Bug(f"{m.name}, {setting}", formula.family, make, m.slugs)
