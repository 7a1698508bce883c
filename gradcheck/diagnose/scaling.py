"""Sign and scale: the gradient is the right one times a constant."""

from collections.abc import Iterator

import numpy as np

from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.evidence import Evidence
from gradcheck.verdict import Cause


def constant_factor(evidence: Evidence, i: int) -> Iterator[Cause]:
    """a = c·n: c = -1 is a sign, c = N or 1/N the batch, anything else a constant."""
    known = evidence.measured(i)
    if evidence.analytic[i].shape != known.shape or not known.any():
        return
    analytic = np.asarray(evidence.analytic[i], np.float64)
    numeric = np.where(known, evidence.numeric[i], 0.0)
    norm = float((numeric * numeric).sum())
    if norm == 0:
        return
    factor = float((analytic[known] * numeric[known]).sum()) / norm
    match = evidence.explains(i, factor * numeric)
    if match < 0.5 or factor == 0:
        return
    for slug, expected, n in batch_factors(evidence):
        if abs(factor / expected - 1) < 1e-4:
            yield cause(slug, match, factor=f"{factor:.6g}", n=n)
    if abs(factor + 1) < 1e-4:
        yield cause("sign-flipped", match, formula="d" + evidence.names[i])
    yield cause("scaled-by-constant", match, factor=factor)


def batch_factors(evidence: Evidence) -> Iterator[tuple[str, float, int]]:
    """The factors that a mean over the batch, forgotten or taken twice, would leave."""
    sizes = {a.shape[0] for a in (*evidence.inputs, *evidence.outputs) if a.ndim and a.shape[0] > 1}
    for n in sizes:
        yield "scaled-by-batch", float(n), n
        yield "divided-by-batch-twice", 1.0 / n, n


RECOGNISERS = (constant_factor,)
