"""Layers of the course's interface. In a network they are views over its flat vectors.

Alone, a layer owns its arrays. `MLP` gives it views of its own instead, so that
`layer.W = a` writes into the network's parameter vector.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np

import kernels
from kernels.activation import ACTIVATIONS
from kernels.boundary import cast, fits, to_array, to_floats
from kernels.op import OPS, Op
from mlp.arguments import as_dtype, by_name, whole

Array = np.ndarray
Reader = Callable[[], Array | None]

ACTIVATION_CODES = {op.name: code for code, op in enumerate(ACTIVATIONS)}


class View:
    """An array attribute of a layer: reading gives the array, assigning writes into it."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: Any, owner: type | None = None) -> Any:
        return self if layer is None else layer.arrays[self.name]

    def __set__(self, layer: Any, value: Any) -> None:
        array = layer.arrays[self.name]
        where = f"{type(layer).__name__}.{self.name}"
        new = to_floats(where, value, array.dtype)
        is_row = array.shape[0] == 1 and new.shape == array.shape[1:]
        if new.shape != array.shape and not is_row:
            raise ValueError(f"{where} is given shape {new.shape}, expected {array.shape}")
        array[...] = new
        layer.changed()


class Layer:
    """A layer whose arrays are views, of its own memory or of a network's.

    In a network, `dx` is that of the network's last backward; `forward` and `backward` of
    the layer alone still work, on the network's parameters.
    """

    def __init__(self, dtype: Any, arrays: dict[str, tuple[int, int]]):
        self.dtype = as_dtype(type(self).__name__, dtype)
        self.arrays = {name: np.zeros(shape, self.dtype) for name, shape in arrays.items()}
        self.changed: Callable[[], None] = lambda: None
        self._x: Array | None = None
        self._own_dx: Array | None = None
        self._network_dx: Reader | None = None

    def bind(self, dx: Reader, changed: Callable[[], None], views: dict[str, Array]) -> None:
        """Move into a network's memory, values and all; tell it of every assignment."""
        for name, view in views.items():
            view[...] = self.arrays[name]
        self.arrays = self.arrays | views
        self._network_dx, self.changed = dx, changed

    @property
    def dx(self) -> Array | None:
        """Gradient with respect to the layer's input; None before a backward."""
        return self._own_dx if self._network_dx is None else self._network_dx()

    def _input(self, x: Any) -> Array:
        """A copy of the input, so that the caller may reuse the array before backward."""
        return np.array(to_floats(f"{type(self).__name__}.forward: x", x, self.dtype))

    def _recall(self) -> Array:
        if self._x is None:
            raise ValueError(f"{type(self).__name__}.backward: got no input to differentiate at, "
                             "expected a forward before it")
        return self._x


class Linear(Layer):
    """y = x·W + b, with W (in, out) and b (1, out).

    `dW` and `db` are sums over the batch of what the gradient of y gives; a mean, where one
    is wanted, belongs to the loss.
    """

    W, b, dW, db, momentum_W, momentum_b = (View() for _ in range(6))

    def __init__(
        self,
        in_feature: int,
        out_feature: int,
        weight_init_fn: Callable[[int, int], Any],
        bias_init_fn: Callable[[int], Any] | None = None,
        dtype: Any = np.float64,
    ):
        n_in = whole("Linear: in_feature", in_feature, low=1)
        n_out = whole("Linear: out_feature", out_feature, low=1)
        shapes = {"W": (n_in, n_out), "b": (1, n_out)}
        prefixes = ("", "d", "momentum_")
        super().__init__(dtype, {p + n: shape for n, shape in shapes.items() for p in prefixes})
        for name, function in ("weight_init_fn", weight_init_fn), ("bias_init_fn", bias_init_fn):
            if not callable(function) and (function is not None or name == "weight_init_fn"):
                raise TypeError(f"Linear: {name} is {function!r}, expected a function")
        self.W = self._initial("W", weight_init_fn(n_in, n_out))
        if bias_init_fn is not None:
            self.b = self._initial("b", bias_init_fn(n_out))

    def _initial(self, name: str, value: Any) -> Array:
        """A user's function need not know the dtype: what it gives is cast."""
        where = f"Linear: initial {name}"
        given: Array = cast(where, to_array(where, value, "fiub", "an array of numbers"), self.dtype)
        return given

    def forward(self, x: Any) -> Array:
        x = self._input(x)
        y: Array = kernels.affine_forward(x, self.W, self.b[0])
        self._x = x
        return y

    def backward(self, delta: Any) -> Array:
        """Fills `dW` and `db`, and returns the gradient with respect to x."""
        dx, self.dW, self.db = kernels.affine_backward(delta, self._recall(), self.W)
        self._own_dx = np.array(dx)
        return self._own_dx.copy()

    __call__ = forward

    def __repr__(self) -> str:
        return f"Linear({self.W.shape[0]}, {self.W.shape[1]})"


class BatchNorm(Layer):
    """y = gamma·(x - mean)/√(var + eps) + beta over the batch (`kernels.batchnorm`).

    Variances are biased. In training, running = alpha·running + (1 - alpha)·batch; in
    evaluation the running values take the place of the batch's. Arrays are (1, n);
    `running_mean` starts at 0, `running_var` at 1.
    """

    gamma, beta, dgamma, dbeta, running_mean, running_var, settings = (View() for _ in range(7))

    def __init__(self, in_feature: int, alpha: float = 0.9, dtype: Any = np.float64):
        n = whole("BatchNorm: in_feature", in_feature, low=1)
        names = ("gamma", "beta", "dgamma", "dbeta", "running_mean", "running_var")
        super().__init__(dtype, dict.fromkeys(names, (1, n)) | {"settings": (1, 2)})
        self.gamma[...] = self.running_var[...] = 1
        self.eps = OPS["batchnorm"].hyper["eps"].default
        self.alpha = alpha
        self._backward: Callable[[Any], Any] | None = None

    @property
    def eps(self) -> float:
        return float(self.settings[0, 0])

    @eps.setter
    def eps(self, value: float) -> None:
        self._set(0, "eps", OPS["batchnorm"].hyper["eps"].check("BatchNorm: eps", value))

    @property
    def alpha(self) -> float:
        """The weight of the old value in the running averages."""
        return float(self.settings[0, 1])

    @alpha.setter
    def alpha(self, value: float) -> None:
        self._set(1, "alpha", OPS["running_average"].hyper["alpha"].check("BatchNorm: alpha", value))

    def _set(self, column: int, name: str, value: float) -> None:
        self.settings[0, column] = fits(f"BatchNorm: {name}", value, self.dtype)
        self.changed()

    def forward(self, x: Any, eval: bool = False) -> Array:  # noqa: A002, the course's name
        x, gamma, beta, eps = self._input(x), self.gamma[0], self.beta[0], self.eps
        if eval:
            mean, var = self.running_mean[0].copy(), self.running_var[0].copy()
            y: Array = kernels.batchnorm_inference_forward(x, gamma, beta, mean, var, eps=eps)
            self._backward = lambda delta: kernels.batchnorm_inference_backward(
                delta, x, gamma, mean, var, eps=eps
            )
            return y
        if len(x) == 1:
            raise ValueError("BatchNorm.forward: x has 1 row, expected at least 2: one sample has "
                             "no variance")
        y, mean, var, rstd = kernels.batchnorm_forward(x, gamma, beta, eps=eps)
        for running, value in (self.running_mean[0], mean), (self.running_var[0], var):
            kernels.running_average_update(running, value, alpha=self.alpha, average_next=running)
        self._backward = lambda delta: kernels.batchnorm_backward(delta, x, gamma, mean, rstd)
        return y

    def backward(self, delta: Any) -> Array:
        """Fills `dgamma` and `dbeta`, and returns the gradient with respect to x."""
        if self._backward is None:
            raise ValueError("BatchNorm.backward: got no input to differentiate at, expected a "
                             "forward before it")
        dx, self.dgamma, self.dbeta = self._backward(delta)
        self._own_dx = np.array(dx)
        return self._own_dx.copy()

    __call__ = forward

    def __repr__(self) -> str:
        return f"BatchNorm({self.gamma.shape[1]}, alpha={self.alpha:g})"


# --------------------------------------------------------------------------- activations


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
            raise ValueError(f"{self.name}: got no input to differentiate at, expected a forward "
                             "before derivative")
        dx: Array = self.op.vjp((np.ones(x.shape, self.op.forward(x).dtype),), x, **self.settings)[0]
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


# -------------------------------------------------------------------------------- losses


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
            raise ValueError(f"{self.name}: got no input to differentiate at, expected a forward "
                             "before derivative")
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
