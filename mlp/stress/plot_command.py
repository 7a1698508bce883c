"""python -m mlp stress plot: a finished sweep as a table, and as a picture."""

import argparse
import json
from typing import Any

from mlp.stress import plot
from mlp.stress.pictures import add_files, draw_figure
from mlp.stress.series import as_plain
from mlp.stress.store import read
from mlp.stress.sweep_map import MAP_AXES, VALUES, sweep_map


def add_plot(commands: Any) -> None:
    """The subcommand and its options."""
    parser = commands.add_parser(
        "plot",
        help="a finished sweep as a table, and as a picture",
        description="Map a result of a sweep's cells over two of its axes: the mean over seeds "
        "and over all other axes. With --phase: the phase diagram of mean-field theory, with the "
        "cells that start as scaled:σ_w:σ_b.",
    )
    parser.add_argument("results", metavar="FILE", help="that a sweep has written, JSONL")
    parser.add_argument("--value", default="overflow", help=", ".join(VALUES) + "; %(default)s")
    for axis in ("x", "y"):
        parser.add_argument(f"--{axis}", help=", ".join(MAP_AXES) + "; those with most values")
    parser.add_argument("--phase", metavar="ACTIVATION", help="the phase diagram instead")
    add_files(parser)
    parser.add_argument("--json", action="store_true", help="print the map as JSON")


def plot_text(options: argparse.Namespace) -> str:
    """Draw what was asked for; what the command prints."""
    try:
        _, lines = read(options.results)
    except OSError as error:
        raise ValueError(str(error)) from error
    if options.phase is not None:
        return phase_text(options, lines)
    found = sweep_map(lines, options.value, options.x, options.y)
    draw_figure(options, lambda: plot.sweep_heat_map(found), found.title, str(found))
    if options.json:
        plain = as_plain(vars(found) | {"means": found.means.tolist()})
        return json.dumps(plain, ensure_ascii=False)
    return str(found)


def phase_text(options: argparse.Namespace, lines: list[dict[str, Any]]) -> str:
    """The phase diagram with the cells of that activation."""
    measured = plot.measured_cells(
        [line for line in lines if line["cell"]["activation"] == options.phase]
    )
    files = [file for file in (options.png, options.html) if file]
    if not files or not measured:
        got = "no cell of it that starts as scaled:σ_w" if files else "no --png or --html FILE"
        raise ValueError(f"plot: --phase {options.phase} has {got}, expected one")
    sigma_w, sigma_b, _ = zip(*measured, strict=True)
    ranges = [
        (min(low, *sigmas), max(high, *sigmas))
        for (low, high), sigmas in ((plot.SIGMA_W, sigma_w), (plot.SIGMA_B, sigma_b))
    ]
    words = f"{len(measured)} points (σ_w, σ_b)"
    title = f"Order and chaos: {options.phase}"
    draw_figure(options, lambda: plot.phase_diagram(options.phase, measured, *ranges), title, words)
    return f"{words} in {' and '.join(files)}"
