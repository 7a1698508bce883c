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
    last : what follows the last layer, where something does.
    slope : φ' in backward, the right one or another.
    only : the layer below which that is so; None for all.
    untransposed : the layer whose weights backward does not transpose.
    """

    x: int
    steps: tuple[tuple[int, int | None], ...]
    phi: Activation
    last: Activation | None = None
    slope: Slope = right_slope
    only: int | None = None
    untransposed: int | None = None

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
        z = self.passed(inputs)[-1][1]
        return z if self.last is None else self.last.value(z)

    def pull(self, i: int, dz: Array, inputs: Sequence[Any]) -> Array | None:
        """The gradient with respect to input i, from that with respect to z."""
        passed = self.passed(inputs)
        if self.last is not None:
            z, count = passed[-1][1], len(self.steps)
            dz = dz * self.taken(count)(self.last, z, self.last.value(z), dz)
        for k in range(len(self.steps) - 1, -1, -1):
            (w, b), given = self.steps[k], passed[k][0]
            if i == w:
                return np.asarray(given.T @ dz)
            if i == b:
                return np.asarray(dz.sum(axis=0).reshape(inputs[i].shape))
            weights = np.asarray(inputs[w], np.float64)
            above = dz @ (weights if k == self.untransposed else weights.T)
            if k == 0:
                return above if i == self.x else None
            z = passed[k - 1][1]
            dz = above * self.taken(k)(self.phi, z, given, above)
        return None

    def taken(self, k: int) -> Slope:
        """φ' as backward takes it below layer k."""
        return self.slope if self.only in (None, k) else right_slope


def networks(inputs: Sequence[Any]) -> Iterator[Layers]:
    """Networks that the inputs may be the parts of, up to `MOST`: φ(x·w + b), or deeper ones."""
    yield from islice(every_network(inputs), MOST)


def every_network(inputs: Sequence[Any]) -> Iterator[Layers]:
    matrices = [k for k, a in enumerate(inputs) if is_floating(a) and a.ndim == 2 and a.size]
    for x in matrices:
        for weights in chains(inputs, matrices, (x,)):
            for biases in product(*(bias_choices(inputs, w) for w in weights)):
                given = [b for b in biases if b is not None]
                if len(set(given)) < len(given) or set(given) & {x, *weights}:
                    continue
                steps = tuple(zip(weights, biases, strict=True))
                for name in HIDDEN:
                    phi = ACTIVATIONS[name]
                    if len(steps) > 1:
                        yield Layers(x, steps, phi)
                    else:
                        yield Layers(x, steps, phi, phi)


def chains(
    inputs: Sequence[Any], matrices: Sequence[int], used: tuple[int, ...]
) -> Iterator[tuple[int, ...]]:
    """Matrices that can be multiplied one after the other, the longest rows of them first."""
    width = inputs[used[-1]].shape[1]
    if len(used) <= DEEPEST:
        for w in matrices:
            if w not in used and inputs[w].shape[0] == width:
                yield from chains(inputs, matrices, (*used, w))
    if len(used) > 1:
        yield used[1:]


def bias_choices(inputs: Sequence[Any], w: int) -> list[int | None]:
    """Vectors that fit, and none."""
    width = inputs[w].shape[1]
    fitting = [
        k for k, a in enumerate(inputs) if is_floating(a) and a.shape in ((width,), (1, width))
    ]
    return [*fitting, None]
