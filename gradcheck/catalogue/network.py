"""Whole networks of the course's interface, for `check_network`: one thing wrong in one place."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.catalogue.case import Bug, Generator, Right
from gradcheck.catalogue.layers import BatchNorm, Linear, ReLU, Sigmoid, SoftmaxCrossEntropy, Tanh
from gradcheck.catalogue.layers import Identity as Last
from gradcheck.catalogue.module import (
    BiasOfFirstSample,
    ConstantStatistics,
    GammaMissing,
    KeepsFirst,
    MeanMissing,
    NegativeGradient,
    StopsHere,
    Transposed,
    UpdatesFirst,
    VarianceMissing,
    WrongWeights,
)
from gradcheck.network import check_network
from gradcheck.verdict import Report

FAMILY = "networks"
WIDTHS, SQUARE_WIDTHS = (5, 6, 4, 3), (4, 4, 4, 4)
BATCH = 8


@dataclass(frozen=True)
class Network:
    """For `check_network`."""

    net: Any
    x: Any
    labels: Any

    def report(self, seed: int) -> Report:
        return check_network(self.net, self.x, self.labels, seed)


class MLP:
    """Linear layers, batchnorm behind the first of them, activations, and the mean loss.

    `backward` is written as a loop over the layers, so that a mistake can be made in its order.
    """

    reduction = "mean"

    def __init__(
        self, linear_layers: Sequence[Any], bn_layers: Sequence[Any], activations: Sequence[Any]
    ):
        self.linear_layers, self.bn_layers = list(linear_layers), list(bn_layers)
        self.activations, self.criterion = list(activations), SoftmaxCrossEntropy()
        self.nlayers = len(self.linear_layers)
        self.train_mode = True

    def zero_grads(self) -> None:
        for layer in self.linear_layers:
            layer.dW, layer.db = np.zeros_like(layer.W), np.zeros_like(layer.b)
        for layer in self.bn_layers:
            layer.dgamma, layer.dbeta = np.zeros_like(layer.gamma), np.zeros_like(layer.beta)

    def forward(self, x: Any) -> Any:
        for i in range(self.nlayers):
            x = self.linear_layers[i].forward(x)
            if i < len(self.bn_layers):
                x = self.bn_layers[i].forward(x)
            x = self.activations[i].forward(x)
        self.output = x
        return x

    def start(self, labels: Any) -> Any:
        """The gradient with respect to the output."""
        self.criterion.forward(self.output, labels)
        return self.criterion.derivative()

    def backward(self, labels: Any) -> Any:
        delta = self.start(labels)
        for i in reversed(range(self.nlayers)):
            delta = self.through(i, delta)
        return delta

    def through(self, i: int, delta: Any) -> Any:
        """Backward through one layer with what belongs to it."""
        delta = delta * self.activations[i].derivative()
        if i < len(self.bn_layers):
            delta = self.bn_layers[i].backward(delta)
        return self.linear_layers[i].backward(delta)


# ---------------------------------------------------------------- mistakes in the loop


class BatchForgotten(MLP):
    def start(self, labels: Any) -> Any:
        return len(labels) * super().start(labels)


class BatchTwice(MLP):
    def start(self, labels: Any) -> Any:
        return super().start(labels) / len(labels)


class SignFlipped(MLP):
    def start(self, labels: Any) -> Any:
        return -super().start(labels)


class TargetsForgotten(MLP):
    def start(self, labels: Any) -> Any:
        super().start(labels)
        return self.criterion.p / len(labels)


class SoftmaxOverBatch(MLP):
    def start(self, labels: Any) -> Any:
        e = np.exp(self.output - self.output.max(axis=0))
        return (e / e.sum(axis=0) - labels) / len(labels)


class TargetsSummed(MLP):
    """p·Σy − y"""

    def start(self, labels: Any) -> Any:
        super().start(labels)
        return (self.criterion.p * labels.sum(axis=1, keepdims=True) - labels) / len(labels)


class NoActivationDerivative(MLP):
    def through(self, i: int, delta: Any) -> Any:
        return self.linear_layers[i].backward(delta) if i == 1 else super().through(i, delta)


class NoActivationDerivatives(MLP):
    def through(self, i: int, delta: Any) -> Any:
        return self.linear_layers[i].backward(delta)


class DerivativeOfOtherLayer(MLP):
    """The activation of the layer below is taken for that of this one."""

    def through(self, i: int, delta: Any) -> Any:
        other = self.activations[i - 1 if i else 0].derivative()
        return self.linear_layers[i].backward(delta * other)


class MaskOnDelta(MLP):
    def through(self, i: int, delta: Any) -> Any:
        if i == self.nlayers - 1:
            return super().through(i, delta)
        return self.linear_layers[i].backward(delta * (delta > 0))


class ClipsDelta(MLP):
    def through(self, i: int, delta: Any) -> Any:
        return super().through(i, np.clip(delta, -0.02, 0.02))


class WrongOrder(MLP):
    """Backward goes through the layers in the order of forward; all are of one width."""

    def backward(self, labels: Any) -> Any:
        delta = self.start(labels)
        for i in range(self.nlayers):
            delta = self.through(i, delta)
        return delta


class SkipsLayer(MLP):
    """The second layer is left out on the way back; all are of one width."""

    def backward(self, labels: Any) -> Any:
        delta = self.start(labels)
        for i in reversed(range(self.nlayers)):
            below = self.through(i, delta)
            delta = delta if i == 1 else below
        return delta


class Stops(MLP):
    def through(self, i: int, delta: Any) -> Any:
        below = super().through(i, delta)
        return 0 * below if i == 1 else below


class WeightsOfOtherLayer(MLP):
    def through(self, i: int, delta: Any) -> Any:
        super().through(i, delta)
        local = delta * self.activations[i].derivative()
        return local @ self.linear_layers[i - 1 if i else 0].W.T


class SkipsBatchNorm(MLP):
    def through(self, i: int, delta: Any) -> Any:
        return self.linear_layers[i].backward(delta * self.activations[i].derivative())


class NeverClears(MLP):
    """Adds up, and zero_grads does nothing."""

    def zero_grads(self) -> None:
        """To do."""

    def through(self, i: int, delta: Any) -> Any:
        layer = self.linear_layers[i]
        before = layer.dW, layer.db
        below = super().through(i, delta)
        layer.dW, layer.db = layer.dW + before[0], layer.db + before[1]
        return below


class DecayInGradient(MLP):
    """The decay of the weights is in the gradients, but not in the loss."""

    def through(self, i: int, delta: Any) -> Any:
        below = super().through(i, delta)
        self.linear_layers[i].dW = self.linear_layers[i].dW + 0.05 * self.linear_layers[i].W
        return below


class WithoutInputGradient(MLP):
    """A batchnorm before everything else would be wrong where nobody looks."""

    def backward(self, labels: Any) -> None:
        super().backward(labels)


class KeepsFirstOutput(MLP):
    kept: Any = None

    def start(self, labels: Any) -> Any:
        if self.kept is None or self.kept.shape != self.output.shape:
            self.kept = self.output.copy()
        self.criterion.forward(self.kept, labels)
        return self.criterion.derivative()


def build(
    net: Any = MLP,
    widths: Sequence[int] = WIDTHS,
    activation: Any = Tanh,
    batchnorm: int = 0,
    linear: Any = Linear,
    place: int = 1,
    norm: Any = BatchNorm,
    dtype: Any = np.float64,
    is_soft: bool = False,
    batch: int = BATCH,
) -> Callable[[Generator], Network]:
    """Makes a network; `linear` and `norm` stand at one place, right layers everywhere else."""

    def make(rng: Generator) -> Network:
        def random(*shape: int) -> Any:
            return np.asarray(rng.standard_normal(shape), dtype)

        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        layers = [
            (linear if i == place else Linear)(random(*pair), random(1, pair[1]) / 2)
            for i, pair in enumerate(pairs)
        ]
        norms = [
            (norm if i == min(place, batchnorm - 1) else BatchNorm)(
                np.abs(random(1, n)) + np.asarray(0.5, dtype), random(1, n)
            )
            for i, n in enumerate(widths[1:][:batchnorm])
        ]
        activations = [*(activation() for _ in pairs[:-1]), Last()]
        x = random(batch, widths[0])
        y = np.eye(widths[-1], dtype=dtype)[rng.integers(0, widths[-1], batch)]
        if is_soft:
            y = np.asarray(rng.uniform(0, 2, y.shape), dtype)
        return Network(net(layers, norms, activations), x, y)

    return make


WRONG_WEIGHTS, STOPS = ("wrong-weights",), ("gradient-stops",)
MISSING = ("activation-derivative-missing",)

MISTAKES: tuple[tuple[str, tuple[str, ...], dict[str, Any]], ...] = (
    ("1/N missing", ("scaled-by-batch",), {"net": BatchForgotten}),
    ("1/N missing, float32", ("scaled-by-batch",), {"net": BatchForgotten, "dtype": np.float32}),
    ("1/N twice", ("divided-by-batch-twice",), {"net": BatchTwice}),
    ("y − p", ("sign-flipped",), {"net": SignFlipped, "activation": ReLU}),
    ("the targets not subtracted", ("one-hot-not-subtracted",), {"net": TargetsForgotten}),
    ("softmax over the batch", ("softmax-wrong-axis",), {"net": SoftmaxOverBatch}),
    ("p·Σy − y", ("targets-not-normalised",), {"net": TargetsSummed, "is_soft": True}),
    ("tanh' missing in the second layer", MISSING, {"net": NoActivationDerivative}),
    ("sigmoid' missing in the second layer", MISSING,
     {"net": NoActivationDerivative, "activation": Sigmoid}),
    ("ReLU' missing everywhere", MISSING, {"net": NoActivationDerivatives, "activation": ReLU}),
    ("tanh' of the layer below", ("stale-cache", *WRONG_WEIGHTS, *MISSING, "other-layers-values"),
     {"net": DerivativeOfOtherLayer, "widths": SQUARE_WIDTHS}),
    ("the mask is on δ", ("cotangent-masked",), {"net": MaskOnDelta, "activation": ReLU}),
    ("δ is clipped", ("cotangent-clipped",), {"net": ClipsDelta}),
    ("backward in the order of forward", ("layers-out-of-order", *WRONG_WEIGHTS),
     {"net": WrongOrder, "widths": SQUARE_WIDTHS}),
    ("a layer is skipped on the way back", ("layers-out-of-order", *WRONG_WEIGHTS),
     {"net": SkipsLayer, "widths": SQUARE_WIDTHS}),
    ("the gradient stops at the second layer", STOPS, {"net": Stops}),
    ("dx of the second layer is zero", STOPS, {"linear": StopsHere}),
    ("dx of the last layer is zero", STOPS, {"linear": StopsHere, "place": 2}),
    ("weights of the layer below", WRONG_WEIGHTS,
     {"net": WeightsOfOtherLayer, "widths": SQUARE_WIDTHS}),
    ("W for Wᵀ in the second layer", WRONG_WEIGHTS,
     {"linear": WrongWeights, "widths": SQUARE_WIDTHS}),
    ("the step is made before dx", (*WRONG_WEIGHTS, "parameter-modified", "input-modified"),
     {"linear": UpdatesFirst}),
    ("dW transposed in the second layer", ("transposed",),
     {"linear": Transposed, "widths": SQUARE_WIDTHS}),
    ("dW in the shape of its transpose", ("transposed",), {"linear": Transposed}),
    ("db of the first sample", ("bias-not-summed", "samples-missing"),
     {"linear": BiasOfFirstSample}),
    ("dW of the wrong sign in the last layer", ("sign-flipped",),
     {"linear": NegativeGradient, "place": 2}),
    ("the first input is kept", ("stale-cache",), {"linear": KeepsFirst}),
    ("the first output is kept", ("stale-cache",), {"net": KeepsFirstOutput}),
    ("gradients are never cleared", ("accumulates-into-stale-buffer",), {"net": NeverClears}),
    ("decay in the gradients only", ("weight-decay-mismatch",), {"net": DecayInGradient}),
    ("batchnorm is skipped", ("batchnorm-skipped", "batchnorm-statistics-constant"),
     {"net": SkipsBatchNorm, "batchnorm": 2}),
    ("batchnorm's mean term missing", ("batchnorm-mean-term-missing",),
     {"norm": MeanMissing, "batchnorm": 2}),
    ("batchnorm's variance term missing", ("batchnorm-variance-term-missing",),
     {"norm": VarianceMissing, "batchnorm": 2}),
    ("batchnorm's statistics as constants", ("batchnorm-statistics-constant",),
     {"norm": ConstantStatistics, "batchnorm": 2}),
    ("batchnorm without γ", ("batchnorm-gamma-missing",), {"norm": GammaMissing, "batchnorm": 1}),
    ("batchnorm without γ, dx not returned", ("batchnorm-gamma-missing",),
     {"net": WithoutInputGradient, "norm": GammaMissing, "batchnorm": 1, "place": 0}),
    ("batchnorm's variance term missing, first layer", ("batchnorm-variance-term-missing",),
     {"net": WithoutInputGradient, "norm": VarianceMissing, "batchnorm": 1, "place": 0}),
)  # fmt: skip


def bugs() -> Iterator[Bug]:
    for name, slugs, how in MISTAKES:
        yield Bug(name, FAMILY, build(**how), slugs)


def rights() -> Iterator[Right]:
    for activation in (ReLU, Tanh, Sigmoid):
        for batchnorm in (0, 2):
            for dtype in (np.float64, np.float32):
                name = f"{activation.__name__}, {batchnorm} batchnorm, {np.dtype(dtype).name}"
                make = build(activation=activation, batchnorm=batchnorm, dtype=dtype)
                yield Right(name, FAMILY, make)
    yield Right("targets that do not sum to one", FAMILY, build(is_soft=True))
    yield Right("a batch of one", FAMILY, build(batch=1))
    yield Right("square layers", FAMILY, build(widths=SQUARE_WIDTHS))
    yield Right("no gradient of the input", FAMILY, build(net=WithoutInputGradient))
