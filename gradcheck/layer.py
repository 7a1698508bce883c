"""Layer: one way to drive whatever people call a layer.

It has forward(x), or forward(x, labels), or is called; backward(dy), backward(x, dy), or
derivative(). Outputs and gradients are returned or left in attributes.
"""

import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from gradcheck import parameters as finding
from gradcheck.arrays import float_dtype
from gradcheck.budget import check_time
from gradcheck.mode import mode_of
from gradcheck.parameters import Parameter
from gradcheck.state import Snapshot
from gradcheck.subject import FAULTS

Array = np.ndarray

OUTPUTS = ("output", "out", "y", "state", "a", "loss")
INPUT_GRADIENTS = ("dx", "dX", "dinputs", "dinput", "grad_input", "gradInput", "grad_x", "dz")
ZEROING = ("zero_grads", "zero_grad", "zero_gradients", "zeroGradParameters", "clear_grads")
COTANGENT_WORDS = ("grad", "delta", "dy", "dout", "dz", "upstream")
LABEL_WORDS = ("label", "target", "truth")


class Layer:
    """A layer, its parameters and its switches.

    Parameters
    ----------
    target : the object.
    x, labels : what forward takes; labels may be None.
    names : {"W": "dW", ...}, or None to look for parameters.
    forward, backward : names of the methods.
    training : True, False, or None to leave the mode as it is.
    """

    def __init__(
        self,
        target: Any,
        x: Any,
        labels: Any = None,
        names: dict[str, str] | None = None,
        forward: str = "forward",
        backward: str = "backward",
        training: bool | None = None,
    ):
        self.target, self.labels = target, labels
        self.run = getattr(target, forward, None) or target
        self.rule = getattr(target, backward, None)
        self.derivative = None if callable(self.rule) else getattr(target, "derivative", None)
        if not callable(self.run) or not callable(self.rule or self.derivative):
            kind = type(target).__name__
            raise TypeError(f"check_module: {kind} lacks {forward}(x), or {backward}(dy)")
        self.mode = mode_of(target, self.run)
        self.mode.training = training
        self.zeroing = next((n for n in ZEROING if callable(getattr(target, n, None))), None)
        self.arguments = arguments_of(self.rule, labels is None) if self.rule else []
        self.parameters: list[Parameter] = []
        self.returns: list[str] = []
        self.x, self.y = x, None
        self.gives_output = self.gives_dx = True
        self.find_parameters(names)

    @property
    def ignores_cotangent(self) -> bool:
        """Backward is that of a loss: it asks for no cotangent."""
        return self.rule is not None and not any(is_cotangent(a) for a in self.arguments)

    @property
    def names(self) -> list[str]:
        return [p.name for p in self.parameters] or self.returns

    def find_parameters(self, names: dict[str, str] | None) -> None:
        """Runs the layer once, because gradients often exist only then."""
        if names is not None:
            self.parameters = finding.named(self.target, names)
            return
        kept, before = Snapshot(self.target), finding.present(self.target)
        try:
            with quiet():
                y = np.asarray(self.forward(np.array(self.x)))
                found = self.backward(np.linspace(-1.0, 1.0, y.size).reshape(y.shape))
                self.parameters = finding.found(self.target, before)
            if isinstance(found, tuple) and not self.parameters:
                shapes = [np.shape(g) for g in found[1:]]
                self.returns = finding.returned(self.target, shapes)
        except FAULTS:
            self.parameters = finding.found(self.target, before)
        finally:
            kept.restore()

    # ------------------------------------------------------------------ calls

    def forward(self, x: Any) -> Any:
        """What forward gives; (N,) losses and the like as they are."""
        check_time()
        self.mode.apply()
        self.x = x
        given = (x,) if self.labels is None else (x, self.labels_of(x))
        value = self.run(*given, **self.mode.keywords())
        self.gives_output = value is not None
        if value is None:
            value = next((v for n in OUTPUTS if is_array(v := getattr(self.target, n, None))), None)
        if value is None:
            raise TypeError("forward returns None")
        self.y = value[0] if isinstance(value, tuple) else value
        return self.y

    def labels_of(self, x: Any) -> Any:
        """As many labels as there are rows."""
        count, shape = np.shape(x)[:1], np.shape(self.labels)
        if not shape or shape[:1] == count:
            return self.labels
        return np.resize(np.asarray(self.labels), (*count, *shape[1:]))

    def backward(self, dy: Any) -> Any:
        """dx, or what was returned in its place."""
        check_time()
        if self.derivative is not None:
            slope = np.asarray(self.derivative())
            return slope * match(np.asarray(dy), slope)
        assert self.rule is not None
        value = self.rule(*(self.argument(name, dy) for name in self.arguments))
        self.gives_dx = value is not None
        if value is None:
            named = (getattr(self.target, n, None) for n in INPUT_GRADIENTS)
            return next((v for v in named if is_array(v)), None)
        return value

    def argument(self, name: str, dy: Any) -> Any:
        if any(word in name.lower() for word in LABEL_WORDS) and self.labels is not None:
            return self.labels_of(self.x)
        return dy if is_cotangent(name) or len(self.arguments) == 1 else self.x

    def zero(self) -> None:
        """Clears the gradients, by the layer's own method where it has one."""
        if self.zeroing is not None:
            getattr(self.target, self.zeroing)()
            return
        for parameter in self.parameters:
            gradient = parameter.gradient.get()
            if isinstance(gradient, np.ndarray) and gradient.flags.writeable:
                gradient[...] = 0
            elif isinstance(gradient, float):
                parameter.gradient.put(0.0)

    # ------------------------------------------------------------------ parameters

    def values(self) -> list[Array]:
        """The parameters, as floating arrays of their own."""
        found = [np.array(place.get()) for place in self.places()]
        return [v.astype(float_dtype(v)) for v in found]

    def places(self) -> list[finding.Place]:
        if self.parameters:
            return [p.value for p in self.parameters]
        return [finding.Place(self.target, name) for name in self.returns]

    def put(self, values: Sequence[Any]) -> None:
        for place, value in zip(self.places(), values, strict=True):
            place.put(np.asarray(value))

    def gradients(self, returned: Any) -> list[Any]:
        """dx and the gradient of each parameter, as they are kept; None where there is none."""
        if self.returns:
            return list(returned)
        dx = returned[0] if isinstance(returned, tuple) else returned
        return [dx, *(p.gradient.get() for p in self.parameters)]


@contextmanager
def quiet() -> Iterator[None]:
    """Their warnings are no news: what is not finite is reported as such."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.floating, float))


def is_cotangent(name: str) -> bool:
    lower = name.lower()
    return not any(word in lower for word in LABEL_WORDS) and (
        any(word in lower for word in COTANGENT_WORDS) or lower in ("d", "g", "dl", "eta", "error")
    )


def arguments_of(rule: Callable[..., Any], is_layer: bool = True) -> list[str]:
    """The names of the arguments that backward needs; of two, one is the cotangent.

    A layer is given its cotangent even where that has a default; a loss has its own, 1.
    """
    try:
        parameters = inspect.signature(rule).parameters.values()
    except (TypeError, ValueError):
        return ["dy"]
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in parameters if p.kind in kinds and p.default is p.empty]
    is_open = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    optional = [p.name for p in parameters if p.kind in kinds and p.default is not p.empty]
    if not names and (is_open or (is_layer and optional and is_cotangent(optional[0]))):
        return ["dy"]
    if len(names) == 1 and not any(word in names[0].lower() for word in LABEL_WORDS):
        return ["dy"]
    if len(names) == 2 and not any(is_cotangent(n) for n in names):
        return ["dy", names[1]]
    return names


def match(dy: Array, slope: Array) -> Array:
    """The cotangent of (N,) losses beside a derivative of shape (N, m)."""
    return dy[:, None] if dy.ndim == 1 and slope.ndim == 2 and len(dy) == len(slope) else dy
