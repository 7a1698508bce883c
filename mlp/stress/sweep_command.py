"""python -m mlp stress sweep: every combination of settings, into one file."""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from mlp.stress.grid import LIMIT, Grid
from mlp.stress.processes import WorkerLost
from mlp.stress.sweep import sweep

DEFAULTS = Grid()


def add_sweep(commands: Any) -> None:
    """The subcommand and its options."""
    parser = commands.add_parser(
        "sweep",
        help="every combination of settings, resumable, into one JSONL file",
        description="Run every combination of these settings. Lists are separated by commas; "
        "depth and width take 1..1000 as well. The same command goes on with a run that was "
        "killed.",
    )
    for name in ("init", "activation", "normalization", "lr", "depth", "width"):
        values = getattr(DEFAULTS, name)
        default = ",".join(map(str, values))
        parser.add_argument(f"--{name}", default=default, metavar="A,B", help=f"{default}")
    for name in ("seeds", "passes", "batch"):
        value = getattr(DEFAULTS, name)
        parser.add_argument(f"--{name}", type=int, default=value, help="%(default)s")
    parser.add_argument("--criterion", default=DEFAULTS.criterion, help="%(default)s")
    parser.add_argument("--dtype", default=DEFAULTS.dtype, help="%(default)s")
    parser.add_argument("--out", required=True, metavar="FILE", help="of the results, JSONL")
    parser.add_argument("--jobs", type=int, default=1, help="processes; %(default)s")
    parser.add_argument(
        "--limit", type=int, default=LIMIT, help="refuse a grid of more cells; %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")


def sweep_text(options: argparse.Namespace) -> str:
    """Run the sweep; what the command prints."""
    try:
        swept = sweep(as_grid(options), options.out, jobs=options.jobs, limit=options.limit)
    except (OSError, TypeError, WorkerLost) as error:
        raise ValueError(str(error)) from error
    except KeyboardInterrupt:
        sys.stderr.write(f"mlp: what is done is in {options.out}; the same command goes on\n")
        raise
    if not options.json:
        return str(swept)
    return json.dumps(
        {"path": str(swept.path), "cells": swept.cells, "found": swept.found, "run": swept.run,
         "lost": list(swept.lost)},
        ensure_ascii=False,
    )  # fmt: skip


def as_grid(options: argparse.Namespace) -> Grid:
    """The grid that the options describe."""
    return Grid(
        init=words(options.init),
        activation=words(options.activation),
        normalization=words(options.normalization),
        depth=whole_numbers("--depth", options.depth),
        width=whole_numbers("--width", options.width),
        lr=[number("--lr", word, float) for word in words(options.lr)],
        seeds=options.seeds,
        passes=options.passes,
        batch=options.batch,
        criterion=options.criterion,
        dtype=options.dtype,
    )


def words(text: str) -> list[str]:
    """What stands between the commas."""
    return [word.strip() for word in text.split(",")]


def whole_numbers(option: str, text: str) -> Sequence[int]:
    """A list, or low..high with both ends."""
    low, dots, high = text.partition("..")
    if dots:
        first, last = number(option, low, int), number(option, high, int)
        if first > last:
            raise ValueError(f"{option} is {text}, expected the smaller number first")
        return range(first, last + 1)
    return [number(option, word, int) for word in words(text)]


def number(option: str, text: str, kind: type) -> Any:
    """A number of that kind."""
    try:
        return kind(text)
    except ValueError:
        name = "a whole number" if kind is int else "a number"
        raise ValueError(f"{option} has {text!r}, expected {name}") from None
