"""Layers of the course's interface. In a network they are views over its flat vectors.

Alone, a layer owns its arrays. `MLP` gives it views of its own instead, so that
`layer.W = a` writes into the network's parameter vector.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import kernels
from kernels.arrays import cast, fits, to_array, to_floats
from kernels.op import OPS
from mlp.arguments import as_dtype, whole

Array = np.ndarray
Reader = Callable[[], Array | None]

GRADIENTS = frozenset(("dW", "db", "dgamma", "dbeta"))
"""Arrays of layers that a training step forgets."""


def checked_floats(where: str, value: Any, dtype: np.dtype) -> Array:
    """`kernels.arrays.to_floats`, typed."""
    array: Array = to_floats(where, value, dtype)
    return array


class View:
    """An array attribute of a layer: reading gives the array, assigning writes into it."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name, self.is_gradient = name, name in GRADIENTS

    def __get__(self, layer: Any, owner: type | None = None) -> Any:
        if layer is None:
            return self
        if self.is_gradient:
            layer.before_reading_gradient()
        return layer.arrays[self.name]

    def __set__(self, layer: Any, value: Any) -> None:
        array = layer.arrays[self.name]
        where = f"{type(layer).__name__}.{self.name}"
        new = checked_floats(where, value, array.dtype)
        is_row = array.shape[0] == 1 and new.shape == array.shape[1:]
        if new.shape != array.shape and not is_row:
            raise ValueError(f"{where} is given shape {new.shape}, expected {array.shape}")
        layer.before_writing(self.name)
        array[...] = new


class Layer:
    """A layer whose arrays are views, of its own memory or of a network's.

    In a network, `dx` is that of the network's last backward; `forward` and `backward` of
    the layer alone still work, on the network's parameters.
    """

    def __init__(self, dtype: Any, arrays: dict[str, tuple[int, int]]):
        self.dtype = as_dtype(type(self).__name__, dtype)
        self.arrays = {name: np.zeros(shape, self.dtype) for name, shape in arrays.items()}
        self.before_reading_gradient: Callable[[], None] = lambda: None
        self.before_writing: Callable[[str], None] = lambda name: None
        self._x: Array | None = None
        self._own_dx: Array | None = None
        self._network_dx: Reader | None = None

    def bind(
        self,
        views: dict[str, Array],
        dx: Reader,
        before_reading_gradient: Callable[[], None],
        before_writing: Callable[[str], None],
    ) -> None:
        """Move into a network's memory, values and all; tell it of what it has to know."""
        for name, view in views.items():
            view[...] = self.arrays[name]
        self.arrays = self.arrays | views
        self._network_dx = dx
        self.before_reading_gradient = before_reading_gradient
        self.before_writing = before_writing

    @property
    def dx(self) -> Array | None:
        """Gradient with respect to the layer's input; None before a backward."""
        return self._own_dx if self._network_dx is None else self._network_dx()

    def _input(self, x: Any) -> Array:
        """A copy of the input, so that the caller may reuse the array before backward."""
        return np.array(checked_floats(f"{type(self).__name__}.forward: x", x, self.dtype))

    def _recall(self) -> Array:
        if self._x is None:
            raise ValueError(
                f"{type(self).__name__}.backward: got no input to differentiate at, "
                "expected a forward before it"
            )
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
        given: Array = cast(
            where, to_array(where, value, "fiub", "an array of numbers"), self.dtype
        )
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
        return np.array(dx)

    __call__ = forward

    def __repr__(self) -> str:
        return f"Linear({self.W.shape[0]}, {self.W.shape[1]})"


class BatchNorm(Layer):
    """y = gamma·(x - mean)/√(var + eps) + beta over the batch (`kernels.batchnorm`).

    Variances are biased. In training, running = alpha·running + (1 - alpha)·batch; in
    evaluation the running values take the place of the batch's. Arrays are (1, n);
    `running_mean` starts at 0, `running_var` at 1.
    """

    gamma, beta, dgamma, dbeta, running_mean, running_var, _settings = (View() for _ in range(7))

    def __init__(self, in_feature: int, alpha: float = 0.9, dtype: Any = np.float64):
        n = whole("BatchNorm: in_feature", in_feature, low=1)
        names = ("gamma", "beta", "dgamma", "dbeta", "running_mean", "running_var")
        super().__init__(dtype, dict.fromkeys(names, (1, n)) | {"_settings": (1, 2)})
        self.gamma[...] = self.running_var[...] = 1
        self.eps = OPS["batchnorm"].hyper["eps"].default
        self.alpha = alpha
        self._backward: Callable[[Any], Any] | None = None

    @property
    def eps(self) -> float:
        return float(self._settings[0, 0])

    @eps.setter
    def eps(self, value: float) -> None:
        self._set(0, "eps", OPS["batchnorm"].hyper["eps"].check("BatchNorm: eps", value))

    @property
    def alpha(self) -> float:
        """The weight of the old value in the running averages."""
        return float(self._settings[0, 1])

    @alpha.setter
    def alpha(self, value: float) -> None:
        self._set(
            1, "alpha", OPS["running_average"].hyper["alpha"].check("BatchNorm: alpha", value)
        )

    def _set(self, column: int, name: str, value: float) -> None:
        fitting = fits(f"BatchNorm: {name}", value, self.dtype)
        self.before_writing("_settings")
        self._settings[0, column] = fitting

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
            raise ValueError(
                "BatchNorm.forward: x has 1 row, expected at least 2: one sample has no variance"
            )
        y, mean, var, rstd = kernels.batchnorm_forward(x, gamma, beta, eps=eps)
        averages = ((self.running_mean[0], mean), (self.running_var[0], var)) if len(x) else ()
        for running, value in averages:
            kernels.running_average_update(running, value, alpha=self.alpha, average_next=running)
        self._backward = lambda delta: kernels.batchnorm_backward(delta, x, gamma, mean, rstd)
        return y

    def backward(self, delta: Any) -> Array:
        """Fills `dgamma` and `dbeta`, and returns the gradient with respect to x."""
        if self._backward is None:
            raise ValueError(
                "BatchNorm.backward: got no input to differentiate at, expected a forward before it"
            )
        dx, self.dgamma, self.dbeta = self._backward(delta)
        self._own_dx = np.array(dx)
        return np.array(dx)

    __call__ = forward

    def __repr__(self) -> str:
        return f"BatchNorm({self.gamma.shape[1]}, alpha={self.alpha:g})"
