"""Layers as objects, for `check_module`: their caches, their buffers, their two modes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.catalogue.case import LARGE, PLAIN, SINGLE, SQUARE, Bug, Generator, Right, Setting
from gradcheck.catalogue.layers import BatchNorm, Linear, ReLU, Sigmoid, Tanh
from gradcheck.module import check_module
from gradcheck.verdict import Report

FAMILY = "modules"


@dataclass(frozen=True)
class Module:
    """For `check_module`."""

    layer: Any
    x: Any
    options: dict[str, Any] = field(default_factory=dict)

    def report(self, seed: int) -> Report:
        return check_module(self.layer, self.x, seed=seed, **self.options)


Make = Callable[[Generator], Module]


def linear(kind: Any, at: Setting, **options: Any) -> Make:
    def make(rng: Generator) -> Module:
        layer = kind(at.plain(rng, at.inputs, at.outputs), at.plain(rng, 1, at.outputs))
        return Module(layer, at.normal(rng, at.batch, at.inputs), options)

    return make


def batchnorm(kind: Any, at: Setting, is_default: bool = False, **options: Any) -> Make:
    def make(rng: Generator) -> Module:
        gamma = np.asarray(1 + 0.5 * rng.random((1, at.inputs)), at.dtype)
        beta = at.plain(rng, 1, at.inputs)
        if is_default:
            gamma, beta = np.ones_like(gamma), np.zeros_like(beta)
        return Module(kind(gamma, beta), 2 + at.normal(rng, at.batch, at.inputs), options)

    return make


def activation(kind: Any, at: Setting) -> Make:
    return lambda rng: Module(kind(), at.normal(rng, at.batch, at.inputs))


# ---------------------------------------------------------------- linear layers


class Accumulating(Linear):
    """Adds to dW and db until zero_grad is called."""

    def backward(self, delta: Any) -> Any:
        before = self.dW, self.db
        dx = super().backward(delta)
        self.dW, self.db = self.dW + before[0], self.db + before[1]
        return dx

    def zero_grad(self) -> None:
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)


class AddsUncleared(Accumulating):
    """Adds as well, but nobody can clear."""

    zero_grad = None  # type: ignore[assignment]


class ClearsWeightsOnly(Accumulating):
    def zero_grad(self) -> None:
        self.dW = np.zeros_like(self.W)


class OverwritesBias(Accumulating):
    def backward(self, delta: Any) -> Any:
        dx = super().backward(delta)
        self.db = delta.sum(axis=0, keepdims=True)
        return dx


class KeepsFirst(Linear):
    x: Any = None

    def forward(self, x: Any) -> Any:
        if self.x is None or self.x.shape != x.shape:
            self.x = x.copy()
        return x @ self.W + self.b


class Transposed(Linear):
    def backward(self, delta: Any) -> Any:
        dx = super().backward(delta)
        self.dW = self.dW.T
        return dx


class WrongWeights(Linear):
    def backward(self, delta: Any) -> Any:
        super().backward(delta)
        return delta @ self.W


class UpdatesInBackward(Linear):
    def backward(self, delta: Any) -> Any:
        dx = super().backward(delta)
        self.W -= np.asarray(0.1, self.W.dtype) * self.dW
        return dx


class UpdatesFirst(Linear):
    """The step is made between the gradient of W and that of x."""

    def backward(self, delta: Any) -> Any:
        super().backward(delta)
        self.W -= np.asarray(0.1, self.W.dtype) * self.dW
        return delta @ self.W.T


class BiasOfFirstSample(Linear):
    def backward(self, delta: Any) -> Any:
        dx = super().backward(delta)
        self.db = delta[:1].copy()
        return dx


class BiasUnsummed(Linear):
    def backward(self, delta: Any) -> Any:
        dx = super().backward(delta)
        self.db = delta
        return dx


class ReusesOutput(Linear):
    out: Any = None

    def forward(self, x: Any) -> Any:
        y = super().forward(x)
        if self.out is None or self.out.shape != y.shape:
            self.out = np.empty_like(y)
        self.out[...] = y
        return self.out


class SpoilsDelta(Linear):
    def backward(self, delta: Any) -> Any:
        dx = super().backward(delta)
        delta *= 0.5
        return dx


class StopsHere(Linear):
    def backward(self, delta: Any) -> Any:
        return np.zeros_like(super().backward(delta))


class NegativeGradient(Linear):
    def backward(self, delta: Any) -> Any:
        dx = super().backward(delta)
        self.dW = -self.dW
        return dx


LINEAR: tuple[tuple[str, tuple[str, ...], Any, tuple[Setting, ...], dict[str, Any]], ...] = (
    ("gradients are added up and never cleared", ("accumulates-into-stale-buffer",),
     AddsUncleared, (PLAIN, SINGLE), {}),
    ("zero_grad forgets db", ("accumulates-into-stale-buffer",), ClearsWeightsOnly, (PLAIN,), {}),
    ("accumulate mode ignored", ("overwrites-instead-of-accumulating",), Linear,
     (PLAIN, SINGLE), {"accumulate": True}),
    ("accumulate mode ignored for the bias", ("overwrites-instead-of-accumulating",),
     OverwritesBias, (PLAIN,), {"accumulate": True}),
    ("the first input is kept", ("stale-cache",), KeepsFirst, (PLAIN,), {}),
    ("dW transposed", ("transposed",), Transposed, (SQUARE, PLAIN), {}),
    ("dx with W where Wᵀ is meant", ("wrong-weights",), WrongWeights, (SQUARE,), {}),
    ("backward makes the step", ("parameter-modified", "input-modified"), UpdatesInBackward,
     (PLAIN,), {}),
    ("backward makes the step before dx", ("parameter-modified", "wrong-weights",
     "input-modified"), UpdatesFirst, (PLAIN,), {}),
    ("db of the first sample", ("bias-not-summed", "samples-missing"), BiasOfFirstSample,
     (PLAIN,), {}),
    ("db not summed", ("bias-not-summed",), BiasUnsummed, (PLAIN, LARGE), {}),
    ("the output is a buffer", ("cache-aliased",), ReusesOutput, (PLAIN,), {}),
    ("delta is halved in place", ("cotangent-modified",), SpoilsDelta, (PLAIN,), {}),
    ("dx is zero", ("gradient-stops",), StopsHere, (PLAIN, SINGLE), {}),
    ("dW of the wrong sign", ("sign-flipped",), NegativeGradient, (PLAIN,), {}),
)  # fmt: skip


# ---------------------------------------------------------------- batchnorm layers


class MeanMissing(BatchNorm):
    def terms(self, delta: Any) -> Any:
        return delta - self.hat * (delta * self.hat).mean(axis=0)


class VarianceMissing(BatchNorm):
    def terms(self, delta: Any) -> Any:
        return delta - delta.mean(axis=0)


class ConstantStatistics(BatchNorm):
    def terms(self, delta: Any) -> Any:
        return delta


class GammaMissing(BatchNorm):
    def backward(self, delta: Any) -> Any:
        super().backward(delta)
        return self.rstd * self.terms(delta)


class AlphaSwapped(BatchNorm):
    def remember(self, mean: Any, variance: Any, n: int) -> None:
        self.running_mean = (1 - self.alpha) * self.running_mean + self.alpha * mean
        self.running_var = (1 - self.alpha) * self.running_var + self.alpha * variance


class NeverRemembers(BatchNorm):
    def remember(self, mean: Any, variance: Any, n: int) -> None:
        """The line is missing."""


class RemembersDeviation(BatchNorm):
    def remember(self, mean: Any, variance: Any, n: int) -> None:
        super().remember(mean, np.sqrt(variance), n)


class DriftsInEvaluation(BatchNorm):
    def statistics(self, x: Any, is_evaluated: bool) -> Any:
        mean, variance = x.mean(axis=0, keepdims=True), x.var(axis=0, keepdims=True)
        self.remember(mean, variance, len(x))
        return (self.running_mean, self.running_var) if is_evaluated else (mean, variance)


class IgnoresEvaluation(BatchNorm):
    """The flag does not arrive."""

    def forward(self, x: Any, eval: bool = False) -> Any:  # noqa: A002
        return super().forward(x, False)


class TrainedBackward(BatchNorm):
    """Backward of training, whatever the mode."""

    def backward(self, delta: Any) -> Any:
        self.is_evaluated = False
        return super().backward(delta)


class UsesRunningInTraining(BatchNorm):
    def statistics(self, x: Any, is_evaluated: bool) -> Any:
        super().statistics(x, is_evaluated)
        return self.running_mean, self.running_var


class UnbiasedRunning(BatchNorm):
    """As PyTorch stores it: a convention."""

    def remember(self, mean: Any, variance: Any, n: int) -> None:
        super().remember(mean, variance * n / (n - 1), n)


class SwapsGradients(BatchNorm):
    def backward(self, delta: Any) -> Any:
        dx = super().backward(delta)
        self.dgamma, self.dbeta = self.dbeta, self.dgamma
        return dx


DRIFT, MODE = ("running-statistics-drift",), ("batchnorm-mode-confused",)
ALONE = Setting(16, 4, 4)
BATCHNORM: tuple[tuple[str, tuple[str, ...], Any, dict[str, Any]], ...] = (
    ("the mean term missing", ("batchnorm-mean-term-missing",), MeanMissing, {}),
    ("the variance term missing", ("batchnorm-variance-term-missing",), VarianceMissing, {}),
    ("statistics as constants", ("batchnorm-statistics-constant",), ConstantStatistics, {}),
    ("γ missing in dx", ("batchnorm-gamma-missing",), GammaMissing, {}),
    ("γ missing in dx, γ = 1", ("batchnorm-gamma-missing",), GammaMissing, {"is_default": True}),
    ("alpha swapped", DRIFT, AlphaSwapped, {}),
    ("running statistics are never updated", DRIFT, NeverRemembers, {}),
    ("the deviation is stored for the variance", DRIFT, RemembersDeviation, {}),
    ("running statistics move in evaluation", (*DRIFT, *MODE), DriftsInEvaluation, {}),
    ("the flag of evaluation is ignored", (*MODE, *DRIFT), IgnoresEvaluation, {}),
    ("backward of training in evaluation", MODE, TrainedBackward, {}),
    ("backward of training, checked in evaluation", MODE, TrainedBackward, {"mode": "eval"}),
    ("running statistics are used in training", (*MODE, "batchnorm-statistics-constant"),
     UsesRunningInTraining, {}),
    ("dγ and dβ in each other's place", ("swapped-gradients",), SwapsGradients, {}),
)  # fmt: skip


# ---------------------------------------------------------------- activations


class ForgetsDerivative(Tanh):
    def derivative(self) -> Any:
        return np.ones_like(self.state)


class TanhAtInput(Tanh):
    def forward(self, x: Any) -> Any:
        self.x = x
        return super().forward(x)

    def derivative(self) -> Any:
        return 1 - self.x**2


class DoubleSigmoid(Sigmoid):
    """σ is applied once more to what is σ(x) already."""

    def derivative(self) -> Any:
        again = 1 / (1 + np.exp(-self.state))
        return again * (1 - again)


class StateInPlace(ReLU):
    """Works in place, on the caller's array."""

    def forward(self, x: Any) -> Any:
        self.state = np.maximum(x, 0, out=x)
        return self.state


class AllPositive(ReLU):
    def derivative(self) -> Any:
        return np.ones_like(self.state)


ACTIVATIONS: tuple[tuple[str, tuple[str, ...], Any], ...] = (
    ("tanh' missing", ("activation-derivative-missing",), ForgetsDerivative),
    ("tanh' from the input, 1 − x²",
     ("output-formula-at-input", "activation-derivative-at-output"), TanhAtInput),
    ("sigmoid' of the output", ("activation-derivative-at-output",), DoubleSigmoid),
    ("ReLU in place", ("input-modified",), StateInPlace),
    ("ReLU' is one", ("activation-derivative-missing",), AllPositive),
)  # fmt: skip


def bugs() -> Iterator[Bug]:
    for name, slugs, kind, settings, options in LINEAR:
        for at in settings:
            yield Bug(f"linear: {name}, {at}", FAMILY, linear(kind, at, **options), slugs)
    for name, slugs, kind, options in BATCHNORM:
        yield Bug(f"batchnorm: {name}", FAMILY, batchnorm(kind, PLAIN, **options), slugs)
    for name, slugs, kind in ACTIVATIONS:
        yield Bug(name, FAMILY, activation(kind, PLAIN), slugs)


def rights() -> Iterator[Right]:
    for at in (PLAIN, SINGLE, SQUARE, Setting(1, 5, 4)):
        yield Right(f"linear layer, {at}", FAMILY, linear(Linear, at))
        yield Right(f"accumulating layer, {at}", FAMILY, linear(Accumulating, at))
    yield Right(
        "accumulating layer, as asked", FAMILY, linear(Accumulating, PLAIN, accumulate=True)
    )
    for at in (PLAIN, SINGLE, ALONE):
        yield Right(f"batchnorm layer, {at}", FAMILY, batchnorm(BatchNorm, at))
        yield Right(
            f"batchnorm layer in evaluation, {at}", FAMILY, batchnorm(BatchNorm, at, mode="eval")
        )
    yield Right("batchnorm layer, γ = 1", FAMILY, batchnorm(BatchNorm, PLAIN, is_default=True))
    yield Right(
        "batchnorm layer, unbiased running variance",
        FAMILY,
        batchnorm(UnbiasedRunning, PLAIN),
        "unbiased-running-variance",
    )
    yield Right("a layer with dead units", FAMILY, dead_units, "dead-unit")
    for kind in (ReLU, Tanh, Sigmoid):
        for at in (PLAIN, SINGLE):
            yield Right(f"{kind.__name__}, {at}", FAMILY, activation(kind, at))


class Rectified(Linear):
    """A linear layer and ReLU in one."""

    def forward(self, x: Any) -> Any:
        self.mask = super().forward(x) > 0
        return super().forward(x) * self.mask

    def backward(self, delta: Any) -> Any:
        return super().backward(delta * self.mask)


def dead_units(rng: Generator) -> Module:
    b = np.array([[0.3, -100.0, 0.2, -100.0]])
    return Module(Rectified(rng.standard_normal((5, 4)), b), rng.standard_normal((9, 5)))
