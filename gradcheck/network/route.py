"""The way down a network: steps that the gradient passes, and arrays that are looked at."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from gradcheck.network.mistakes import Guess
from gradcheck.network.replay import Step

Array = np.ndarray


@dataclass(frozen=True)
class Passage:
    """The gradient passes a step, right or with a mistake."""

    place: str
    right: Callable[[Array], Array]
    wrong: Callable[[Array], Iterator[Guess]]
    step: Step | None = None
    is_repeated: bool = False
    """What a layer returned, and the network may have changed: no step of its own."""


@dataclass(frozen=True)
class Look:
    """An array that was observed, and what it should be for a given gradient."""

    name: str
    place: str
    observed: Array
    right: Callable[[Array], Array]
    wrong: Callable[[Array, Array], Iterator[Guess]]
    resets: bool = False
    """It is the passing gradient itself, as a layer was heard to receive it."""


Element = Passage | Look


def spread_of(wrong: Array) -> str:
    """Where wrong entries lie: at one place, in one row or column, or all over."""
    if len(wrong) == 1:
        return f"at {tuple(int(k) for k in wrong[0])}"
    for axis, name in ((0, "row"), (1, "column")):
        lines = np.unique(wrong[:, axis]) if wrong.shape[1] > axis else np.zeros(0)
        if 0 < len(lines) <= 3:
            numbers = ", ".join(str(int(k)) for k in lines)
            return f"in {name}{'s' if len(lines) > 1 else ''} {numbers}"
    return "all over the array"


def repeated(elements: Iterable[Element]) -> Iterator[Element]:
    """After what each layer was heard to return, the mistakes of its step once more."""
    last = None
    for element in elements:
        yield element
        if isinstance(element, Passage):
            last = element
        elif element.resets and last is not None and element.place == last.place:
            yield replace(last, right=lambda delta: delta, is_repeated=True)


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
    off = abs(value - right).max(initial=0.0)
    return not off <= 1e-12 * abs(right).max(initial=0.0)  # not a number: usable as such


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


def gradient_place(name: str) -> str:
    """linear_layers[1].W to linear_layers[1].dW; "input" stays."""
    place, dot, letter = name.rpartition(".")
    return f"{place}.d{letter}" if dot else name
