"""The networks whose training steps are timed: one definition for tables, chart and tests."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Network:
    """A network and its batch: layer widths from input to output, one activation throughout.

    `goal` is how many times the best peer's time of a step ours is to be under.
    """

    name: str
    widths: tuple[int, ...]
    batch: int
    activation: str
    batchnorm: bool = False
    goal: float | None = None

    @property
    def shapes(self) -> list[tuple[int, int]]:
        return list(zip(self.widths, self.widths[1:], strict=False))

    @property
    def flop(self) -> int:
        """What a training step's matrix products must compute.

        2nkm forward and 4nkm backward, less the gradient of the first layer's input, which
        training has no use for: whoever computes it all the same gets no credit.
        """
        n = self.batch
        first = self.widths[0] * self.widths[1]
        return sum(6 * n * k * m for k, m in self.shapes) - 2 * n * first

    @property
    def description(self) -> str:
        """Such as "784-512-256-10, batch 128, relu"."""
        parts = [layers(self.widths), f"batch {self.batch}", self.activation]
        return ", ".join(parts + ["batchnorm"] * self.batchnorm)


def layers(widths: tuple[int, ...]) -> str:
    """Widths with runs shortened: 64-64-64-10 is 64×3-10."""
    runs: list[list[int]] = []
    for width in widths:
        if runs and runs[-1][0] == width:
            runs[-1][1] += 1
        else:
            runs.append([width, 1])
    return "-".join("-".join([str(w)] * n) if n < 3 else f"{w}×{n}" for w, n in runs)


TOY = (2, 3, 3, 2)
MNIST = (784, 512, 256, 10)
DEEP = (64,) * 50 + (10,)

STEPS = {
    network.name: network
    for network in (
        Network("toy1", TOY, 1, "relu", goal=25),
        Network("toy3", TOY, 3, "relu", goal=25),
        Network("rl", (8, 64, 64, 4), 32, "tanh", goal=8),
        Network("tabular", (32, 128, 128, 2), 64, "relu", batchnorm=True, goal=4),
        Network("mnist", MNIST, 128, "relu", goal=1.7),
        Network("mnistbn", MNIST, 128, "relu", batchnorm=True, goal=2),
        Network("deep", DEEP, 32, "relu", goal=6),
        Network("deepbn", DEEP, 32, "relu", batchnorm=True, goal=6),
        Network("wide", (1024,) * 4 + (10,), 256, "relu", goal=1.4),
    )
}

LOOPS = {name: 150 for name in ("toy1", "toy3")}
"""Steps that are also timed inside the compiled training loop, with the goal there."""

GRID_WIDTHS = (4, 16, 64, 256, 1024, 2048)
GRID_BATCHES = (1, 8, 32, 128, 1024)


def least_batch(batch: int, batchnorm: bool) -> int:
    return max(batch, 4) if batchnorm else batch


def grid() -> list[Network]:
    """Sixty points: two hidden layers, width × batch, plain and with batchnorm.

    Batchnorm has a batch of 4 where the others have 1: one row has no variance, and two are
    normalised to ±1 whatever they are, so that every gradient before them is rounding.
    """
    return [
        Network(
            f"{width}x{least_batch(batch, batchnorm)}{'bn' * batchnorm}",
            (width, width, width, 10),
            least_batch(batch, batchnorm),
            "relu",
            batchnorm,
            goal=1,
        )
        for batchnorm in (False, True)
        for width in GRID_WIDTHS
        for batch in GRID_BATCHES
    ]


@dataclass(frozen=True)
class Problem:
    """A network with initial parameters and a batch, the same for every contender."""

    network: Network
    lr: float = 0.01
    dtype: str = "float32"
    seed: int = 0

    def _draw(self, stream: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, stream))

    @cached_property
    def x(self) -> np.ndarray:
        shape = (self.network.batch, self.network.widths[0])
        return self._draw(0).standard_normal(shape).astype(self.dtype)

    @cached_property
    def labels(self) -> np.ndarray:
        return self._draw(1).integers(0, self.network.widths[-1], self.network.batch)

    @property
    def hidden_widths(self) -> tuple[int, ...]:
        return self.network.widths[1:-1]

    @property
    def weights(self) -> list[np.ndarray]:
        """He's initial weights, (in, out)."""
        draw = self._draw(2)
        shapes = self.network.shapes
        return [(draw.standard_normal(s) * (2 / s[0]) ** 0.5).astype(self.dtype) for s in shapes]

    @property
    def biases(self) -> list[np.ndarray]:
        draw = self._draw(3)
        widths = self.network.widths[1:]
        return [draw.uniform(-0.1, 0.1, m).astype(self.dtype) for m in widths]

    @property
    def gammas(self) -> list[np.ndarray]:
        draw = self._draw(5)
        widths = self.hidden_widths if self.network.batchnorm else ()
        return [draw.uniform(0.9, 1.1, m).astype(self.dtype) for m in widths]

    @property
    def betas(self) -> list[np.ndarray]:
        """Around zero, or in a deep network around two.

        There most units are active. Around zero, fifty layers of batchnorm and relu enlarge
        rounding until float32 keeps one digit of a gradient, and nothing can be compared.
        """
        draw = self._draw(4)
        centre = 2 if len(self.network.shapes) > 10 else 0
        spread = [draw.uniform(-0.1, 0.1, gamma.size) for gamma in self.gammas]
        return [(centre + values).astype(self.dtype) for values in spread]

    @property
    def parameters(self) -> list[np.ndarray]:
        """In the order in which contenders give theirs: weights, biases, gammas, betas."""
        return self.weights + self.biases + self.gammas + self.betas
