"""Source: what an operation may be applied to, an input itself or an affine image of some."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.arrays import is_floating

Array = np.ndarray


@dataclass(frozen=True)
class Source:
    """z, as a function of the inputs: one of them, or x·w (+ b), or x·wᵀ (+ b).

    Attributes
    ----------
    x : the input that is z, or is multiplied by the weights.
    w, b : of the affine map before the operation; None where there is none.
    is_transposed : the weights have shape (outputs, inputs).
    """

    x: int
    w: int | None = None
    b: int | None = None
    is_transposed: bool = False

    @property
    def inputs(self) -> tuple[int, ...]:
        return tuple(k for k in (self.x, self.w, self.b) if k is not None)

    def weights(self, inputs: Sequence[Any]) -> Array:
        assert self.w is not None
        w = np.asarray(inputs[self.w], np.float64)
        return w.T if self.is_transposed else w

    def value(self, inputs: Sequence[Any]) -> Array:
        z = np.asarray(inputs[self.x], np.float64)
        if self.w is not None:
            z = z @ self.weights(inputs)
        return z if self.b is None else np.asarray(z + inputs[self.b])

    def pull(self, i: int, dz: Array, inputs: Sequence[Any]) -> Array | None:
        """The gradient with respect to input i, from that with respect to z."""
        if self.w is None:
            return dz if i == self.x else None
        if i == self.x:
            return np.asarray(dz @ self.weights(inputs).T)
        if i == self.w:
            dw = np.asarray(inputs[self.x], np.float64).T @ dz
            return np.asarray(dw.T if self.is_transposed else dw)
        if dz.size and inputs[i].size == dz.shape[-1]:  # a bias, seen by the operation or not
            return np.asarray(dz.sum(axis=0).reshape(inputs[i].shape))
        return None


def sources(inputs: Sequence[Any], shape: tuple[int, ...] | None) -> Iterator[Source]:
    """All sources of this shape (of any, where None); inputs themselves come first."""
    floating = [k for k, a in enumerate(inputs) if is_floating(a) and a.size]
    for k in floating:
        if shape is None or inputs[k].shape == shape:
            yield Source(k)
    matrices = [k for k in floating if inputs[k].ndim == 2]
    for x in matrices:
        for w in matrices:
            for is_transposed in (False, True):
                size, width = inputs[w].shape[::-1] if is_transposed else inputs[w].shape
                if x == w or inputs[x].shape[1] != size:
                    continue
                if shape is not None and shape != (inputs[x].shape[0], width):
                    continue
                for b in floating:
                    if b not in (x, w) and inputs[b].shape in ((width,), (1, width)):
                        yield Source(x, w, b, is_transposed)
                yield Source(x, w, None, is_transposed)
