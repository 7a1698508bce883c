"""The options that draw: a chart in the terminal, a PNG, a page."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from mlp.stress import plot
from mlp.stress.page import figure_page, page, write_page
from mlp.stress.series import Study
from mlp.stress.terminal import explosion

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def add_pictures(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument(
        "--chart", action="store_true", default=None, help="draw the toy's chart in the terminal"
    )
    add_files(parser)


def add_files(parser: argparse.ArgumentParser) -> None:
    """Those of a picture and of a page."""
    parser.add_argument("--png", metavar="FILE", help="write a picture (needs matplotlib)")
    parser.add_argument(
        "--html",
        metavar="FILE",
        help="write a page to project (of other than the toy it needs matplotlib)",
    )


def draw(options: argparse.Namespace, study: Study) -> str:
    """Write what was asked for; returns what is to be printed after the report."""
    try:
        if options.html:
            write_page(page(study), options.html)
        if options.png:
            plot.save(plot.norm_against_pass(study), options.png)
    except (OSError, ImportError) as error:
        raise ValueError(str(error)) from error
    return f"\n\n{explosion(study)}" if options.chart else ""


def draw_figure(
    options: argparse.Namespace, make: Callable[[], "Figure"], title: str, words: str
) -> None:
    """Write the picture and the page of a figure, as far as they were asked for."""
    try:
        if options.png:
            plot.save(make(), options.png)
        if options.html:
            write_page(figure_page(title, plot.as_svg(make()), words), options.html)
    except (OSError, ImportError) as error:
        raise ValueError(str(error)) from error
