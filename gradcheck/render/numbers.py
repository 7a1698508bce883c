"""Numbers as they are shown everywhere."""

import numpy as np

from gradcheck.verdict import Finding


def count(number: int) -> str:
    """1,234"""
    return f"{number:,}"


def measurement(analytic: float, numeric: float, error_bar: float) -> str:
    """The two gradients side by side, where either is known."""
    if not (np.isfinite(analytic) or np.isfinite(numeric)):
        return ""
    return f"analytic {analytic:.10g}, numeric {numeric:.10g} ± {error_bar:.2g}"


def distance(finding: Finding) -> str:
    """How far apart the two are, in their own unit and in error bars."""
    off = abs(finding.analytic - finding.numeric)
    if not np.isfinite(off):
        return ""
    return f"off by {off:.3g}, {bars(finding.excess)}"


def bars(excess: float) -> str:
    """'0.3 error bars', '4e+10 error bars'."""
    size = abs(excess)
    if not np.isfinite(size):
        return "error bars beyond number"
    return f"{size:.2g} error bar{'' if f'{size:.2g}' == '1' else 's'}"
