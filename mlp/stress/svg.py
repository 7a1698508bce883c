"""Charts of a study as SVG that takes its colours from the page around it."""

import html
import math
from collections.abc import Iterator

import numpy as np

from mlp.stress.curves import LIMITS, LOG10_OF_2, decades, doubling, follows_law, highest
from mlp.stress.curves import largest_output as outputs
from mlp.stress.series import Array, Study

WIDTH, HEIGHT = 960, 460
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 20, 52

STEPS = (1, 2, 5, 10, 20, 25, 50, 100, 200)
"""Decades between two lines of the grid."""

LINES = 8
"""Of the grid, at most."""

CELL = 26
"""Height of a row of the heat map, at most."""


def chart(study: Study) -> str:
    """Largest output and gradient norms against pass, the law, the limits and the overflow."""
    scale = Scale(study)
    parts = [*grid(scale), *limits(scale)]
    if follows_law(study) and study.passes >= 2:
        layers = study.of("dW").shape[1]
        law = decades(doubling(outputs(study), layers, study.passes + 1))
        parts.append(polyline(scale, law, "law", f"law: exponent × {layers - 1}"))
    for layer in range(study.of("dW").shape[1]):
        name = f"norm of dW{layer + 1}"
        parts.append(polyline(scale, decades(study.of("dW")[:, layer]), "gradient", name))
    parts.append(polyline(scale, decades(outputs(study)), "output", "largest output"))
    parts += dots(scale, decades(outputs(study)))
    if study.overflow_pass is not None:
        x, y = scale.x(study.overflow_pass), scale.y(LIMITS[study.settings["dtype"]] * LOG10_OF_2)
        parts.append(
            f'<path class="overflow" d="M{x - 9:.1f} {y - 9:.1f}l18 18m0 -18l-18 18">'
            f"<title>overflow in pass {study.overflow_pass}</title></path>"
        )
    return svg(WIDTH, HEIGHT, "Size of values against pass", parts)


class Scale:
    """From passes and decades to places in the drawing."""

    def __init__(self, study: Study):
        sizes = decades(np.concatenate([outputs(study), study.of("dW").ravel()]))
        finite = sizes[np.isfinite(sizes)]
        self.low: int = math.floor(min(finite.min(initial=0.0), 0.0))
        self.high: float = max(highest(study) * LOG10_OF_2 * 1.04, self.low + 1.0)
        self.passes: int = max(study.overflow_pass or study.passes, 2)

    def x(self, number: float) -> float:
        return LEFT + (number - 1) / (self.passes - 1) * (WIDTH - LEFT - RIGHT)

    def y(self, decade: float) -> float:
        return TOP + (self.high - decade) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def grid(scale: Scale) -> Iterator[str]:
    """Lines at whole powers of ten, and the numbers of the passes."""
    height = scale.high - scale.low
    step = next((s for s in STEPS if height / s <= LINES), STEPS[-1])
    for decade in range(math.ceil(scale.low / step) * step, math.floor(scale.high) + 1, step):
        y = scale.y(decade)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield text(LEFT - 10, y + 5, f"10{superscript(decade)}", "end")
    every = math.ceil(scale.passes / 15)
    for number in range(1, scale.passes + 1, every):
        yield text(scale.x(number), HEIGHT - BOTTOM + 24, str(number), "middle")
    yield text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "pass", "middle")


def limits(scale: Scale) -> Iterator[str]:
    """Where each dtype ends, if it is in reach."""
    for dtype, limit in LIMITS.items():
        if limit * LOG10_OF_2 <= scale.high:
            y = scale.y(limit * LOG10_OF_2)
            yield f'<path class="limit" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
            yield text(LEFT + 8, y - 7, f"{dtype} ends here", "start")


def polyline(scale: Scale, values: Array, kind: str, name: str) -> str:
    """A line through what is finite and within the drawing."""
    points = " ".join(
        f"{scale.x(i + 1):.1f},{scale.y(value):.1f}"
        for i, value in enumerate(values)
        if math.isfinite(value) and value <= scale.high * 1.2 and i < scale.passes
    )
    return (
        f'<polyline class="{kind}" points="{points}"><title>{html.escape(name)}</title></polyline>'
    )


def dots(scale: Scale, values: Array) -> Iterator[str]:
    """A dot at each pass, which says its value to whoever points at it."""
    for i, value in enumerate(values):
        if math.isfinite(value):
            place = f'cx="{scale.x(i + 1):.1f}" cy="{scale.y(value):.1f}"'
            title = f"pass {i + 1}: 10^{value:.1f}"
            yield f'<circle class="dot" {place} r="4.5"><title>{title}</title></circle>'


def heat(study: Study, tensor: str = "dW") -> str:
    """Norms of a tensor, a row for each layer, a column for each pass: pale is small."""
    values = decades(study.of(tensor))
    passes, layers = values.shape
    finite = values[np.isfinite(values)]
    low, high = float(finite.min(initial=0)), float(finite.max(initial=0))
    tall = min(CELL, 480 / layers)
    wide = (WIDTH - LEFT - RIGHT) / passes
    parts = []
    for layer in range(layers):
        y = TOP + layer * tall
        if layer % math.ceil(14 / tall) == 0:
            parts.append(text(LEFT - 10, y + tall / 2 + 5, str(layer + 1), "end"))
        for number in range(passes):
            x, where = LEFT + number * wide, f"layer {layer + 1}, pass {number + 1}"
            value = values[number, layer]
            parts.append(heat_cell(x, y, wide, tall, value, (low, high), where))
    bottom = TOP + layers * tall
    for number in range(0, passes, math.ceil(passes / 15)):
        parts.append(text(LEFT + (number + 0.5) * wide, bottom + 22, str(number + 1), "middle"))
    parts.append(text(LEFT - 10, TOP - 6, "layer", "end"))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, bottom + 44, "pass", "middle"))
    return svg(WIDTH, bottom + 52, f"Norm of {tensor} by layer and pass", parts)


def heat_cell(
    x: float, y: float, wide: float, tall: float, value: float,
    ends: tuple[float, float], where: str,
) -> str:  # fmt: skip
    """One rectangle: the more opaque the larger, or crossed out where the value is not finite."""
    place = (
        f'x="{x:.1f}" y="{y:.1f}" width="{max(wide - 1, 1):.1f}" height="{max(tall - 1, 1):.1f}"'
    )
    if not math.isfinite(value):
        name = "zero" if value < 0 else "not finite"
        kind = "none" if value < 0 else "bad"
        cross = f'<path class="cross" d="M{x:.1f} {y:.1f}l{wide - 1:.1f} {tall - 1:.1f}"/>'
        rect = f'<rect class="{kind}" {place}><title>{where}: {name}</title></rect>'
        return rect + cross * (kind == "bad")
    part = (value - ends[0]) / max(ends[1] - ends[0], 1e-9)
    opacity = 0.06 + 0.94 * part
    title = f"{where}: 10^{value:.1f}"
    return f'<rect class="heat" fill-opacity="{opacity:.3f}" {place}><title>{title}</title></rect>'


def text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(words)}</text>'


def superscript(number: int) -> str:
    return str(number).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def svg(width: float, height: float, label: str, parts: list[str]) -> str:
    """The drawing, as wide as its place, with a name for readers that do not see."""
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{html.escape(label)}">{"".join(parts)}</svg>'
    )
