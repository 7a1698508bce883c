"""Settings of the update as attributes of a network: numbers in its memory, checked when set."""

import math
from typing import Any

import numpy as np

from kernels.arrays import fits
from kernels.boundary import Hyper
from kernels.op import OPS
from mlp.layers import Array
from mlp.optimizers import Optimizer
from mlp.plan import (
    HEAVY_BALL,
    LEARNING_RATE,
    MAX_NORM,
    MOMENTUM,
    ROUND,
    UPDATE_ROUNDS,
    UPDATES,
    WEIGHT_DECAY,
    Plan,
)


class Setting:
    """A number at a fixed place among the settings of a network."""

    def __init__(self, index: int, interval: Hyper):
        self.index, self.interval = index, interval

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, net: Any, owner: type | None = None) -> Any:
        return self if net is None else float(net._memory[net._plan.settings_at + self.index])

    def __set__(self, net: Any, value: Any) -> None:
        where = f"MLP: {self.name}"
        number = fits(where, self.interval.check(where, value), net.dtype)
        net._memory[net._plan.settings_at + self.index] = number


class Limit(Setting):
    """A setting that is None where there is no limit; in memory that is infinity."""

    def __init__(self, index: int):
        super().__init__(index, Hyper(math.inf, low=0.0))

    def __get__(self, net: Any, owner: type | None = None) -> Any:
        value = super().__get__(net, owner)
        return None if value == math.inf else value

    def __set__(self, net: Any, value: Any) -> None:
        if value is None:
            net._memory[net._plan.settings_at + self.index] = math.inf
        else:
            super().__set__(net, value)


class UpdateSettings:
    """What a network's update is: its optimizer, the numbers of that, and how often it ran.

    Attributes
    ----------
    lr, weight_decay, max_norm : as `MLP` takes them; may change between steps.
    """

    dtype: np.dtype
    _plan: Plan
    _memory: Array
    _optimizer: Optimizer

    lr = Setting(LEARNING_RATE, OPS["momentum"].hyper["lr"])
    weight_decay = Setting(WEIGHT_DECAY, OPS["momentum"].hyper["decay"])
    max_norm = Limit(MAX_NORM)

    def _set_up(self, lr: float, weight_decay: float | None, max_norm: float | None) -> None:
        """The first settings; without a weight decay, the optimizer's."""
        for index, value in self._optimizer.settings().items():
            fitting = fits(f"MLP: optimizer {self._optimizer}", value, self.dtype)
            self._memory[self._plan.settings_at + index] = fitting
        self.lr, self.max_norm = lr, max_norm
        self.weight_decay = self._optimizer.weight_decay if weight_decay is None else weight_decay

    @property
    def optimizer(self) -> Optimizer:
        """Fixed when the network is made, but for the momentum."""
        return self._optimizer

    @property
    def momentum(self) -> float:
        return float(self._memory[self._plan.settings_at + MOMENTUM])

    @momentum.setter
    def momentum(self, value: float) -> None:
        self._optimizer = self._optimizer.with_momentum(value)
        self._memory[self._plan.settings_at + MOMENTUM] = value
        if value == 0 and self._plan.optimizer == HEAVY_BALL:
            # Without momentum there is no velocity, which a later one would follow.
            self._memory[self._plan.velocity_at :][: self._plan.n_parameters] = 0

    @property
    def steps(self) -> int:
        """How many updates the parameters have had."""
        at = self._plan.settings_at
        return int(self._memory[at + UPDATES]) + ROUND * int(self._memory[at + UPDATE_ROUNDS])
