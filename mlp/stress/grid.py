"""Grid: which networks a sweep runs; Cell: one of them, described in full."""

import hashlib
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from kernels.activation import ACTIVATIONS
from mlp.arguments import as_dtype, as_sequence, by_name, whole
from mlp.criteria import CRITERIA
from mlp.stress.starts import as_start

LIMIT = 100_000
"""Cells of a grid that nobody has allowed more: an hour or so of small networks."""

AXES = ("init", "activation", "normalization", "depth", "width", "lr", "seed")
"""In the order in which the cells count, the last fastest."""

NORMALIZATIONS = ("none", "batchnorm")


@dataclass(frozen=True)
class Cell:
    """One network and its run. All that is random in it comes from its own description.

    Attributes
    ----------
    init, activation, normalization : by name; batchnorm is on the hidden layers.
    depth, width : linear layers, and the width of each, the input's and the output's included.
    lr, seed : learning rate, and the number of the sample.
    passes, batch : of forward, backward and update; rows of the one batch.
    criterion, dtype : loss and arithmetic.
    """

    init: str
    activation: str
    normalization: str
    depth: int
    width: int
    lr: float
    seed: int
    passes: int
    batch: int
    criterion: str
    dtype: str

    @property
    def key(self) -> str:
        """The whole description in one line; no two cells share it."""
        return " ".join(f"{name}={value}" for name, value in vars(self).items())

    def __str__(self) -> str:
        return f"cell {self.key}"

    def generator(self) -> np.random.Generator:
        """Seeded by SHA-256 of the key: independent of order, machine and other cells."""
        digest = hashlib.sha256(self.key.encode()).digest()
        return np.random.default_rng(int.from_bytes(digest, "little"))


@dataclass(frozen=True)
class Grid:
    """Every combination of the values of these axes, each with seeds 0, 1, …

    Parameters
    ----------
    init, activation, normalization : sequences of names. Of `init` normal:σ and
        scaled:σ_w:σ_b, too; normalization is "none" or "batchnorm".
    depth, width : sequences of whole numbers, ranges included.
    lr : sequence of numbers.
    seeds : samples of each combination.
    passes, batch, criterion, dtype : the same in all cells.
    """

    init: Sequence[str] = ("he",)
    activation: Sequence[str] = ("relu",)
    normalization: Sequence[str] = ("none",)
    depth: Sequence[int] = (5,)
    width: Sequence[int] = (64,)
    lr: Sequence[float] = (0.01,)
    seeds: int = 10
    passes: int = 30
    batch: int = 32
    criterion: str = "mse"
    dtype: str = "float64"

    def __post_init__(self) -> None:
        for name in ("init", "activation", "normalization", "depth", "width", "lr"):
            object.__setattr__(self, name, checked_axis(name, getattr(self, name)))
        for name in ("seeds", "passes", "batch"):
            least = 2 if name == "batch" and "batchnorm" in self.normalization else 1
            object.__setattr__(self, name, whole(f"grid: {name}", getattr(self, name), low=least))
        by_name("grid: criterion", self.criterion, CRITERIA)
        object.__setattr__(self, "dtype", as_dtype("grid", self.dtype).name)

    @property
    def axes(self) -> tuple[Sequence[Any], ...]:
        """The values of each of AXES."""
        return (
            self.init, self.activation, self.normalization,
            self.depth, self.width, self.lr, range(self.seeds),
        )  # fmt: skip

    @property
    def count(self) -> int:
        """How many cells there are; counted, not made."""
        return math.prod(length(axis) for axis in self.axes)

    def check_count(self, limit: int = LIMIT) -> None:
        """An error where there are more cells than the limit."""
        if self.count > limit:
            factors = " × ".join(
                f"{length(axis):,} {name}" for name, axis in zip(AXES, self.axes, strict=True)
            )
            raise ValueError(
                f"grid: got {self.count:,} cells ({factors}), expected at most {limit:,}: "
                "take fewer, or raise the limit"
            )

    def __iter__(self) -> Iterator[Cell]:
        """The cells, one after another."""
        for init, activation, normalization, depth, width, lr, seed in itertools.product(
            *self.axes
        ):
            yield Cell(
                init, activation, normalization, depth, width, lr, seed,
                self.passes, self.batch, self.criterion, self.dtype,
            )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            name: value if isinstance(value, (int, str)) else list(value)
            for name, value in ((field.name, getattr(self, field.name)) for field in fields(self))
        }


def length(axis: Sequence[Any]) -> int:
    """len(axis), for ranges that are too long for len as well."""
    if isinstance(axis, range):
        return max(0, -(-(axis.stop - axis.start) // axis.step))
    return len(axis)


def checked_axis(name: str, values: Any) -> Sequence[Any]:
    """The values of an axis: known, in bounds, and none of them twice."""
    where = f"grid: {name}"
    if isinstance(values, range) and name in ("depth", "width"):
        if not length(values):
            raise ValueError(f"{where} is {values}, expected at least one value")
        whole(where, min(values[0], values[-1]), low=1)
        return values
    found = tuple(checked_value(where, name, value) for value in as_sequence(where, values))
    if not found:
        raise ValueError(f"{where} is empty, expected at least one value")
    seen: set[Any] = set()
    for value in found:
        if value in seen:
            raise ValueError(f"{where} has {value!r} twice, expected each value once")
        seen.add(value)
    return found


def checked_value(where: str, name: str, value: Any) -> Any:
    """One value of the axis of that name."""
    if name == "init":
        as_start(where, value)
        return value
    if name == "activation":
        return by_name(where, value, [op.name for op in ACTIVATIONS])
    if name == "normalization":
        return by_name(where, value, NORMALIZATIONS)
    if name == "lr":
        return learning_rate(where, value)
    return whole(where, value, low=1)


def learning_rate(where: str, value: Any) -> float:
    """A positive number; 1e-2 and 0.01 are the same one."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)):
        raise TypeError(f"{where} is {value!r}, expected a number")
    if not 0 < value < math.inf:
        raise ValueError(f"{where} is {value}, expected a positive number")
    return float(value)


def cell_to_dict(cell: Cell) -> dict[str, Any]:
    """As JSON has it."""
    return asdict(cell)
