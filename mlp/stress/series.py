"""Study: what a run has recorded, pass by pass and layer by layer, in the log domain."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray

VERSION = 1
"""Of the form in which a study is written."""

TENSORS = ("output", "preactivation", "W", "dW", "db", "dx", "dgamma", "dbeta")
"""What is recorded of each layer: outputs after the activation, pre-activations (batchnorm's
outputs where there is one), weights before the update, and the gradients; `dx` is with respect
to the layer's input."""

STATISTICS = ("log2_norm", "log2_max", "log2_mean_square")
"""Of each tensor: the Euclidean norm, the largest absolute value, the mean of the squares."""


@dataclass(frozen=True)
class NonFinite:
    """The first value that was not finite: where, of what operands, and why, most likely.

    `operands` has the smallest and largest value of each; `layer` counts from 1 and is None
    for the loss.
    """

    pass_number: int
    layer: int | None
    tensor: str
    value: str
    operands: dict[str, tuple[float, float]]
    cause: str


@dataclass(frozen=True)
class Remedy:
    """A change that was tried, and what came of it: the same run with it.

    `overflow_pass` is None where all passes stayed finite, and `log2_largest` is the largest
    recorded value of the last pass.
    """

    name: str
    change: str
    overflow_pass: int | None
    log2_largest: float

    @property
    def helps(self) -> bool:
        return self.overflow_pass is None


@dataclass
class Study:
    """A recorded run.

    Attributes
    ----------
    settings : what was run: passes, lr, activation, batchnorm, input, dtype, widths, …
    series : float64 arrays by name. "loss", "log2_loss", "log2_largest" and "alignment" (the
        cosine between output and gradient at the output) are (passes,). All others are
        (passes, layers): "<tensor>.<statistic>" for TENSORS and STATISTICS, "dead" and
        "saturated" (fractions) and "log2_update_to_weight". A logarithm is -inf for zero, and
        for what a layer has not.
    overflow_pass : the pass, counted from 1, with the first value that is not finite.
    forecast_pass, forecast_made_at : in which pass that was foreseen to happen, and when, by the
        first forecast that was clear. A later one does not change them.
    forecasts : the pass that each pass foresaw, clear or not; None where it foresaw none.
    first_nonfinite, remedies : what the flight recorder says, and what would have helped.
    """

    settings: dict[str, Any]
    series: dict[str, Array]
    overflow_pass: int | None = None
    forecast_pass: int | None = None
    forecast_made_at: int | None = None
    forecasts: list[int | None] = field(default_factory=list)
    first_nonfinite: NonFinite | None = None
    remedies: list[Remedy] = field(default_factory=list)

    @property
    def passes(self) -> int:
        """How many passes were recorded."""
        return len(self.series["loss"])

    def of(self, tensor: str, statistic: str = "log2_norm") -> Array:
        """A series (passes, layers)."""
        return self.series[f"{tensor}.{statistic}"]

    def to_dict(self) -> dict[str, Any]:
        """Everything as numbers, strings and lists that JSON has; "inf", "-inf" and "nan" are
        strings, which float() reads.
        """
        found = {key: value for key, value in vars(self).items() if key != "series"}
        found["first_nonfinite"] = first_nonfinite_to_dict(self.first_nonfinite)
        found["remedies"] = [asdict(remedy) for remedy in self.remedies]
        found["series"] = {name: values.tolist() for name, values in self.series.items()}
        plain: dict[str, Any] = as_plain({"version": VERSION} | found)
        return plain

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> "Study":
        """The study that `to_dict` has written."""
        if found.get("version") != VERSION:
            raise ValueError(f"Study: version is {found.get('version')!r}, expected {VERSION}")
        rest = {key: value for key, value in found.items() if key != "version"}
        rest["series"] = {
            name: np.array(as_floats(values), np.float64)
            for name, values in found["series"].items()
        }
        rest["remedies"] = [
            Remedy(**{**remedy, "log2_largest": float(remedy["log2_largest"])})
            for remedy in found["remedies"]
        ]
        rest["first_nonfinite"] = first_nonfinite_from_dict(found["first_nonfinite"])
        return cls(**rest)


def first_nonfinite_to_dict(found: NonFinite | None) -> dict[str, Any] | None:
    """With the key "pass", which Python has taken for itself."""
    if found is None:
        return None
    rest = asdict(found)
    return {"pass": rest.pop("pass_number"), **rest}


def first_nonfinite_from_dict(found: dict[str, Any] | None) -> NonFinite | None:
    if found is None:
        return None
    rest = {key: value for key, value in found.items() if key != "pass"}
    rest["operands"] = {
        name: (float(low), float(high)) for name, (low, high) in found["operands"].items()
    }
    return NonFinite(pass_number=found["pass"], **rest)


def as_plain(value: Any) -> Any:
    """A value in which numbers that are not finite are strings."""
    if isinstance(value, dict):
        return {key: as_plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def as_floats(values: Any) -> Any:
    """Nested lists of numbers, in which some are strings, as nested lists of numbers."""
    return [as_floats(v) for v in values] if isinstance(values, list) else float(values)
