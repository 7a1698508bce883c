"""python -m docs.heatmap: draws docs/heatmap.png, the heat map of the example's mistake.

The page of `Report.to_html` has the same picture as SVG; Markdown needs a file.
"""

from pathlib import Path

import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure

from examples.heatmap import report
from gradcheck.render.grid import LEVELS, grid_of
from gradcheck.render.heatmap import short

PICTURE = Path(__file__).with_name("heatmap.png")

COLOURS = [
    "#08478b", "#3f86c0", "#85b7dd", "#c6dbef", "#e8ebee",
    "#fdd0b0", "#f79a62", "#e0592a", "#9c2706",
]  # fmt: skip


def main() -> None:
    """Draw every finding that was measured entry by entry, wrong ones and right ones."""
    findings = [finding for finding in report().findings if finding.detail is not None]
    findings.sort(key=lambda finding: finding.detail.numeric.ndim)
    limits = [-np.inf, *(-level for level in LEVELS[::-1]), *LEVELS, np.inf]
    norm = BoundaryNorm(np.nan_to_num(limits, posinf=1e15, neginf=-1e15), len(COLOURS))
    widths = [finding.detail.numeric.shape[-1] for finding in findings]
    figure = Figure(figsize=(11, 3.4))
    axes = figure.subplots(1, len(findings), width_ratios=widths)
    for axis, finding in zip(axes, findings, strict=True):
        grid = grid_of(finding.detail)
        image = axis.imshow(grid.values, cmap=ListedColormap(COLOURS), norm=norm)
        axis.set_title(f"{finding.name}: {finding.verdict}", fontsize=10)
        axis.set_xticks(range(len(grid.columns)), [first for first, _ in grid.columns], fontsize=8)
        axis.set_yticks(range(len(grid.rows)), [first for first, _ in grid.rows], fontsize=8)
        axis.set_xticks(np.arange(len(grid.columns) + 1) - 0.5, minor=True)
        axis.set_yticks(np.arange(len(grid.rows) + 1) - 0.5, minor=True)
        axis.grid(which="minor", color="white", linewidth=1)
        axis.tick_params(which="both", length=0)
        axis.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, ticks=limits[1:-1], spacing="uniform", shrink=0.9)
    names = [("−" if limit < 0 else "") + short(abs(limit)) for limit in limits[1:-1]]
    bar.ax.set_yticklabels(names, fontsize=8)
    bar.set_label("analytic − numeric, in error bars", fontsize=9)
    figure.savefig(PICTURE, dpi=110, bbox_inches="tight")


if __name__ == "__main__":
    main()
