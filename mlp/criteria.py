"""Losses of the course's interface: one number per sample, and the gradient of their sum."""

from typing import Any

import numpy as np

from kernels.arrays import to_array
from kernels.op import OPS
from mlp.arguments import by_name
from mlp.layers import Array


class Criterion:
    """A loss, one number per sample; `derivative` is the gradient of their sum."""

    name = ""
    _arguments: tuple[Array, Any] | None = None

    def forward(self, x: Array, y: Any) -> Array:
        """The losses (N,) of outputs x (N, m) against y."""
        x = np.array(to_array(f"{self.name}: x", x, "fiub", "an array of numbers"))
        y = np.array(to_array(f"{self.name}: y", y, "fiub", "classes or target rows"))
        losses: Array = OPS[self.name].value(x, y)[0]
        self._arguments = x, y
        return losses

    def derivative(self) -> Array:
        """The gradient (N, m) of the summed losses with respect to x."""
        if self._arguments is None:
            raise ValueError(
                f"{self.name}: got no input to differentiate at, expected a forward "
                "before derivative"
            )
        x, y = self._arguments
        gradient: Array = OPS[self.name].vjp((np.ones(len(x), x.dtype),), x, y)[0]
        return gradient

    __call__ = forward

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class SoftmaxCrossEntropy(Criterion):
    """logsumexp(x) - y·x, for integer classes, one-hot rows or soft targets y."""

    name = "softmax_cross_entropy"


class MSE(Criterion):
    """The mean over a sample's outputs of (x - y)²."""

    name = "mse"


CRITERIA: dict[str, type[Criterion]] = {c.name: c for c in (SoftmaxCrossEntropy, MSE)}


def as_criterion(value: Any) -> Criterion:
    """A criterion by name, or one of ours: the engine runs no other."""
    if isinstance(value, str):
        return CRITERIA[by_name("MLP: criterion", value, CRITERIA)]()
    if not isinstance(value, Criterion) or type(value) not in CRITERIA.values():
        raise TypeError(f"MLP: criterion is {value!r}, expected one of {', '.join(CRITERIA)}")
    return CRITERIA[value.name]()
