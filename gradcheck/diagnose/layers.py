"""Layers: what a loss is taken of may be a whole network, φ(x·w₁ + b₁)·w₂ + b₂ and so on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

import numpy as np

from gradcheck.activations import ACTIVATIONS, Activation
from gradcheck.arrays import is_floating

Array = np.ndarray

DEEPEST = 4
"""Layers at most."""

MOST = 100
"""So many networks are tried; inputs of all the same shapes could be parts of thousands."""

HIDDEN = ("relu", "tanh", "sigmoid")
"""What stands between them."""

Slope = Callable[[Activation, Array, Array, Array], Array]
"""φ' as a backward takes it, from the activation, z, y and the gradient that comes from above."""


def right_slope(phi: Activation, z: Array, y: Array, above: Array) -> Array:
    return phi.derivative(z, y)


@dataclass(frozen=True)
class Layers:
    """z as a function of the inputs: layer upon layer, with the same φ between all of them.

    Attributes
    ----------
    x : the input that the first layer takes.
    steps : the weights of each layer and its bias, None where it has none.
    slope : φ' in backward, the right one or another.
    """

    x: int
    steps: tuple[tuple[int, int | None], ...]
    phi: Activation
    slope: Slope = right_slope

    @property
    def w(self) -> int:
        return self.steps[0][0]

    @property
    def b(self) -> int | None:
        return self.steps[0][1]

    @property
    def inputs(self) -> tuple[int, ...]:
        return (self.x, *(k for step in self.steps for k in step if k is not None))

    def passed(self, inputs: Sequence[Any]) -> list[tuple[Array, Array]]:
        """What each layer is given, and what it gives before φ."""
        value, found = np.asarray(inputs[self.x], np.float64), []
        for w, b in self.steps:
            z = value @ np.asarray(inputs[w], np.float64)
            z = z if b is None else z + inputs[b]
            found.append((value, z))
            value = self.phi.value(z)
        return found

    def value(self, inputs: Sequence[Any]) -> Array:
        return self.passed(inputs)[-1][1]

    def pull(self, i: int, dz: Array, inputs: Sequence[Any]) -> Array | None:
        """The gradient with respect to input i, from that with respect to z."""
        passed = self.passed(inputs)
        for k in range(len(self.steps) - 1, -1, -1):
            (w, b), given = self.steps[k], passed[k][0]
            if i == w:
                return np.asarray(given.T @ dz)
            if i == b:
                return np.asarray(dz.sum(axis=0).reshape(inputs[i].shape))
            above = dz @ np.asarray(inputs[w], np.float64).T
            if k == 0:
                return above if i == self.x else None
            z = passed[k - 1][1]
            dz = above * self.slope(self.phi, z, given, above)
        return None


def networks(inputs: Sequence[Any]) -> Iterator[Layers]:
    """Networks of two layers or more that the inputs may be the parts of, up to `MOST`."""
    yield from islice(every_network(inputs), MOST)


def every_network(inputs: Sequence[Any]) -> Iterator[Layers]:
    matrices = [k for k, a in enumerate(inputs) if is_floating(a) and a.ndim == 2 and a.size]
    for x in matrices:
        for weights in chains(inputs, matrices, (x,)):
            for biases in product(*(bias_choices(inputs, w) for w in weights)):
                given = [b for b in biases if b is not None]
                if len(set(given)) < len(given) or set(given) & {x, *weights}:
                    continue
                for name in HIDDEN:
                    yield Layers(x, tuple(zip(weights, biases, strict=True)), ACTIVATIONS[name])


def chains(
    inputs: Sequence[Any], matrices: Sequence[int], used: tuple[int, ...]
) -> Iterator[tuple[int, ...]]:
    """Matrices that can be multiplied one after the other, the longest rows of them first."""
    width = inputs[used[-1]].shape[1]
    if len(used) <= DEEPEST:
        for w in matrices:
            if w not in used and inputs[w].shape[0] == width:
                yield from chains(inputs, matrices, (*used, w))
    if len(used) > 2:
        yield used[1:]


def bias_choices(inputs: Sequence[Any], w: int) -> list[int | None]:
    """Vectors that fit, and none."""
    width = inputs[w].shape[1]
    fitting = [
        k for k, a in enumerate(inputs) if is_floating(a) and a.shape in ((width,), (1, width))
    ]
    return [*fitting, None]
