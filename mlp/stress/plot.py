"""Pictures of explosion, with matplotlib, which is loaded when the first one is drawn.

Every function returns a figure of its own: no display is needed, and no global state is touched.
"""

import io
import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlp.stress import theory
from mlp.stress.curves import (
    COLORS,
    LIMITS,
    LOG10_OF_2,
    decades,
    doubling,
    follows_law,
    highest,
    largest_output,
    what,
)
from mlp.stress.growth import DepthStudy
from mlp.stress.interval import mean_interval
from mlp.stress.series import Array, Study
from mlp.stress.sweep_map import SweepMap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

DOTS_PER_INCH = 150
LIGHT = 0.18
"""Opacity of an interval."""

THIN, BROAD = 1.8, 5.0
"""Widths of lines, in points."""

SIGMA_W, SIGMA_B = (0.5, 4.0), (0.0, 2.0)
"""The part of the phase diagram that is drawn."""

POINTS = 41
"""Of each axis of the phase diagram."""

WRITTEN = 120
"""Numbers that a map of a sweep has room for."""


def norm_against_pass(studies: Study | Sequence[Study]) -> "Figure":
    """Largest output and gradient norms, pass by pass, beside the law and the dtypes' limits.

    Of several studies, the same network with different seeds, their means and 95 % intervals.
    """
    several = [studies] if isinstance(studies, Study) else list(studies)
    first = several[0]
    figure, axes = new_figure(f"Size against pass: {what(first)}")
    passes = min(study.passes for study in several)
    curves = {"largest |output|": [largest_output(study)[:passes] for study in several]}
    for layer in range(first.of("dW").shape[1]):
        curves[f"|dW{layer + 1}|"] = [study.of("dW")[:passes, layer] for study in several]
    x = np.arange(1, passes + 1)
    for i, (color, (name, values)) in enumerate(zip(COLORS, curves.items(), strict=False)):
        thick = BROAD / i if i else THIN  # what lies on one another is seen all the same
        line_with_interval(axes, x, decades(np.array(values)), name, color, thick)
    top = max(highest(study) for study in several)
    draw_law(axes, several[0])
    draw_limits(axes, top)
    mark_overflow(axes, first)
    axes.set(xlabel="pass", ylim=(None, 1.07 * top * LOG10_OF_2))
    whole_numbers(axes.xaxis)
    powers_of_ten(axes)
    axes.set_xlim(None, passes + 0.5 if first.overflow_pass is None else first.overflow_pass + 0.5)
    axes.legend(
        framealpha=1, edgecolor="none", loc="best" if first.overflow_pass is None else "upper left"
    )
    return figure


def draw_law(axes: "Axes", study: Study) -> None:
    """The doubling of the exponent, foretold from the first two passes."""
    if not follows_law(study) or study.passes < 2:
        return
    layers = study.of("dW").shape[1]
    law = decades(doubling(largest_output(study), layers, study.passes + 1))
    label = f"law from passes 1 and 2: exponent × {layers - 1}"
    axes.plot(np.arange(1, len(law) + 1), law, "--", color="0.35", lw=1.2, label=label, zorder=1)


def draw_limits(axes: "Axes", log2_top: float) -> None:
    """A line where each dtype ends, if it is in reach."""
    for dtype, limit in LIMITS.items():
        if limit <= log2_top:
            y = limit * LOG10_OF_2
            axes.axhline(y, color="0.6", lw=0.8, ls=":", zorder=0)
            note = f"{dtype} ends"
            axes.annotate(note, (0.86, y), xycoords=("axes fraction", "data"), xytext=(0, 3),
                          textcoords="offset points", ha="right", color="0.35",
                          fontsize="small")  # fmt: skip


def mark_overflow(axes: "Axes", study: Study) -> None:
    """Where the first value was not finite."""
    if study.overflow_pass is not None:
        y = LIMITS[study.settings["dtype"]] * LOG10_OF_2
        axes.plot([study.overflow_pass], [y], "x", color="#b00020", ms=10, mew=2.5, zorder=5,
                  label=f"overflow in pass {study.overflow_pass}")  # fmt: skip


def norm_against_layer(study: DepthStudy) -> "Figure":
    """Mean squares of outputs and gradients by layer: mean, 95 % interval, theory."""
    s = study.settings
    norm = " with batchnorm" if s["batchnorm"] else ""
    title = f"{s['seeds']} networks, {s['width']} wide: {s['init']}, {s['activation']}{norm}"
    figure, axes = new_figure(title)
    for which, color in (("forward", COLORS[0]), ("backward", COLORS[1])):
        values = decades(getattr(study, which)) / 2
        layers = np.arange(1, values.shape[1] + 1)
        name = "outputs" if which == "forward" else "gradients"
        line_with_interval(axes, layers, values, f"{name}, {s['seeds']} seeds", color)
        predicted = getattr(study, f"{which}_theory")
        if predicted is not None:
            axes.plot(layers, decades(predicted) / 2, "--", color=color, lw=1.4, alpha=0.8,
                      label=f"{name}, theory of wide layers")  # fmt: skip
    axes.set(xlabel="layer", ylabel="root mean square")
    powers_of_ten(axes)
    axes.legend(frameon=False)
    return figure


def line_with_interval(
    axes: "Axes", x: Array, values: Array, name: str, color: str, thick: float = THIN
) -> None:
    """The mean of `values` (seeds, points), and its interval where there are several."""
    finite = np.where(np.isfinite(values), values, np.nan)
    if len(values) > 1:
        mean, low, high = mean_interval(finite)
        axes.fill_between(x, low, high, color=color, alpha=LIGHT, lw=0)
    else:
        mean = finite[0]
    marker = "o" if len(x) <= 30 else ""
    axes.plot(x, mean, marker=marker, ms=2.5 + thick, lw=thick, color=color, label=name)


def heat_map(study: Study, tensor: str = "dW") -> "Figure":
    """The norm of a tensor, layer by pass; what is not finite is hatched."""
    values = decades(study.of(tensor)).T
    figure, axes = new_figure(f"|{tensor}| by layer and pass: {what(study)}")
    shown = np.ma.masked_invalid(values)
    extent = (0.5, values.shape[1] + 0.5, values.shape[0] + 0.5, 0.5)
    axes.set_facecolor("white")
    axes.patch.set(hatch="////", edgecolor="0.6")
    image = axes.imshow(shown, aspect="auto", cmap="inferno", extent=extent)
    bar = figure.colorbar(image, ax=axes, pad=0.02)
    bar.ax.yaxis.set_major_formatter(power_formatter)
    axes.set(xlabel="pass", ylabel="layer")
    for axis in (axes.xaxis, axes.yaxis):
        whole_numbers(axis)
    axes.grid(visible=False)
    return figure


def sweep_heat_map(found: SweepMap) -> "Figure":
    """A map of a sweep, each mean written in its place; where there is none it is hatched."""
    figure, axes = new_figure(f"{found.title}: mean of {found.cells} cells")
    axes.patch.set(hatch="////", edgecolor="0.6")
    image = axes.imshow(np.ma.masked_invalid(found.means), aspect="auto", cmap="cividis")
    figure.colorbar(image, ax=axes, pad=0.02)
    axes.set_xticks(range(len(found.columns)), [str(column) for column in found.columns])
    axes.set_yticks(range(len(found.rows)), [str(row) for row in found.rows])
    axes.set(xlabel=found.x, ylabel=found.y)
    axes.grid(visible=False)
    if found.means.size <= WRITTEN and np.isfinite(found.means).any():
        middle = (np.nanmin(found.means) + np.nanmax(found.means)) / 2
        for (row, column), mean in np.ndenumerate(found.means):
            if math.isfinite(mean):
                color = "black" if mean > middle else "white"
                axes.text(column, row, f"{mean:.3g}", ha="center", va="center", color=color)
    return figure


def phase_diagram(
    activation: str = "tanh",
    measured: Sequence[tuple[float, float, float]] = (),
    sigma_w: tuple[float, float] = SIGMA_W,
    sigma_b: tuple[float, float] = SIGMA_B,
) -> "Figure":
    """Where gradients vanish and where they explode: the line χ = 1 in the plane (σ_w, σ_b),
    and the fixed points q* (Poole et al. 2016; Schoenholz et al. 2017).

    Parameters
    ----------
    measured : (σ_w, σ_b, bits per layer by which the gradient's mean square grows) of cells that
        were run: drawn as dots, filled where it grows.
    """
    phi = theory.activation(activation)
    w, b = np.linspace(*sigma_w, POINTS), np.linspace(*sigma_b, POINTS)
    q = np.array([[theory.fixed_point(phi, x, y) for x in w] for y in b])
    chi = np.array([[theory.chi(phi, min(at, 1e12), x) for x, at in zip(w, row, strict=True)]
                    for row in q])  # fmt: skip
    figure, axes = new_figure(f"Phase diagram of {activation}")
    axes.contourf(w, b, chi, levels=[-math.inf, 1, math.inf], colors=["#dcebf7", "#fbe3d3"])
    finite = np.where(np.isfinite(q) & (q > 0), q, np.nan)
    lines = axes.contour(w, b, finite, levels=[0.1, 0.5, 1, 2, 5, 10, 20], colors="0.55",
                         linewidths=0.8)  # fmt: skip
    axes.clabel(lines, fmt="q* = %g", fontsize="x-small")
    axes.contour(w, b, chi, levels=[1], colors="black", linewidths=2)
    axes.text(0.03, 0.95, "gradients vanish (χ < 1)", transform=axes.transAxes, va="top")
    axes.text(0.97, 0.05, "gradients explode (χ > 1)", transform=axes.transAxes, ha="right")
    draw_measured(axes, measured)
    axes.set(xlabel="σ_w", ylabel="σ_b")
    axes.grid(visible=False)
    return figure


def draw_measured(axes: "Axes", measured: Sequence[tuple[float, float, float]]) -> None:
    """Dots, filled where the gradient grows."""
    for grows, face, name in ((True, "#d55e00", "grows"), (False, "white", "shrinks")):
        points = [(x, y) for x, y, bits in measured if (bits > 0) == grows]
        if points:
            x, y = zip(*points, strict=True)
            axes.scatter(x, y, s=34, facecolor=face, edgecolor="black", linewidth=0.8, zorder=4,
                         label=f"measured: {name}")  # fmt: skip
    if len(measured):
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, -0.24), ncols=2, frameon=False)


def measured_cells(lines: Sequence[dict[str, Any]]) -> list[tuple[float, float, float]]:
    """(σ_w, σ_b, mean growth of the gradient) of a sweep's cells that start as scaled:σ_w:σ_b."""
    found: dict[tuple[float, float], list[float]] = {}
    for line in lines:
        word, *numbers = line["cell"]["init"].split(":")
        growth = line["result"]["log2_gradient_growth"]
        if word == "scaled" and growth is not None and math.isfinite(float(growth)):
            sigma_w, sigma_b = (float(number) for number in [*numbers, "0"][:2])
            found.setdefault((sigma_w, sigma_b), []).append(float(growth))
    return [(w, b, float(np.mean(growths))) for (w, b), growths in found.items()]


# --------------------------------------------------------------------------- figures


def new_figure(title: str) -> tuple["Figure", "Axes"]:
    """An empty figure with one pair of axes."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "pictures need matplotlib: pip install 'backproof[plot]'; without it there is "
            "`mlp.stress.terminal`"
        ) from error
    figure = Figure(figsize=(8, 4.8), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize="medium", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="0.92", lw=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def powers_of_ten(axes: "Axes") -> None:
    """The ticks of y, which are exponents, as powers."""
    whole_numbers(axes.yaxis)
    axes.yaxis.set_major_formatter(power_formatter)


def whole_numbers(axis: "Axis") -> None:
    """Ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 2.5, 5, 10]))


def power_formatter(exponent: float, _position: object = None) -> str:
    return f"$10^{{{exponent:g}}}$"


def save(figure: "Figure", path: str | os.PathLike[str]) -> None:
    """Write it as PNG, without the date, so that the same figure is the same file."""
    try:
        figure.savefig(path, format="png", metadata={"Software": None})
    except OSError as error:
        raise type(error)(f"{os.fspath(path)} cannot be written: {error.strerror}") from error


def as_svg(figure: "Figure") -> str:
    """The figure as an element of a page, the same for the same figure."""
    from matplotlib import rc_context

    drawing = io.StringIO()
    with rc_context({"svg.hashsalt": "backproof", "svg.fonttype": "none"}):
        figure.savefig(drawing, format="svg", metadata={"Date": None, "Creator": None})
    text = drawing.getvalue()
    return text[text.index("<svg") :]
