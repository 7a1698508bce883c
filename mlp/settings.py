"""Settings of the update as attributes of a network: numbers in its memory, checked when set."""

import math
from typing import Any

from kernels.boundary import Hyper, fits


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
