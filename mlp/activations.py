"""Activations of the course's interface: objects that keep their output."""

from types import MappingProxyType
from typing import Any

import numpy as np

from kernels.activation import ACTIVATIONS
from kernels.arrays import to_array
from kernels.op import OPS, Op
from mlp.arguments import as_sequence, by_name
from mlp.layers import Array, Reader

ACTIVATION_CODES = {op.name: code for code, op in enumerate(ACTIVATIONS)}


class Activation:
    """φ, one value at a time; keeps its output in `state`.

    Parameters
    ----------
    name : str
        Any activation of `kernels.OPS`.
    **settings : float
        Its slope or alpha, where it has one.
    """

    def __init__(self, name: str, **settings: float):
        self.name = by_name("Activation: name", name, ACTIVATION_CODES)
        values = {key: hyper.default for key, hyper in self.op.hyper.items()}
        for key, value in settings.items():
            if key not in values:
                raise TypeError(f"{self.name}: unknown setting {key!r}")
            values[key] = self.op.hyper[key].check(f"{self.name}: {key}", value)
        self.settings = MappingProxyType(values)
        self._own: tuple[Array, Array] | None = None
        self._network: tuple[Reader, Reader] | None = None

    @property
    def op(self) -> Op:
        return OPS[self.name]

    @property
    def code(self) -> int:
        return ACTIVATION_CODES[self.name]

    @property
    def state(self) -> Array | None:
        """The last output; None before a forward. In a network, that of its last forward."""
        if self._network is not None:
            return self._network[1]()
        return None if self._own is None else self._own[1].copy()

    def bind(self, x: Reader, y: Reader) -> None:
        """Take input and output from a network instead of from `forward`."""
        self._network = x, y

    def fresh(self) -> "Activation":
        """The same activation, with no state."""
        new = object.__new__(type(self))
        Activation.__init__(new, self.name, **self.settings)
        return new

    def forward(self, x: Any) -> Array:
        x = np.array(to_array(f"{self.name}: x", x, "fiub", "an array of numbers"))
        y: Array = self.op.forward(x, **self.settings)
        self._own = x, y.copy()
        return y

    def derivative(self) -> Array:
        """φ' at the last input, of its shape."""
        x = self._network[0]() if self._network is not None else self._own and self._own[0]
        if x is None:
            raise ValueError(
                f"{self.name}: got no input to differentiate at, expected a forward "
                "before derivative"
            )
        dx: Array = self.op.vjp((np.ones(x.shape, self.op.forward(x).dtype),), x, **self.settings)[
            0
        ]
        return dx

    __call__ = forward

    def __reduce__(self) -> Any:
        return _activation, (type(self), self.name, dict(self.settings))

    def __repr__(self) -> str:
        settings = "".join(f", {key}={value:g}" for key, value in self.settings.items())
        return f"Activation({self.name!r}{settings})"


def _activation(kind: type, name: str, settings: dict[str, float]) -> Activation:
    """An activation from its pickle."""
    new: Activation = object.__new__(kind)
    Activation.__init__(new, name, **settings)
    return new


class Identity(Activation):
    def __init__(self) -> None:
        super().__init__("identity")


class ReLU(Activation):
    def __init__(self) -> None:
        super().__init__("relu")


class LeakyReLU(Activation):
    def __init__(self, slope: float = 0.01) -> None:
        super().__init__("leaky_relu", slope=slope)


class ELU(Activation):
    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__("elu", alpha=alpha)


class Sigmoid(Activation):
    def __init__(self) -> None:
        super().__init__("sigmoid")


class Tanh(Activation):
    def __init__(self) -> None:
        super().__init__("tanh")


class Softplus(Activation):
    def __init__(self) -> None:
        super().__init__("softplus")


class GELU(Activation):
    def __init__(self) -> None:
        super().__init__("gelu")


class SiLU(Activation):
    def __init__(self) -> None:
        super().__init__("silu")


def as_activations(value: Any, nlayers: int) -> list[Activation]:
    """One activation for each layer, each an object of the network's own."""
    if isinstance(value, str):
        return [as_activation("", value) for _ in range(nlayers - 1)] + [Activation("identity")]
    given = as_sequence("MLP: activations", value)
    if len(given) != nlayers:
        raise ValueError(
            f"MLP: activations has {len(given)} entries, expected {nlayers}: one for "
            "each hidden layer and one for the output"
        )
    return [as_activation(f"[{i}]", activation) for i, activation in enumerate(given)]


def as_activation(index: str, value: Any) -> Activation:
    where = f"MLP: activations{index}"
    if isinstance(value, str):
        return Activation(by_name(where, value, ACTIVATION_CODES))
    kind = type(value)
    if not isinstance(value, Activation) or (
        kind.forward is not Activation.forward or kind.derivative is not Activation.derivative
    ):
        raise TypeError(
            f"{where} is {value!r}, expected a name or an activation of this library: "
            "the compiled engine runs no other"
        )
    return value.fresh()
