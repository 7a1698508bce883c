"""Gradients that are off in float32 alone: rounding that looks like a mistake is none."""

from dataclasses import replace

from gradcheck.compare import Comparison, Measured
from gradcheck.verdict import INCONCLUSIVE

FEW, SLIGHT = 0.25, 0.01
"""Share of the entries, and of the largest one, that rounding in float32 may explain."""


def pardoned(comparison: Comparison) -> Comparison:
    """Off in float32 only, by little or at few entries: rounding, or a kink that it crosses."""
    single = [m for m in comparison.measured if m.probe.index is not None]
    off = [m for m in single if is_off(m)]
    largest = max((abs(m.estimate.value) for m in single if m.estimate.is_finite), default=0.0)
    is_slight = all(abs(m.probe.analytic - m.estimate.value) <= SLIGHT * largest for m in off)
    if len(off) > FEW * len(single) and not is_slight:
        return comparison
    note = "the same backward is right in float64: rounding, or a kink that float32 crosses"
    finding = replace(comparison.finding, verdict=INCONCLUSIVE, note=note)
    return replace(comparison, finding=finding)


def is_off(one: Measured) -> bool:
    return bool(abs(one.probe.analytic - one.estimate.value) > one.bar)
