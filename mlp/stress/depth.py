"""depth: how activations and gradients of random networks grow from layer to layer.

Nothing is trained. Weights are drawn for every seed and every layer, and used while they are in
the cache; where there is no room for those of all layers they are drawn once more on the way
back, so that one matrix at a time is enough for any depth. Values are
float32 with an exponent of their own beside them, so that no depth overflows or underflows:
gradients are multiplied by powers of two, which is exact because backward is linear in them;
activations only where their function is its own asymptote, or its own tangent at 0, to the last
bit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import kernels
from kernels.activation import ACTIVATIONS
from kernels.arrays import to_array
from kernels.op import OPS, Op
from mlp.activations import Activation
from mlp.arguments import by_name, whole
from mlp.stress.draws import Draw, Keys, as_draw
from mlp.stress.growth import DepthStudy, predicted
from mlp.stress.layerwise import (
    log2_mean_square,
    product,
    product_transposed,
    shift_into_range,
    shift_to_one,
)
from mlp.stress.normals import layer_keys, normal, seed_keys
from mlp.stress.series import Array

ROWS_WITH_BATCHNORM = 32
"""Of the batch, where none is given; without batchnorm each row is a network of its own, and
one is enough."""

INPUT_STREAM, GRADIENT_STREAM, BIAS_STREAM = 2**30, 2**30 + 1, 2**31
"""Numbers of streams that are no layer's weights; the biases' count on from the last."""

CACHE_BYTES = 2**24
"""Weights are kept for the way back where all of a network fit; more than that would come from
memory, which takes as long as to draw them again."""

EPS = np.float32(1e-8)
"""Of batchnorm, inside the root."""

ONE = np.float32(1)


@dataclass(frozen=True)
class Setting:
    """A network of equal layers."""

    layers: int
    width: int
    draw: Draw
    activation: str
    batchnorm: bool
    rows: int
    sigma_b: float

    @property
    def op(self) -> Op:
        """The activation, among the operations."""
        return OPS[self.activation]

    @property
    def slope(self) -> tuple[float, ...]:
        """The activation's setting, where it has one."""
        return tuple(float(value) for value in Activation(self.activation).settings.values())


def depth(
    layers: int = 50,
    width: int = 256,
    *,
    init: str = "he",
    activation: str = "relu",
    batchnorm: bool = False,
    seeds: int = 20,
    first_seed: int = 0,
    batch: int | None = None,
    sigma_b: float = 0.0,
) -> DepthStudy:
    """Growth per layer of activations and gradients, over seeds, beside the prediction.

    Parameters
    ----------
    layers, width : int
        Of each network; the input is as wide as every layer, from N(0, 1).
    init : str
        toy, normal:σ, uniform, xavier, he, orthogonal or lsuv.
    activation : str
        Of every layer, the last included.
    batchnorm : bool
        Between Linear and activation of every layer, with the batch's statistics.
    seeds, first_seed : int
        How many networks, and the number of the first. A network depends on its number alone.
    batch : int, optional
        Rows of the input: 1, or 32 with batchnorm.
    sigma_b : float
        Biases are from N(0, sigma_b²).
    """
    draw = as_draw(init)
    name = by_name("depth: activation", activation, [op.name for op in ACTIVATIONS])
    if batch is None:
        batch = ROWS_WITH_BATCHNORM if batchnorm else 1
    setting = Setting(
        layers=whole("depth: depth", layers, low=1),
        width=whole("depth: width", width, low=1),
        draw=draw,
        activation=name,
        batchnorm=bool(batchnorm),
        rows=whole("depth: batch", batch, low=2 if batchnorm else 1),
        sigma_b=checked_deviation(sigma_b),
    )
    count = whole("depth: seeds", seeds, low=1)
    first = whole("depth: first_seed", first_seed, low=0)
    room = weights_of(setting.layers, setting.width)
    found = [one_network(setting, first + i, room) for i in range(count)]
    forward, backward = (np.array(part) for part in zip(*found, strict=True))
    settings = {
        "depth": layers, "width": width, "init": draw.name, "activation": name,
        "batchnorm": setting.batchnorm, "batch": batch, "sigma_b": setting.sigma_b,
        "seeds": count, "first_seed": first,
    }  # fmt: skip
    return DepthStudy(settings, forward, backward, *predicted(setting))


def checked_deviation(value: Any) -> float:
    number = float(to_array("depth: sigma_b", value, "fiu", "a number"))
    if not 0 <= number < np.inf:
        raise ValueError(f"depth: sigma_b is {number}, expected a number from 0 on")
    return number


def one_network(setting: Setting, seed: int, room: Array) -> tuple[Array, Array]:
    """log₂ of the mean squares of one network: of each layer's output, and of the gradient with
    respect to it, whose mean square at the last output is 1. `room` is for weight matrices.
    """
    keys, is_kept = seed_keys(seed), len(room) > 1
    trace = [Layer(setting, keys, i, room[i % len(room)], is_kept) for i in range(setting.layers)]
    y = normal(layer_keys(*keys, INPUT_STREAM), (setting.rows, setting.width))
    exponent, forward = 0.0, np.empty(setting.layers)
    for i, layer in enumerate(trace):
        y, exponent = layer.forward(y, exponent)
        forward[i] = log2_mean_square(y) + 2 * exponent
        if not setting.batchnorm:
            y = y.copy()  # the layer needs its own on the way back
            exponent += shift_into_range(y)
    dy = normal(layer_keys(*keys, GRADIENT_STREAM), y.shape)
    backward, exponent = np.empty(setting.layers), -log2_mean_square(dy) / 2
    for i in range(setting.layers - 1, -1, -1):
        backward[i] = log2_mean_square(dy) + 2 * exponent
        dy = trace[i].backward(dy)
        exponent += shift_to_one(dy)
    return forward, backward


def weights_of(layers: int, width: int) -> Array:
    """Room for all weight matrices, or for the last one alone where the cache has none for all."""
    is_kept = layers * width * width * 4 <= CACHE_BYTES
    try:
        return np.empty((layers if is_kept else 1, width, width), np.float32)
    except (MemoryError, ValueError):
        raise ValueError(
            f"depth: width is {width}, expected less: there is no memory for its matrix of weights"
        ) from None


class Layer:
    """Linear, batchnorm perhaps, and activation; its weights are drawn when they are needed.

    For the way back it keeps its pre-activations and output, and its weights where `is_kept`.
    """

    def __init__(self, setting: Setting, keys: Keys, index: int, weights: Array, is_kept: bool):
        self.setting, self.weights = setting, weights
        self.keys = layer_keys(*keys, index)
        self.bias_keys = layer_keys(*keys, BIAS_STREAM + index)
        self.is_kept = is_kept
        self.gain = ONE

    def forward(self, x: Array, exponent: float) -> tuple[Array, float]:
        """The output for x, both times 2^exponent."""
        setting = self.setting
        bias = np.zeros(setting.width, np.float32)
        if setting.sigma_b:
            bias = normal(self.bias_keys, bias.shape, setting.sigma_b * 2.0**-exponent)
        setting.draw.fill(self.keys, self.weights)
        z, y = np.empty_like(x), np.empty_like(x)
        product(x, self.weights, bias, ONE, z)
        if setting.draw.unit_variance:
            self.gain = np.float32(2.0**-exponent / z.std())
            z = (z - bias) * self.gain + bias
        if setting.batchnorm:
            z = self.normalise(z)
        setting.op.jitted[0](z.reshape(-1), *setting.slope, y.reshape(-1))
        self.z, self.y = z, y
        return y, exponent

    def normalise(self, z: Array) -> Array:
        ones = np.ones(self.setting.width, np.float32)
        y, mean, _, rstd = kernels.batchnorm_forward(z, ones, ones * 0, eps=EPS)
        self.undo: Callable[[Array], Array] = lambda delta: kernels.batchnorm_backward(
            delta, z, ones, mean, rstd
        )[0]
        return np.asarray(y)

    def backward(self, dy: Array) -> Array:
        """The gradient with respect to the input."""
        setting = self.setting
        dz, dx = np.empty_like(dy), np.empty_like(dy)
        saved = {"x": self.z, "y": self.y}
        assert setting.op.backward is not None
        reads = [saved[n].reshape(-1) for n in setting.op.backward.parameters if n in saved]
        setting.op.jitted[1](dy.reshape(-1), *reads, *setting.slope, dz.reshape(-1))
        if setting.batchnorm:
            dz = np.asarray(self.undo(dz))
        if not self.is_kept:
            setting.draw.fill(self.keys, self.weights)
        product_transposed(dz, self.weights, self.gain, dx)
        return dx
