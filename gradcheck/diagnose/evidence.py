"""Evidence: all that was seen of one pair, as the recognisers of causes are given it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.budget import BudgetSpent
from gradcheck.numeric import STEP
from gradcheck.subject import Raised, Subject

Array = np.ndarray

CLOSE = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 2e-3}
"""Relative to the largest entry: how near a candidate must be to count as the same gradient."""


@dataclass
class Evidence:
    """One pair (forward, backward) at one point, and what was measured there.

    Attributes
    ----------
    subject : the pair; recognisers may call it again (calls count against the budget).
    names, inputs : of the arguments, in order; inputs are those that differences were taken
        at (float64 where forward accepts that).
    cotangents, outputs : one for each output.
    analytic : backward's answer for each input, None where there is none.
    numeric : the gradient from differences, shaped as the input; NaN where not measured,
        None where nothing was.
    error_bars : of `numeric`.
    failed : which inputs' gradients are known to be wrong.
    is_fixed : the cotangent cannot be chosen: backward is the gradient of one scalar.
    rng : for experiments.
    """

    subject: Subject
    names: tuple[str, ...]
    inputs: list[Array]
    cotangents: list[Array]
    outputs: list[Array]
    analytic: list[Any]
    numeric: list[Any]
    error_bars: list[Any]
    failed: list[bool]
    rng: np.random.Generator
    is_fixed: bool = False
    memory: dict[str, Any] = field(default_factory=dict)
    """Experiments that several recognisers need are made once and kept here by name."""

    # ------------------------------------------------------------------ comparing

    def measured(self, i: int) -> Array:
        """Where the numeric gradient of input i is known."""
        if self.numeric[i] is None:
            return np.zeros(self.inputs[i].shape, bool)
        return np.asarray(np.isfinite(self.numeric[i]))

    def closeness(self, i: int) -> float:
        """How far off a candidate may be from the analytic gradient, but for error bars."""
        close = CLOSE.get(self.analytic[i].dtype, CLOSE[np.dtype(np.float64)])
        return close * self.scale(i)

    def tolerance(self, i: int) -> Array:
        """How far off, entry by entry, a candidate may be from the analytic gradient."""
        return np.asarray(self.closeness(i) + np.nan_to_num(self.error_bars[i], posinf=0.0))

    def scale(self, i: int) -> float:
        """The size of the gradients of input i, analytic and numeric."""
        known = np.zeros(0) if self.numeric[i] is None else self.numeric[i][self.measured(i)]
        analytic = self.analytic[i][np.isfinite(self.analytic[i])]
        return float(max(abs(known).max(initial=0), abs(analytic).max(initial=0)))

    def explains(self, i: int, candidate: Array) -> float:
        """How much of the mistake in gradient i the candidate explains, from 0 to 1.

        1 where the analytic gradient is the candidate to within the tolerance, wherever it is
        known; less by as much as is left of the distance to the right gradient. 0 where the
        candidate is the right gradient.
        """
        analytic = np.asarray(self.analytic[i], np.float64)
        candidate = np.asarray(candidate, np.float64)
        if candidate.shape != analytic.shape:
            return 0.0
        if analytic.shape != self.inputs[i].shape:  # nothing to compare with entry by entry
            return float(abs(analytic - candidate).max(initial=0) <= self.closeness(i))
        known = self.measured(i)
        if not known.any():
            return 0.0
        tolerance = self.tolerance(i)[known]
        left = abs(analytic - candidate)[known]
        wrong = abs(analytic - self.numeric[i])[known]
        if not np.isfinite(candidate[known]).all() or not (wrong > tolerance).any():
            return 0.0
        if (left <= tolerance).all():
            return 1.0
        total = float(np.linalg.norm(wrong))
        return float(max(0.0, 1.0 - 3 * np.linalg.norm(left) / total)) if total else 0.0

    # ------------------------------------------------------------------ experiments

    def outputs_at(self, inputs: Sequence[Array]) -> list[Array] | None:
        """What forward gives there, None where it cannot."""
        try:
            with np.errstate(all="ignore"):
                return self.subject.outputs(inputs)
        except (Raised, BudgetSpent):
            return None

    def gradients_at(
        self, cotangents: Sequence[Array] | None = None, inputs: Sequence[Array] | None = None
    ) -> list[Any] | None:
        """What backward gives for other cotangents or inputs, None where it cannot."""
        try:
            with np.errstate(all="ignore"):
                return self.subject.gradients(
                    self.cotangents if cotangents is None else cotangents,
                    self.inputs if inputs is None else inputs,
                )
        except (Raised, BudgetSpent):
            return None

    def slope(
        self,
        i: int,
        direction: Array,
        inputs: Sequence[Array] | None = None,
        step: float = STEP,
    ) -> list[Array] | None:
        """The derivative of every output along a direction of input i, by central differences.

        Two steps, h and h/2, extrapolated. None where forward is not finite around there.
        """
        at = list(self.inputs if inputs is None else inputs)
        h = step * (float(abs(at[i]).max(initial=0)) or 1.0) / (abs(direction).max() or 1.0)
        slopes = []
        for size in (h, h / 2):
            sides = []
            for signed in (size, -size):
                moved = at[:i] + [np.asarray(at[i] + signed * direction)] + at[i + 1 :]
                outputs = self.outputs_at(moved)
                if outputs is None or not all(np.isfinite(y).all() for y in outputs):
                    return None
                sides.append(outputs)
            slopes.append(
                [(np.asarray(a, np.float64) - b) / (2 * size) for a, b in zip(*sides, strict=True)]
            )
        return [(4 * fine - coarse) / 3 for coarse, fine in zip(*slopes, strict=True)]
