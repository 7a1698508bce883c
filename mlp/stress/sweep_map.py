"""A sweep as a map: one of its results over two of its axes, the mean over all else."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlp.arguments import by_name
from mlp.stress.grid import AXES
from mlp.stress.series import Array

MAP_AXES = AXES[:-1]
"""All but the seeds, over which a map has the mean."""


@dataclass(frozen=True)
class Value:
    """A number of a cell's result: what it is, and how to get it."""

    title: str
    of: Callable[[dict[str, Any]], float | None]


VALUES = {
    "overflow": Value(
        "fraction that overflows", lambda result: float(result["overflow_pass"] is not None)
    ),
    "pass": Value("pass of the overflow", lambda result: result["overflow_pass"]),
    "output": Value("growth forward, bits a layer", lambda result: result["log2_output_growth"]),
    "gradient": Value(
        "growth backward, bits a layer", lambda result: result["log2_gradient_growth"]
    ),
    "dead": Value("dead hidden units at the end", lambda result: result["dead"]),
}
"""By name: what can be mapped."""


@dataclass(frozen=True)
class SweepMap:
    """Means of a value.

    Attributes
    ----------
    title : what is mapped.
    x, y : names of the axes.
    columns, rows : their values.
    means : (rows, columns); NaN where no cell has a finite value.
    cells : how many cells there are.
    """

    title: str
    x: str
    y: str
    columns: list[Any]
    rows: list[Any]
    means: Array
    cells: int

    def __str__(self) -> str:
        heads = [f"{self.y} \\ {self.x}", *map(str, self.columns)]
        lines = [heads] + [
            [str(row), *("-" if math.isnan(mean) else f"{mean:.3g}" for mean in means)]
            for row, means in zip(self.rows, self.means, strict=True)
        ]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = [
            "  ".join(word.rjust(width) for word, width in zip(line, widths, strict=True))
            for line in lines
        ]
        return "\n".join([f"{self.title}: mean of {self.cells} cells", *table])


def sweep_map(
    lines: Sequence[dict[str, Any]],
    value: str = "overflow",
    x: str | None = None,
    y: str | None = None,
) -> SweepMap:
    """Map one of VALUES over two of MAP_AXES; by default over those that have most values.

    `lines` are those of a file of results, as `mlp.stress.store.read` gives them.
    """
    chosen = VALUES[by_name("plot: value", value, VALUES)]
    if not lines:
        raise ValueError("plot: got a file without cells, expected at least one that is done")
    found = {name: distinct(line["cell"][name] for line in lines) for name in MAP_AXES}
    x, y = axes(found, x, y)
    columns, rows = found[x], found[y]
    sums, counts = np.zeros((len(rows), len(columns))), np.zeros((len(rows), len(columns)))
    for line in lines:
        number = chosen.of(line["result"])
        if number is not None and math.isfinite(float(number)):
            place = rows.index(line["cell"][y]), columns.index(line["cell"][x])
            sums[place] += float(number)
            counts[place] += 1
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return SweepMap(chosen.title, x, y, columns, rows, means, len(lines))


def distinct(values: Any) -> list[Any]:
    """Each once: numbers by size, names in the order in which they come."""
    found = list(dict.fromkeys(values))
    return found if isinstance(found[0], str) else sorted(found)


def axes(found: dict[str, list[Any]], x: str | None, y: str | None) -> tuple[str, str]:
    """The names of the axes: as given, or those with most values."""
    for where, name in (("x", x), ("y", y)):
        if name is not None:
            by_name(f"plot: {where}", name, MAP_AXES)
    if x is not None and x == y:
        raise ValueError(f"plot: x and y are both {x!r}, expected two axes")
    by_count = sorted(MAP_AXES, key=lambda name: -len(found[name]))
    x = x or next(name for name in by_count if name != y)
    return x, y or next(name for name in by_count if name != x)
