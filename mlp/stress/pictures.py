"""The options that draw: a chart in the terminal, a PNG, a page."""

import argparse

from mlp.stress import plot
from mlp.stress.growth import DepthStudy
from mlp.stress.page import write_page
from mlp.stress.series import Study
from mlp.stress.terminal import explosion


def add_pictures(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument(
        "--chart", action="store_true", default=None, help="draw the toy's chart in the terminal"
    )
    parser.add_argument("--png", metavar="FILE", help="write a picture (needs matplotlib)")
    parser.add_argument("--html", metavar="FILE", help="write one page that holds all of the toy")


def draw(options: argparse.Namespace, study: Study) -> str:
    """Write what was asked for; returns what is to be printed after the report."""
    try:
        if options.html:
            write_page(study, options.html)
        if options.png:
            plot.save(plot.norm_against_pass(study), options.png)
    except (OSError, ImportError) as error:
        raise ValueError(str(error)) from error
    return f"\n\n{explosion(study)}" if options.chart else ""


def draw_depth(options: argparse.Namespace, study: DepthStudy) -> None:
    """Write the picture of a study of depth, if it was asked for."""
    try:
        if options.png:
            plot.save(plot.norm_against_layer(study), options.png)
    except (OSError, ImportError) as error:
        raise ValueError(str(error)) from error
