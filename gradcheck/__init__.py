"""Gradient checking with an error bar and a verdict. Imports NumPy alone.

>>> import numpy as np
>>> from gradcheck import check
>>> x = np.linspace(0.1, 1.0, 4)
>>> report = check(np.sin, lambda dy, x: (dy * np.cos(x),), [x], names=["x"])
>>> report.verdict
'pass'
"""

from gradcheck.check import check, check_gradient
from gradcheck.network import check_network
from gradcheck.pair import pair
from gradcheck.verdict import FAIL, INCONCLUSIVE, PASS, Cause, Detail, Finding, Report

__all__ = [
    "FAIL", "INCONCLUSIVE", "PASS", "Cause", "Detail", "Finding", "Report", "check",
    "check_gradient", "check_network", "pair",
]  # fmt: skip
