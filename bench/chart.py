"""The crossover chart: where we are faster than the best peer, by width and batch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.networks import GRID_BATCHES, GRID_WIDTHS, least_batch
from bench.rows import Row
from bench.tables import names_of

PATH = Path(__file__).parents[1] / "docs" / "crossover.png"

LIMIT = 4
"""Ratios beyond this, either way, have the deepest colour."""


def ratios(rows: Sequence[Row], has_batchnorm: bool) -> np.ndarray:
    """(widths, batches), NaN where nothing was measured."""
    found = {row.case: row.ratio for row in rows}
    suffix = "bn" * has_batchnorm
    batches = [least_batch(batch, has_batchnorm) for batch in GRID_BATCHES]
    return np.array(
        [
            [found.get(f"{width}x{batch}{suffix}") or np.nan for batch in batches]
            for width in GRID_WIDTHS
        ]
    )


def draw_panel(axes, values: np.ndarray, title: str, batches: Sequence[int]):
    """One heat map, widths upwards, each cell with its ratio."""
    image = axes.imshow(
        np.log2(values), cmap="RdBu", vmin=-np.log2(LIMIT), vmax=np.log2(LIMIT),
        origin="lower", aspect="auto",
    )  # fmt: skip
    axes.set_title(title, fontsize=12, loc="left", pad=8)
    axes.set_xticks(range(len(batches)), [str(batch) for batch in batches])
    axes.set_yticks(range(len(GRID_WIDTHS)), [str(width) for width in GRID_WIDTHS])
    axes.set_xlabel("batch")
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_xticks(np.arange(len(batches) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(GRID_WIDTHS) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    for (i, j), ratio in np.ndenumerate(values):
        if np.isfinite(ratio):
            is_deep = abs(np.log2(ratio)) > 0.62 * np.log2(LIMIT)
            axes.text(
                j, i, f"{ratio:.2f}" if ratio < 9.95 else f"{ratio:.0f}", ha="center",
                va="center", fontsize=11, color="white" if is_deep else "#222222",
                fontweight="bold" if ratio < 1 else "normal",
            )  # fmt: skip
    return image


def draw(rows: Sequence[Row], path: Path = PATH) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        1, 2, figsize=(10.5, 4.8), sharey=True, layout="constrained", dpi=160
    )
    for axes, has_batchnorm in zip(panels, (False, True), strict=True):
        title = "with batchnorm" if has_batchnorm else "plain"
        batches = [least_batch(batch, has_batchnorm) for batch in GRID_BATCHES]
        image = draw_panel(axes, ratios(rows, has_batchnorm), title, batches)
    panels[0].set_ylabel("width of input and both hidden layers")
    marks = [1 / 4, 1 / 2, 1, 2, 4]
    bar = figure.colorbar(image, ax=panels, ticks=np.log2(marks), extend="both", pad=0.015)
    bar.set_ticklabels(["¼", "½", "1", "2", "4"])
    bar.set_label("best peer's time / ours: blue, we are faster")
    bar.outline.set_visible(False)
    peers = ", ".join(names_of(rows))
    figure.suptitle(
        "A training step: the best peer's time over ours\n", fontsize=13, x=0.06, ha="left"
    )
    figure.text(0.06, 0.925, f"peers: {peers}; float32, one core", fontsize=10, color="#555555")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path)
    pyplot.close(figure)
