"""pattern: in a large array that is wrong, which entries are, from a sample of them."""

import numpy as np

from gradcheck.compare import (
    Comparison,
    Gauge,
    Measured,
    Quantity,
    badness,
    entry_probe,
)
from gradcheck.stopwatch import Stopwatch
from gradcheck.verdict import FAIL

Array = np.ndarray

ROWS, COLUMNS = 12, 12
"""Of the block of entries that is measured: the first ones, the last, and some between."""

SECONDS, FEWEST = 1.0, 24
"""When it takes longer than that, so many entries must do."""


def pattern(
    quantity: Quantity,
    rng: np.random.Generator,
    index: tuple[int, ...],
    discrepancy: float,
    along: Measured,
) -> Comparison:
    """What is wrong around the entry at `index`, which is.

    Where the discrepancy of the whole direction is that of this entry, it is the only one, and
    nothing more is measured. Otherwise a block of entries is.
    """
    gauge = Gauge(quantity)
    analytic = quantity.gradient.astype(np.float64)
    here = gauge.measure(entry_probe(index, analytic))
    sign = float(along.probe.direction[index])
    rest = discrepancy - sign * (here.probe.analytic - here.estimate.value)
    is_alone = abs(rest) <= along.bar + here.bar
    measured, watch = [here], Stopwatch()
    for place in () if is_alone else block(quantity.x.shape, rng, index):
        measured.append(gauge.measure_quickly(entry_probe(place, analytic)))
        if watch.seconds > SECONDS and len(measured) > FEWEST:
            break
    findings = [gauge.judge(one, measured) for one in measured]
    worst = max(range(len(findings)), key=lambda k: badness(findings[k], measured[k].bar))
    finding = findings[worst]
    if finding.verdict != FAIL:  # spread so thin that no single entry shows it
        finding = gauge.judge(along, [along])
    return Comparison(finding, len(measured), tuple(measured), is_alone)


def block(
    shape: tuple[int, ...], rng: np.random.Generator, index: tuple[int, ...]
) -> list[tuple[int, ...]]:
    """Indices of a block that has first, last and some other rows and columns."""
    if len(shape) == 1:
        return [(k,) for k in chosen(shape[0], ROWS * COLUMNS, rng, index[0]) if (k,) != index]
    rows = chosen(shape[0], ROWS, rng, index[0])
    columns = chosen(int(np.prod(shape[1:])), COLUMNS, rng, int(
        np.ravel_multi_index(index[1:], shape[1:])
    ))  # fmt: skip
    places = [
        (row, *(int(k) for k in np.unravel_index(column, shape[1:])))
        for row in rows
        for column in columns
    ]
    return [places[k] for k in rng.permutation(len(places)) if places[k] != index]


def chosen(size: int, count: int, rng: np.random.Generator, wanted: int) -> list[int]:
    """Up to `count` of range(size): both ends, the wanted one, and some drawn."""
    if size <= count:
        return list(range(size))
    third = count // 3
    picked = {*range(third), *range(size - third, size), wanted}
    while len(picked) < count:
        picked.add(int(rng.integers(size)))
    return sorted(picked)
