"""Verdicts: what is said of one gradient, of one array of them, and of a whole check.

PASS       the discrepancy is within the error bar, and the bar is small enough to have
           seen a relative error of `POWER`
FAIL       the discrepancy is beyond the bar
INCONCLUSIVE  the bar is too wide, or nothing finite could be computed
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"

POWER = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 1e-3}
"""The relative error that a passing check must have been able to see, by the dtype of the
gradient."""


@dataclass(frozen=True)
class Finding:
    """What was found of one array of gradients; the values are those of its worst place.

    Attributes
    ----------
    name : the array, such as "w" or "linear_layers[1].W".
    verdict : "pass", "fail" or "inconclusive".
    where : the index of the worst entry, or the direction it was measured along.
    analytic, numeric, error_bar : the gradient under test, the one from differences, and
        how far off the latter (and rounding in the former) may be.
    note : why, in a sentence, where the numbers do not say it.
    """

    name: str
    verdict: str
    where: str = ""
    analytic: float = np.nan
    numeric: float = np.nan
    error_bar: float = np.nan
    note: str = ""

    @property
    def excess(self) -> float:
        """How many error bars the gradient is away from the differences."""
        return abs(self.analytic - self.numeric) / (self.error_bar or np.finfo(float).tiny)

    def to_dict(self) -> dict[str, Any]:
        numbers = {
            key: json_number(getattr(self, key)) for key in ("analytic", "numeric", "error_bar")
        }
        return {
            "name": self.name,
            "verdict": self.verdict,
            "where": self.where,
            **numbers,
            "note": self.note,
        }

    def __str__(self) -> str:
        line = f"{self.verdict:<12} {self.name}"
        if np.isfinite(self.analytic) or np.isfinite(self.numeric):
            line += (
                f"  {self.where}: analytic {self.analytic:.10g}, numeric {self.numeric:.10g} "
                f"± {self.error_bar:.2g}"
            )
        return line + (f"  ({self.note})" if self.note else "")


@dataclass(frozen=True)
class Report:
    """The findings of one check. True where all of them pass."""

    title: str
    seed: int
    findings: tuple[Finding, ...] = ()
    checked: int = 0
    """How many numbers were compared."""
    notes: tuple[str, ...] = field(default=())

    @property
    def verdict(self) -> str:
        return worst(finding.verdict for finding in self.findings)

    def __bool__(self) -> bool:
        return self.verdict == PASS

    def __str__(self) -> str:
        head = f"{self.title}: {self.verdict} ({self.checked} comparisons, seed {self.seed})"
        return "\n".join(
            [
                head,
                *(f"  {note}" for note in self.notes),
                *(f"  {finding}" for finding in self.findings),
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "verdict": self.verdict,
            "seed": self.seed,
            "checked": self.checked,
            "notes": list(self.notes),
            "findings": [finding.to_dict() for finding in self.findings],
        }


def worst(verdicts: Iterable[str]) -> str:
    """Fail if any fails, inconclusive if any is (or there is nothing to judge), else pass."""
    seen = set(verdicts)
    if FAIL in seen:
        return FAIL
    return INCONCLUSIVE if INCONCLUSIVE in seen or not seen else PASS


def json_number(value: float) -> float | str | None:
    """JSON knows neither NaN, which becomes null, nor infinities, which are spelt out."""
    if np.isnan(value):
        return None
    return float(value) if np.isfinite(value) else str(value)


def json_array(array: Any) -> Any:
    """An array as nested lists of JSON numbers."""
    if np.ndim(array) == 0:
        return json_number(float(array))
    return [json_array(row) for row in array]
