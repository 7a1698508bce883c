"""Entries that share a kink, such as equal ones under max: each alone may take any slope up to the
whole, but along all of them the function is smooth, and there is one right sum.
"""

from dataclasses import replace

import numpy as np

from gradcheck.compare import Comparison, Gauge, Probe, Quantity


def tie_note(quantity: Quantity, comparison: Comparison) -> str:
    """What the gradients of such entries sum to, where that is not the slope; "" elsewhere."""
    kinks = [m.probe for m in comparison.measured if m.estimate.kink is not None]
    tied = [probe for probe in kinks if probe.index is not None]
    if len(tied) < 2:
        return ""
    direction = np.sum([probe.direction for probe in tied], axis=0)
    total = sum(probe.analytic for probe in tied)
    # A unit in the last place breaks a tie: what the gradient does then is no rounding.
    gauge = Gauge(replace(quantity, spread=None))
    along = gauge.measure(Probe("tied entries", direction, total))
    slope = along.estimate
    is_smooth = slope.kink is None and slope.is_finite
    if not is_smooth or abs(total - slope.value) <= gauge.doubt * along.bar:
        return ""
    where = ", ".join(probe.where for probe in tied[:3]) + (", …" if len(tied) > 3 else "")
    return (
        f"{quantity.name}: the entries {where} share a kink (a tie); their gradients sum to "
        f"{total:.6g}, but moved together they have the slope {slope.value:.6g}: a convention "
        "that gives each of them more, or less, than its share"
    )
