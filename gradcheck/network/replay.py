"""The network again, in NumPy float64, from its own parameters: what each step gives.

A replay is a list of steps, each of which keeps its input and output and knows its right
backward. Of several ways in which a network may be built (where batchnorm stands, its eps,
its variance), the one that reproduces the network's outputs is taken.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from gradcheck.activations import ACTIVATIONS, Activation
from gradcheck.network.activations import KNOWN, identify
from gradcheck.subject import Raised

Array = np.ndarray

REPRODUCED = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-4}
"""Relative to the largest output: so near a replay must come to the network's outputs."""

EPSILONS = (1e-8, 1e-5, 1e-12, 1e-3, 1e-6, 1e-7, 1e-10, 0.0)
"""Those of batchnorm that are tried, after the layer's own."""

ORDERS = ("linear batchnorm activation", "linear activation batchnorm",
          "batchnorm linear activation")  # fmt: skip


@dataclass(frozen=True)
class LinearStep:
    index: int
    x: Array
    y: Array
    W: Array
    b: Array
    has_bias: bool = True
    kind: str = "linear"

    @property
    def place(self) -> str:
        return f"linear_layers[{self.index}]"

    def backward(self, delta: Array) -> Array:
        return np.asarray(delta @ self.W.T)

    def gradient(self, letter: str, delta: Array) -> Array:
        if letter == "W":
            return np.asarray(self.x.T @ delta)
        if not self.has_bias:
            return np.zeros(self.b.shape)
        return np.asarray(delta.sum(axis=0).reshape(self.b.shape))


@dataclass(frozen=True)
class BatchNormStep:
    """y = γ·x̂ + β with x̂ = (x − mean)·rstd; the statistics are the batch's or constants."""

    index: int
    x: Array
    y: Array
    gamma: Array
    beta: Array
    hat: Array
    rstd: Array
    var: Array
    form: "Form"
    kind: str = "batchnorm"

    @property
    def place(self) -> str:
        return f"bn_layers[{self.index}]"

    def backward(self, delta: Array) -> Array:
        d = delta * self.gamma if self.form.has_affine else delta
        if self.form.is_running:
            return np.asarray(d * self.rstd)
        centred, count = self.x - self.x.mean(axis=0), len(self.x) - self.form.ddof
        # 1/σ where eps stands outside the root, rstd where inside.
        slope = 1 / np.sqrt(self.var) if self.form.is_eps_outside else self.rstd
        through_variance = self.hat * (d * centred).sum(axis=0) * slope / count
        return np.asarray(self.rstd * (d - d.mean(axis=0) - through_variance))

    def gradient(self, letter: str, delta: Array) -> Array:
        if not self.form.has_affine:
            return np.zeros(self.gamma.shape)
        if letter == "gamma":
            return np.asarray((delta * self.hat).sum(axis=0).reshape(self.gamma.shape))
        return np.asarray(delta.sum(axis=0).reshape(self.beta.shape))


@dataclass(frozen=True)
class ActivationStep:
    index: int
    x: Array
    y: Array
    phi: Activation
    kind: str = "activation"

    @property
    def place(self) -> str:
        return f"activations[{self.index}]"

    @property
    def slope(self) -> Array:
        return self.phi.derivative(self.x, self.y)

    def backward(self, delta: Array) -> Array:
        return np.asarray(delta * self.slope)


Step = LinearStep | BatchNormStep | ActivationStep


@dataclass(frozen=True)
class Form:
    """What a network may do in one way or another in its forward."""

    order: str = ORDERS[0]
    eps: float | None = None
    ddof: int = 0
    is_eps_outside: bool = False
    is_running: bool = False
    unbiased: tuple[int, ...] = ()
    """The layers whose biases are left out."""
    has_affine: bool = True
    activations: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """How it differs from the course's; empty where it does not."""
        told = [
            "" if self.order == ORDERS[0] else f"each layer is {self.order.replace(' ', ', ')}",
            "batchnorm divides the variance by n − 1" if self.ddof else "",
            "batchnorm's eps is outside the root" if self.is_eps_outside else "",
            "batchnorm uses running statistics" if self.is_running else "",
            f"forward leaves out {self.left_out}" if self.unbiased else "",
            "" if self.has_affine else "batchnorm's forward leaves γ and β out",
        ]
        return ", ".join(t for t in told if t)

    @property
    def left_out(self) -> str:
        which = ", ".join(str(k) for k in self.unbiased)
        return f"the bias{'es' if len(self.unbiased) > 1 else ''} of linear layer {which}"


@dataclass(frozen=True)
class Replay:
    """One forward pass, step by step."""

    x: Array
    steps: tuple[Step, ...]
    form: Form

    @property
    def output(self) -> Array:
        return self.steps[-1].y if self.steps else self.x

    @property
    def functions(self) -> list[Activation]:
        return [step.phi for step in self.steps if isinstance(step, ActivationStep)]

    def gradients(self, delta: Array) -> dict[str, Array]:
        """Right gradients of every parameter and of the input, `delta` being the output's."""
        found: dict[str, Array] = {}
        for step in reversed(self.steps):
            for letter in letters(step):
                found[f"{step.place}.{letter}"] = step.gradient(letter, delta)  # type: ignore
            delta = step.backward(delta)
        found["input"] = delta
        return found


def letters(step: Step) -> tuple[str, ...]:
    """The parameters of a step, in the order in which backward comes to them."""
    return {"linear": ("b", "W"), "batchnorm": ("beta", "gamma")}.get(step.kind, ())


def replay(net: Any, x: Array, functions: Sequence[Activation], form: Form) -> Replay:
    """Run the network's parameters forward as `form` says."""
    steps: list[Step] = []
    value = np.asarray(x, np.float64)
    for i, layer in enumerate(net.linear_layers):
        for part in form.order.split():
            if part == "linear":
                step: Step = linear(i, layer, value, form)
            elif part == "activation":
                step = ActivationStep(i, value, functions[i].value(value), functions[i])
            elif i < len(getattr(net, "bn_layers", ())):
                step = batchnorm(i, net.bn_layers[i], value, form)
            else:
                continue
            steps.append(step)
            value = step.y
    return Replay(np.asarray(x, np.float64), tuple(steps), form)


def linear(i: int, layer: Any, x: Array, form: Form) -> LinearStep:
    W, b = np.array(layer.W, np.float64), np.array(layer.b, np.float64)
    has_bias = i not in form.unbiased
    return LinearStep(i, x, x @ W + (b if has_bias else 0), W, b, has_bias)


def batchnorm(i: int, layer: Any, x: Array, form: Form) -> BatchNormStep:
    eps = float(getattr(layer, "eps", 1e-8)) if form.eps is None else form.eps
    mean, var = x.mean(axis=0), x.var(axis=0) * len(x) / max(len(x) - form.ddof, 1)
    if form.is_running:
        mean, var = (np.array(getattr(layer, n), np.float64).ravel()
                     for n in ("running_mean", "running_var"))  # fmt: skip
    rstd = 1 / (np.sqrt(var) + eps) if form.is_eps_outside else 1 / np.sqrt(var + eps)
    hat = (x - mean) * rstd
    gamma, beta = np.array(layer.gamma, np.float64), np.array(layer.beta, np.float64)
    y = gamma * hat + beta if form.has_affine else hat
    return BatchNormStep(i, x, y, gamma, beta, hat, rstd, var, form)


def reproduce(net: Any, x: Array, output: Array) -> Replay | None:
    """The replay that gives the network's output, or None."""
    count = len(net.linear_layers)
    layers = getattr(net, "activations", None)
    if not isinstance(layers, (list, tuple)) or len(layers) != count:
        layers = [None] * count
    known = [identify(layer) if layer is not None else None for layer in layers]
    width = REPRODUCED.get(output.dtype, REPRODUCED[np.dtype(np.float64)])
    for functions in fillings(known):
        for form in forms(net):
            try:
                with np.errstate(all="ignore"):
                    found = replay(net, x, functions, form)
            except (ValueError, AttributeError, Raised):
                continue
            off = abs(found.output - output) if found.output.shape == output.shape else np.inf
            if np.max(off, initial=0) <= width * np.max(abs(output), initial=0):
                return found
    return None


def why_not_reproduced(net: Any) -> str:
    """What a network has to have for its causes to be told, in a sentence."""
    count = len(net.linear_layers)
    layers = getattr(net, "activations", None)
    if isinstance(layers, (list, tuple)) and len(layers) == count:
        what = "the output is not that of linear_layers, bn_layers and activations in turn"
    else:
        given = "no list" if not isinstance(layers, (list, tuple)) else f"{len(layers)} of them"
        what = (
            f"net.activations has {given}, and none of the usual ones fits: give it {count}, one "
            "for each of linear_layers, with forward(z), and one that gives z where there is none"
        )
    return f"no places and causes are told, as forward could not be replayed in NumPy: {what}"


def fillings(known: Sequence[Activation | None]) -> Iterator[list[Activation]]:
    """All ways to fill in the activations that are not known: one hidden, one at the output."""
    if all(a is not None for a in known):
        yield [a for a in known if a is not None]
        return
    *hidden, last = known
    for inner, outer in product(KNOWN, ACTIVATIONS.values()):
        yield [*(a or inner for a in hidden), last or outer]


def forms(net: Any) -> Iterator[Form]:
    """The course's first, then whatever else is seen."""
    plain = Form()
    every = tuple(range(len(net.linear_layers)))
    unbiased = [every, *((k,) for k in every)]
    if not getattr(net, "bn_layers", ()):
        yield from (plain, *(replace(plain, unbiased=layers) for layers in unbiased))
        return
    for order in ORDERS:
        ordered = replace(plain, order=order)
        yield from (ordered, replace(ordered, is_running=True))
        for eps in (None, *EPSILONS):
            for ddof, is_outside in product((0, 1), (False, True)):
                yield replace(ordered, eps=eps, ddof=ddof, is_eps_outside=is_outside)
    for changed in (*({"unbiased": layers} for layers in unbiased), {"has_affine": False}):
        yield from (replace(plain, eps=eps, **changed) for eps in (None, *EPSILONS))  # type: ignore
