"""Layers of the course's interface. In a network they are views over its flat vectors.

Alone, a layer owns its arrays. `MLP` gives it views of its own instead, so that
`layer.W = a` writes into the network's parameter vector.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import kernels
from kernels.activation import ACTIVATIONS
from kernels.boundary import to_array, to_floats
from kernels.op import OPS
from mlp.initializers import by_name

Array = np.ndarray

ACTIVATION_CODES = {op.name: code for code, op in enumerate(ACTIVATIONS)}


class View:
    """An array attribute of a layer: reading gives the array, assigning writes into it."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: Any, owner: type | None = None) -> Any:
        return self if layer is None else layer.__dict__["_" + self.name]

    def __set__(self, layer: Any, value: Any) -> None:
        array = layer.__dict__["_" + self.name]
        where = f"{type(layer).__name__}.{self.name}"
        new = to_floats(where, value, array.dtype)
        if new.shape != array.shape and new.shape != array.shape[1:]:
            raise ValueError(f"{where} is given shape {new.shape}, expected {array.shape}")
        array[...] = new


class Layer:
    """A layer whose arrays are views, its own or a network's."""

    dtype: np.dtype
    _x: Array | None = None
    _dx: Callable[[], Array | None] | None = None

    @property
    def dx(self) -> Array | None:
        """Gradient with respect to the layer's input; None before a backward."""
        return None if self._dx is None else self._dx()

    def bind(self, dx: Callable[[], Array | None], **views: Array) -> None:
        """Make the layer's arrays views of somebody else's memory, values and all."""
        for name, view in views.items():
            view[...] = getattr(self, name)
            self.__dict__["_" + name] = view
        self._dx = dx

    def _own(self, **arrays: Array) -> None:
        for name, array in arrays.items():
            self.__dict__["_" + name] = array

    def _remember(self, x: Any) -> Array:
        """A copy of the input for backward, so that the caller may reuse the array."""
        self._x = np.array(to_floats(f"{type(self).__name__}.forward: x", x, self.dtype))
        return self._x

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
        self.dtype = np.dtype(dtype)
        for name, shape in ("W", (in_feature, out_feature)), ("b", (1, out_feature)):
            names = (name, f"d{name}", f"momentum_{name}")
            self._own(**{key: np.zeros(shape, dtype) for key in names})
        self.W = weight_init_fn(in_feature, out_feature)
        if bias_init_fn is not None:
            self.b = bias_init_fn(out_feature)

    def forward(self, x: Array) -> Array:
        x = self._remember(x)
        return kernels.affine_forward(x, self.W, self.b[0])

    def backward(self, delta: Array) -> Array:
        """Fills `dW` and `db`, and returns the gradient with respect to x."""
        dx, self.dW, self.db = kernels.affine_backward(delta, self._recall(), self.W)
        self._dx = dx.copy
        return dx

    __call__ = forward

    def __repr__(self) -> str:
        return f"Linear({self.W.shape[0]}, {self.W.shape[1]})"


class BatchNorm(Layer):
    """y = gamma·(x - mean)/√(var + eps) + beta over the batch (`kernels.batchnorm`).

    Variances are biased. In training, running = alpha·running + (1 - alpha)·batch; in
    evaluation the running values take the place of the batch's. Arrays are (1, n);
    `running_mean` starts at 0, `running_var` at 1.
    """

    gamma, beta, dgamma, dbeta, running_mean, running_var = (View() for _ in range(6))

    def __init__(self, in_feature: int, alpha: float = 0.9, dtype: Any = np.float64):
        names = ("gamma", "beta", "dgamma", "dbeta", "running_mean", "running_var")
        self.dtype = np.dtype(dtype)
        self._own(**{name: np.zeros((1, in_feature), dtype) for name in names})
        self.gamma[...] = self.running_var[...] = 1
        self.alpha = OPS["running_average"].hyper["alpha"].check("BatchNorm: alpha", alpha)
        self.eps = OPS["batchnorm"].hyper["eps"].default

    def forward(self, x: Array, eval: bool = False) -> Array:  # noqa: A002, the course's name
        x = self._remember(x)
        self._eval = eval
        gamma, beta = self.gamma[0], self.beta[0]
        if eval:
            mean, var = self.running_mean[0], self.running_var[0]
            return kernels.batchnorm_inference_forward(x, gamma, beta, mean, var, eps=self.eps)
        y, self._mean, var, self._rstd = kernels.batchnorm_forward(x, gamma, beta, eps=self.eps)
        for running, value in (self.running_mean, self._mean), (self.running_var, var):
            running[0] = kernels.running_average_update(running[0], value, alpha=self.alpha)
        return y

    def backward(self, delta: Array) -> Array:
        """Fills `dgamma` and `dbeta`, and returns the gradient with respect to x."""
        x, gamma = self._recall(), self.gamma[0]
        if self._eval:
            statistics = self.running_mean[0], self.running_var[0]
            gradients = kernels.batchnorm_inference_backward(
                delta, x, gamma, *statistics, eps=self.eps
            )
        else:
            gradients = kernels.batchnorm_backward(delta, x, gamma, self._mean, self._rstd)
        dx, self.dgamma, self.dbeta = gradients
        self._dx = dx.copy
        return dx

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

    _x: Callable[[], Array | None] | None = None
    _y: Callable[[], Array | None] | None = None

    def __init__(self, name: str, **settings: float):
        self.name = by_name("Activation: name", name, ACTIVATION_CODES)
        self._op = OPS[self.name]
        self.settings = {key: hyper.default for key, hyper in self._op.hyper.items()}
        for key, value in settings.items():
            if key not in self.settings:
                raise TypeError(f"{self.name}: unknown setting {key!r}")
            self.settings[key] = self._op.hyper[key].check(f"{self.name}: {key}", value)

    @property
    def code(self) -> int:
        return ACTIVATION_CODES[self.name]

    def copy(self) -> "Activation":
        return Activation(self.name, **self.settings)

    @property
    def state(self) -> Array | None:
        """The last output; None before a forward."""
        return None if self._y is None else self._y()

    def bind(self, x: Callable[[], Array | None], y: Callable[[], Array | None]) -> None:
        """Take input and output from a network instead of from `forward`."""
        self._x, self._y = x, y

    def forward(self, x: Any) -> Array:
        x = np.array(to_array(f"{self.name}: x", x, "fiub", "an array of numbers"))
        y: Array = self._op.forward(x, **self.settings)
        self.bind(x.copy, y.copy)
        return y

    def derivative(self) -> Array:
        """φ' at the last input, of its shape."""
        if self._x is None:
            raise ValueError(f"{self.name}: got no input to differentiate at, expected a forward "
                             "before derivative")
        x = self._x()
        dx: Array = self._op.vjp((np.ones(x.shape, x.dtype),), x, **self.settings)[0]
        return dx

    __call__ = forward

    def __repr__(self) -> str:
        settings = "".join(f", {key}={value:g}" for key, value in self.settings.items())
        return f"Activation({self.name!r}{settings})"


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
        self._arguments = (np.array(x), np.array(y))
        losses: Array = OPS[self.name].value(*self._arguments)[0]
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
