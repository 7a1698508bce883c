"""Optimizers: the settings of an update, checked. `kernels/update.py` has the formulas.

The gradient g that they follow is that of the loss, scaled where its global norm is clipped,
plus weight_decay·parameter. Weight decay is for every parameter, biases, gammas and betas
included, as in PyTorch.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from kernels.boundary import Hyper
from kernels.op import OPS
from mlp.arguments import by_name
from mlp.plan import ADAM, ADAMW, EPS, HEAVY_BALL, MOMENTUM, NESTEROV, REST1, REST2

ANY_NUMBER = Hyper(0.0)


@dataclass(frozen=True)
class Optimizer:
    """What an update is and how many moments of the gradient it keeps."""

    name: ClassVar[str]
    code: ClassVar[int]
    moments: ClassVar[int]
    weight_decay = 0.0
    """For a network that is given none. No field but in AdamW."""

    def settings(self) -> dict[int, float]:
        """The numbers that the engine reads, by their place among the network's settings."""
        raise NotImplementedError

    def with_momentum(self, momentum: float) -> "Optimizer":
        """The same with another momentum, where it has one."""
        if not isinstance(self, Momentum):
            number = ANY_NUMBER.check("MLP: momentum", momentum)
            if number != 0:
                raise ValueError(
                    f"MLP: momentum is {number}, expected 0 with {self.name}, whose betas take "
                    "its place"
                )
            return self
        return replace(self, momentum=momentum)


@dataclass(frozen=True)
class Momentum(Optimizer):
    """velocity = momentum·velocity - lr·g;  parameter += velocity. Gradient descent at 0.

    The course's (Sutskever et al. 2013, eq. 1-2): gammas and betas are updated without
    momentum.
    """

    momentum: float = 0.0
    name: ClassVar[str] = "momentum"
    code: ClassVar[int] = HEAVY_BALL
    moments: ClassVar[int] = 1

    def __post_init__(self) -> None:
        interval = OPS["momentum"].hyper["momentum"]
        set_field(self, "momentum", interval.check("MLP: momentum", self.momentum))

    def settings(self) -> dict[int, float]:
        return {MOMENTUM: self.momentum}


@dataclass(frozen=True)
class Nesterov(Momentum):
    """velocity = momentum·velocity - lr·g;  parameter += momentum·velocity - lr·g.

    Sutskever et al. 2013, eq. 3-4, at the point where the gradient is taken, as PyTorch has
    it; every parameter alike.
    """

    momentum: float = 0.9
    name: ClassVar[str] = "nesterov"
    code: ClassVar[int] = NESTEROV


@dataclass(frozen=True)
class Adam(Optimizer):
    """Kingma & Ba 2015, alg. 1: steps of lr·m̂/(√v̂ + eps); weight decay is part of g (L2)."""

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    name: ClassVar[str] = "adam"
    code: ClassVar[int] = ADAM
    moments: ClassVar[int] = 2

    def __post_init__(self) -> None:
        owner = type(self).__name__
        for beta in ("beta1", "beta2"):
            set_field(self, beta, below_one(f"{owner}: {beta}", getattr(self, beta)))
        set_field(self, "eps", OPS["adam"].hyper["eps"].check(f"{owner}: eps", self.eps))

    def settings(self) -> dict[int, float]:
        return {REST1: 1 - self.beta1, REST2: 1 - self.beta2, EPS: self.eps}


@dataclass(frozen=True)
class AdamW(Adam):
    """Loshchilov & Hutter 2019, alg. 2: Adam from the point (1 - lr·weight_decay)·parameter."""

    weight_decay: float = 0.01
    name: ClassVar[str] = "adamw"
    code: ClassVar[int] = ADAMW

    def __post_init__(self) -> None:
        super().__post_init__()
        interval = OPS["adamw"].hyper["decay"]
        decay = interval.check("AdamW: weight_decay", self.weight_decay)
        set_field(self, "weight_decay", decay)


OPTIMIZERS: dict[str, type[Optimizer]] = {o.name: o for o in (Momentum, Nesterov, Adam, AdamW)}


def set_field(optimizer: Optimizer, name: str, value: float) -> None:
    """Keep the checked number in a frozen dataclass."""
    object.__setattr__(optimizer, name, value)


def below_one(where: str, value: Any) -> float:
    """A number in [0, 1): at 1 an average would keep its first value, 0, for ever."""
    number = ANY_NUMBER.check(where, value)
    if not 0 <= number < 1:
        raise ValueError(f"{where} is {number}, expected a number in [0, 1)")
    return number


def as_optimizer(value: Any, momentum: Any) -> Optimizer:
    """An optimizer by name, with `momentum` where it has one, or an object of this module.

    Without a `momentum` an optimizer has its own.
    """
    if isinstance(value, str):
        usual = OPTIMIZERS[by_name("MLP: optimizer", value, OPTIMIZERS)]()
        return usual if momentum is None else usual.with_momentum(momentum)
    if not isinstance(value, Optimizer) or type(value) not in OPTIMIZERS.values():
        raise TypeError(
            f"MLP: optimizer is {value!r}, expected one of {', '.join(OPTIMIZERS)} or an "
            "object of mlp.optimizers"
        )
    number = 0 if momentum is None else ANY_NUMBER.check("MLP: momentum", momentum)
    if number not in (0, getattr(value, "momentum", 0)):
        raise ValueError(f"MLP: momentum is {number}, expected it inside {value!r} alone")
    return value
