"""A case as other packages can express it: one function of floating arrays, and its gradient."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.catalogue.case import Pair, Problem, Scalar

Array = np.ndarray


@dataclass
class Functional:
    """One output, as an array; gradients for the floating arrays that have one.

    Attributes
    ----------
    problem : the pair; its other arguments stay as they are.
    places : which of its inputs are differentiated.
    """

    problem: Pair
    places: tuple[int, ...]

    @property
    def arrays(self) -> list[Array]:
        return [np.array(self.problem.inputs[i]) for i in self.places]

    def arguments(self, arrays: Sequence[Any]) -> list[Any]:
        """All arguments; arrays without dimensions as scalars."""
        found = list(self.problem.inputs)
        for i, array in zip(self.places, arrays, strict=True):
            found[i] = array if np.ndim(array) else array[()]
        return found

    def forward(self, *arrays: Any) -> Array:
        value = self.problem.forward(*self.arguments(arrays))
        if isinstance(value, tuple):
            return np.concatenate([np.ravel(y) for y in value])
        return np.array(value)

    def backward(self, dy: Any, *arrays: Any) -> list[Array]:
        """The gradients, after a forward at the same inputs: layers keep what they need."""
        arguments = self.arguments(arrays)
        value = self.problem.forward(*arguments)
        if isinstance(value, tuple):
            ends = np.cumsum([np.size(y) for y in value])[:-1]
            parts = np.split(dy, ends)
            dy = tuple(p.reshape(np.shape(y)) for p, y in zip(parts, value, strict=True))
        elif np.ndim(dy) == 0:
            dy = np.asarray(dy)[()]
        found = self.problem.backward(dy, *arguments)
        found = found if isinstance(found, tuple) else (found,)
        if len(found) != len(arguments):
            raise ValueError(f"backward gives {len(found)} gradients, expected {len(arguments)}")
        return [np.array(found[i]) for i in self.places]


def functional(problem: Problem) -> Functional | None:
    """The problem as a function, None for what is none: a layer, a network, an optimiser."""
    if isinstance(problem, Scalar):
        problem = as_pair(problem)
    if not isinstance(problem, Pair):
        return None
    floating = [i for i, v in enumerate(problem.inputs) if np.asarray(v).dtype.kind == "f"]
    return Functional(problem, tuple(i for i in floating if has_gradient(problem, i)))


def as_pair(problem: Scalar) -> Pair:
    def backward(dy: Any, *inputs: Any) -> Any:
        return tuple(None if g is None else dy * g for g in problem.gradient(*inputs))

    return Pair(
        lambda *inputs: np.asarray(problem.loss(*inputs)), backward, problem.inputs, problem.names
    )


def has_gradient(problem: Pair, i: int) -> bool:
    """Whether backward gives one for input i; so it is taken where backward cannot tell."""
    try:
        inputs = [np.array(v)[()] if np.ndim(v) == 0 else np.array(v) for v in problem.inputs]
        value = problem.forward(*inputs)
        dy = tuple(np.ones_like(y) for y in value) if isinstance(value, tuple) else (
            np.ones_like(value))  # fmt: skip
        found = problem.backward(dy, *inputs)
    except Exception:
        return True
    return not isinstance(found, tuple) or i >= len(found) or found[i] is not None
