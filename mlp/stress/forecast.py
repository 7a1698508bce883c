"""The pass in which values will overflow, foreseen by the reduced model after every update."""

import math

import numpy as np

from mlp.network import MLP
from mlp.optimizers import Momentum
from mlp.stress.gains import MEASURES, PARTS, measure_gains
from mlp.stress.reduced import foreseen
from mlp.stress.series import Array

LEAST_GROWTH = 2.0
"""Bits in the last pass: what grows more slowly may do otherwise before long."""

REINFORCED = -0.01
"""The cosine between output and its gradient is below this where the update makes the output
larger, instead of turning it round."""

BOUNDED = ("sigmoid", "tanh")
"""Activations of at most 1."""


class Forecaster:
    """Asks the model after every update.

    Attributes
    ----------
    found : for each pass, the one which it foresaw to overflow; None where it foresaw none.
    """

    def __init__(self, net: MLP, rows: int, passes: int):
        self.net, self.rows, self.passes = net, rows, passes
        self.gains = np.empty((net.nlayers, MEASURES))
        self.room = np.empty(PARTS * rows * max(net._widths), net.dtype)
        self.ceilings = np.array([
            math.log2(rows * width) / 2 if activation.name in BOUNDED else math.inf
            for activation, width in zip(net.activations, net._widths[1:], strict=True)
        ])  # fmt: skip
        self.limit = float(np.log2(np.finfo(net.dtype).max))
        self.is_squares = net.criterion.name == "mse"
        self.found: list[int | None] = []

    def look(self) -> None:
        """After forward, backward and update."""
        net, number = self.net, len(self.found) + 1
        gradient = measure_gains(net._state, net._memory, self.rows, self.room, self.gains)
        log2_lr = math.log2(net.lr) if net.lr > 0 else -math.inf
        last = self.passes if follows_gradients(net) else min(number + 1, self.passes)
        found = foreseen(
            self.gains, self.ceilings, self.rows, gradient, log2_lr,
            self.is_squares, self.limit, number, last,
        )  # fmt: skip
        self.found.append(found or None)


def follows_gradients(net: MLP) -> bool:
    """Whether the update is as large as the gradient: not with Adam, nor where it is clipped.
    Then no more than the next pass can be foreseen.
    """
    return isinstance(net.optimizer, Momentum) and net.max_norm is None


def first_forecast(series: dict[str, Array], found: list[int | None]) -> tuple[int, int] | None:
    """(pass of the overflow, pass after which that was clear); None where it never was.

    It is clear where the next pass is to overflow; or where the update reinforces the output, and
    two passes running have foreseen the same.
    """
    growth = np.diff(series["log2_largest"])
    for i, at in enumerate(found):
        if at is None:
            continue
        is_steady = (
            i > 0
            and at == found[i - 1]
            and growth[i - 1] >= LEAST_GROWTH
            and series["alignment"][i] < REINFORCED
        )
        if at == i + 2 or is_steady:
            return at, i + 1
    return None
