"""python -m mlp stress: the experiment at the end of the toy, and random networks by depth."""

import argparse
import json
from typing import Any

import numpy as np

from kernels.activation import ACTIVATIONS
from mlp.arguments import DTYPES
from mlp.stress import plot, toy
from mlp.stress.depth import depth
from mlp.stress.passes import PASSES, run
from mlp.stress.pictures import add_pictures, draw, draw_figure
from mlp.stress.plot_command import add_plot, plot_text
from mlp.stress.report import depth_report, passes_report
from mlp.stress.sweep_command import add_sweep, sweep_text

OF_THE_TOY: dict[str, Any] = {
    "passes": PASSES, "lr": toy.LEARNING_RATE, "input": "single", "dtype": "float64",
    "extended": False, "chart": False,
}  # fmt: skip
OF_DEPTH: dict[str, Any] = {"width": 256, "init": "he", "seeds": 20}
"""Options that belong to one of the two experiments alone, and their defaults."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parts = parser.add_subparsers(dest="part", metavar="sweep|plot")
    add_sweep(parts)
    add_plot(parts)
    add_pictures(parser)
    parser.add_argument("--passes", type=int, help=f"of the toy; {OF_THE_TOY['passes']}")
    parser.add_argument("--lr", type=float, help=f"of the toy; {OF_THE_TOY['lr']}")
    parser.add_argument(
        "--activation", default="relu", help=", ".join(op.name for op in ACTIVATIONS)
    )
    parser.add_argument("--batchnorm", action="store_true", help="between Linear and activation")
    parser.add_argument("--input", help="of the toy: single or batch; single")
    parser.add_argument(
        "--dtype", choices=[dtype.name for dtype in DTYPES], help="of the toy; float64"
    )
    parser.add_argument(
        "--extended",
        action="store_true",
        default=None,
        help="the toy goes on past overflow in scaled arithmetic",
    )
    parser.add_argument("--json", action="store_true", help="print the study as JSON")
    parser.add_argument(
        "--depth", type=int, metavar="N", help="random networks of so many layers instead"
    )
    parser.add_argument("--width", type=int, help="of each of these layers; 256")
    parser.add_argument(
        "--init",
        help="of these layers: toy, normal:σ, uniform, xavier, he, orthogonal or lsuv; he",
    )
    parser.add_argument("--seeds", type=int, help="how many such networks; 20")


def stress(options: argparse.Namespace) -> str:
    """What the command prints."""
    if options.part == "sweep":
        return sweep_text(options)
    if options.part == "plot":
        return plot_text(options)
    if options.depth is not None:
        settle(options, OF_DEPTH, OF_THE_TOY, "the toy; leave it out, or leave out --depth")
        return depth_text(options)
    settle(options, OF_THE_TOY, OF_DEPTH, "random networks; add --depth N")
    return passes_text(options)


def settle(
    options: argparse.Namespace, own: dict[str, Any], others: dict[str, Any], whose: str
) -> None:
    """Defaults for what was left out; an error for what belongs to the other experiment."""
    for name in others:
        if getattr(options, name) is not None:
            raise ValueError(f"stress: --{name} is an option of {whose}")
    for name, value in own.items():
        if getattr(options, name) is None:
            setattr(options, name, value)


def passes_text(options: argparse.Namespace) -> str:
    settings = {
        "passes": options.passes, "lr": options.lr, "activation": options.activation,
        "batchnorm": options.batchnorm, "input": options.input,
    }  # fmt: skip
    study = run(**settings, dtype=options.dtype, extended=options.extended, remedies=True)
    drawn = draw(options, study)
    if options.json:
        return as_json(study.to_dict())
    (other_dtype,) = {dtype.name for dtype in DTYPES} - {options.dtype}
    return passes_report(study, run(**settings, dtype=other_dtype)) + drawn


def depth_text(options: argparse.Namespace) -> str:
    study = depth(
        options.depth,
        options.width,
        init=options.init,
        activation=options.activation,
        batchnorm=options.batchnorm,
        seeds=options.seeds,
    )
    text = depth_report(study)
    draw_figure(
        options, lambda: plot.norm_against_layer(study), f"Growth over {options.depth} layers", text
    )
    if not options.json:
        return text
    summary: dict[str, Any] = {}
    for which in ("forward", "backward"):
        parts = dict(zip(("mean", "low", "high"), study.interval(which), strict=True))
        summary[f"{which}_interval"] = {
            name: [value if np.isfinite(value) else str(value) for value in part.tolist()]
            for name, part in parts.items()
        }
    return as_json(study.to_dict() | summary)


def as_json(found: dict[str, Any]) -> str:
    return json.dumps(found, indent=1, allow_nan=False, ensure_ascii=False)
