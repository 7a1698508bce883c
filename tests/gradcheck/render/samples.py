"""Reports made by hand, so that what is shown of them is known beforehand."""

import numpy as np

from gradcheck import Cause, Detail, Finding, Report


def detail(excess, bar=0.5):
    """Numbers whose distance is `excess` bars; NaN where it is NaN."""
    excess = np.asarray(excess, float)
    numeric = np.where(np.isnan(excess), np.nan, 1.0)
    return Detail(numeric + excess * bar, numeric, np.where(np.isnan(excess), np.nan, bar))


WRONG = Finding(
    "w",
    "fail",
    "(0, 1)",
    3.0,
    1.0,
    0.5,
    "a kink: slopes 0 and 1",
    (
        Cause("transposed", 0.8, "the transpose of the right one: dW = xᵀ·dy"),
        Cause("sign-flipped", 0.4, "every entry has the wrong sign: −(dw) instead of dw"),
        Cause("not-in-any-table", 0.3, "a cause that somebody adds <later> & escapes"),
        Cause("unrelated", 0.05, "the fourth"),
    ),
    detail([[0.5, 4.0], [np.nan, -0.2]]),
)
RIGHT = Finding("x", "pass", "(2,)", 1.0, 1.0, 0.5, detail=detail([0.1, -0.3, 0.2]))
UNKNOWN = Finding("b", "inconclusive", note="forward is not finite around here")
CONVENTION = Cause("kink-convention", 0.5, "a choice: 0")


def sample():
    findings = (RIGHT, UNKNOWN, WRONG)
    return Report("layer", 7, findings, 1234, ("a note",), (CONVENTION,), 56, 1.5)
