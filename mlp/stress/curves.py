"""What the pictures have in common: sizes as powers of ten, the law of doubling, the limits."""

import math

import numpy as np

from mlp.stress.series import Array, Study

LOG10_OF_2 = math.log10(2)

LIMITS = {"float32": 128.0, "float64": 1024.0}
"""log₂ of what no finite number of that dtype reaches."""

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Told apart by all eyes (Okabe & Ito 2008)."""


def decades(log2_sizes: Array) -> Array:
    """log₁₀ of what the logarithms are of."""
    return np.asarray(log2_sizes) * LOG10_OF_2


def largest_output(study: Study) -> Array:
    """log₂ of the largest absolute output of each pass."""
    return study.of("output", "log2_max")[:, -1]


def doubling(log2_sizes: Array, layers: int, passes: int) -> Array:
    """The law e(t+1) = (L - 1)·e(t) + c, from the first two passes on.

    A layer's gradient is the product of the other L - 1 layers, so exponents multiply by L - 1:
    with three layers they double.
    """
    found = np.full(passes, np.nan)
    known = min(2, len(log2_sizes), passes)
    found[:known] = log2_sizes[:known]
    if known < 2:
        return found
    c = log2_sizes[1] - (layers - 1) * log2_sizes[0]
    for t in range(2, passes):
        found[t] = (layers - 1) * found[t - 1] + c
    return found


def follows_law(study: Study) -> bool:
    """Whether the law is that of the network: all layers but the last grow with their input."""
    settings = study.settings
    grows = settings.get("activation") in ("relu", "leaky_relu", "identity")
    return study.overflow_pass is not None and grows and not settings.get("batchnorm")


def highest(study: Study) -> float:
    """log₂ of the top of a chart: the dtype's limit, where it was passed, or the largest size."""
    sizes = np.concatenate([largest_output(study), study.of("dW").ravel()])
    top = float(sizes[np.isfinite(sizes)].max(initial=0.0))
    if study.overflow_pass is not None:
        top = max(top, LIMITS[study.settings["dtype"]])
    return top


def what(study: Study) -> str:
    """The run in one line."""
    s = study.settings
    widths = (
        "-".join(map(str, s["widths"])) if len(s["widths"]) <= 8 else f"{len(s['widths'])} wide"
    )
    norm = " with batchnorm" if s["batchnorm"] else ""
    return f"{widths} network, {s['activation']}{norm}, {s['dtype']}, learning rate {s['lr']:g}"
