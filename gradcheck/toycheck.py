"""The toy, run by a target and compared: with what is published, or with the reference."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck import reference, toy
from gradcheck.course import build_toy, forward_backward, opened, theirs
from gradcheck.network import check_network
from gradcheck.source import Source
from gradcheck.verdict import FAIL, PASS, Report, json_number

Array = np.ndarray

DIGITS = 1e-12
"""Relative error at which a computed number still counts as the published one."""


@dataclass(frozen=True)
class Row:
    """One quantity of one case: what was computed, what was expected, and whether it holds."""

    case: str
    quantity: str
    computed: Array
    expected: Array
    error_bar: float
    scale: str = ""

    @property
    def holds(self) -> Array:
        """Of each number, whether it is the expected one."""
        if self.computed.size != self.expected.size:
            return np.zeros(self.expected.shape, bool)
        off = abs(self.computed.reshape(self.expected.shape) - self.expected)
        return np.asarray(off <= self.error_bar)


@dataclass(frozen=True)
class ToyResult:
    """All rows of a run, and the checks by differences."""

    target: str
    activation: str
    batchnorm: int
    is_published: bool
    rows: tuple[Row, ...]
    differences: tuple[Report, ...] = field(default=())

    @property
    def matched(self) -> int:
        return sum(int(row.holds.sum()) for row in self.rows)

    @property
    def expected(self) -> int:
        return sum(row.expected.size for row in self.rows)

    @property
    def verdict(self) -> str:
        """Fail if a number or a difference says so. Where differences cannot tell, because the
        network is saturated, the reference decides.
        """
        failed = any(report.verdict == FAIL for report in self.differences)
        return FAIL if failed or self.matched < self.expected else PASS

    def mismatches(self) -> list[dict[str, Any]]:
        found = []
        for row in self.rows:
            for index in np.argwhere(~row.holds):
                same = row.computed.size == row.expected.size
                computed = row.computed.reshape(row.expected.shape) if same else row.expected
                found.append(
                    {
                        "case": row.case,
                        "quantity": row.quantity,
                        "index": [int(i) for i in index],
                        "expected": float(row.expected[tuple(index)]),
                        "computed": json_number(computed[tuple(index)]) if same else None,
                        "shape": list(row.computed.shape),
                    }
                )
        return found


def run_toy(
    target: str | Source = "mlp:MLP", activation: str = "relu", batchnorm: int = 0, seed: int = 0
) -> ToyResult:
    """Forward and backward of the toy for the single input and each row of the batch.

    With ReLU and no batchnorm every number is published. Otherwise the values are judged by
    the NumPy reference and by differences. With batchnorm the three rows are one batch,
    since a single sample has no variance.
    """
    is_published = activation == "relu" and batchnorm == 0
    source = opened(target) if isinstance(target, str) else target
    target = source.name
    with theirs(target, "making the network"):
        net = build_toy(source, activation, batchnorm)
    rows: list[Row] = []
    differences: list[Report] = []
    cases: list[tuple[str, Array, Array, dict[str, Array]]]
    if batchnorm:
        cases = [("batch of 3", toy.BATCH_X, toy.BATCH_TARGETS, {})]
    else:
        cases = [(name, s.x, s.target, s.published) for name, s in toy.CASES]
    for case, x, target_rows, published in cases:
        with theirs(target, "forward and backward"):
            found = forward_backward(net, x, target_rows)
        if is_published:
            rows += [
                Row(case, name, found[name], value, DIGITS * float(abs(value).max()))
                for name, value in published.items()
                if name in found  # a network that keeps its inner values to itself
            ]
        else:
            rows += reference_rows(case, found, activation, batchnorm, x, target_rows)
            with theirs(target, "the check by differences"):
                differences.append(check_network(net, x, target_rows, seed, title=case))
    return ToyResult(target, activation, batchnorm, is_published, tuple(rows), tuple(differences))


def reference_rows(
    case: str, found: dict[str, Array], activation: str, batchnorm: int, x: Array, targets: Array
) -> list[Row]:
    expected = reference.with_bars(toy.WEIGHTS, activation, batchnorm, x, targets)
    rows = []
    for name, computed in found.items():
        value, bar = expected[name]
        row = Row(case, name, computed, value, bar)
        if not row.holds.all() and len(x) > 1:
            # Some courses give the gradient of the sum over the batch, not of the mean.
            as_sum = Row(case, name, computed, value * len(x), bar * len(x), "sum over the batch")
            row = as_sum if as_sum.holds.all() else row
        rows.append(row)
    return rows
