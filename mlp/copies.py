"""Copies and pickles of a network, and the same network in another dtype."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from mlp.activations import Activation
from mlp.arguments import as_dtype
from mlp.criteria import Criterion
from mlp.gradients import Gradients, Key
from mlp.layers import Array
from mlp.optimizers import Optimizer

Network = TypeVar("Network", bound="Copies")


class Copies:
    """What is left of a network in a pickle: the arguments that make it, and its memory."""

    activations: list[Activation]
    criterion: Criterion
    dtype: np.dtype
    num_bn_layers: int
    _gradients: Gradients
    _memory: Array
    _optimizer: Optimizer
    _reduction: str
    _training: bool
    _widths: list[int]
    _make: Callable[..., None]
    """The constructor of `MLP`, whatever that of a subclass takes."""

    def __reduce__(self) -> Any:
        """A copy or a pickle is a network of its own, with the same memory."""
        first, *hiddens, last = self._widths
        arguments = {
            "input_size": first, "output_size": last, "hiddens": hiddens,
            "activations": [activation.fresh() for activation in self.activations],
            "weight_init_fn": "zeros", "criterion": self.criterion.name,
            "num_bn_layers": self.num_bn_layers, "dtype": self.dtype.name,
            "reduction": self._reduction, "optimizer": self._optimizer,
        }  # fmt: skip
        self._gradients.forget_stale()
        modes = self._training, sorted(self._gradients.missing)
        return restore, (type(self), arguments, self._memory, *modes)

    def astype(self: Network, dtype: Any) -> Network:
        """The same network in another dtype: parameters, velocity and running statistics."""
        kind, arguments, memory, *modes = self.__reduce__()[1]
        dtype = as_dtype("MLP.astype", dtype)
        new: Network = restore(
            kind, arguments | {"dtype": dtype.name}, memory.astype(dtype), *modes
        )
        return new


def restore(
    kind: Any, arguments: dict[str, Any], memory: Array, training: bool, missing: list[Key]
) -> Any:
    """A network from its pickle."""
    net = object.__new__(kind)
    net._make(**arguments)
    net._memory[:] = memory
    net._set_mode(training)
    net._gradients.hold(missing)
    return net
