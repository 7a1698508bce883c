"""The pass in which values will overflow, foreseen from the logarithms of the passes so far.

In a product of L weights the gradient of each is the product of the others. So where updates
dominate, with w the logarithms of the weights' norms, d those of their gradients,

    w' = log2(2^w + lr·2^d),    d' = d + (sum of the other weights' growth),

and with a gradient at the output that stays as large as it is, the exponent of the largest
value obeys e' = (L - 1)·e + c: with three layers it doubles in every pass. (With mse the gradient
at the output grows with the output, and the exponent is multiplied by 2·L - 1.)
"""

from dataclasses import dataclass

import numpy as np

from mlp.stress.series import Array

AGREEMENT = 0.5
"""A forecast is made once the law has told the growth of the last pass to within this part."""

LEAST_GROWTH = 1.0
"""Bits in the last pass: less is no explosion yet."""


@dataclass(frozen=True)
class Sizes:
    """Logarithms (base 2) of what the law follows: norms of weights and gradients, and the
    largest values of outputs, gradients and loss.
    """

    weights: Array
    gradients: Array
    output: float
    gradient_max: Array
    loss: float
    other: float

    @property
    def largest(self) -> float:
        return float(max(self.output, self.gradient_max.max(), self.loss, self.other))


def sizes_at(series: dict[str, Array], i: int) -> Sizes:
    """The sizes in pass i + 1."""
    return Sizes(
        series["W.log2_norm"][i],
        series["dW.log2_norm"][i],
        float(np.maximum(series["output.log2_max"], series["preactivation.log2_max"])[i].max()),
        series["dW.log2_max"][i],
        float(series["log2_loss"][i]),
        float(max(series["dx.log2_max"][i].max(), series["W.log2_max"][i].max())),
    )


def after(sizes: Sizes, log2_lr: float, is_squares: bool, scale: float = 1.0) -> Sizes:
    """The law: one pass later. `scale` corrects the growth."""
    weights = np.logaddexp2(sizes.weights, log2_lr + sizes.gradients)
    growth = (weights - sizes.weights) * scale
    weights = sizes.weights + growth
    total = growth.sum()
    others = total - growth + (total if is_squares else 0)
    return Sizes(
        weights,
        sizes.gradients + others,
        sizes.output + total,
        sizes.gradient_max + others,
        sizes.loss + total * (1 + is_squares),
        sizes.other + total * (1 + is_squares) - growth[0],
    )


def overflow(
    sizes: Sizes, number: int, limit: float, passes: int, log2_lr: float, is_squares: bool,
    scale: float,
) -> int | None:  # fmt: skip
    """The pass in which the law reaches the limit, from the sizes of pass `number`."""
    while number < passes:
        sizes, number = after(sizes, log2_lr, is_squares, scale), number + 1
        if not sizes.largest < limit:
            return number
    return None


def first_forecast(
    series: dict[str, Array], criterion: str, dtype: np.dtype, lr: float, passes: int
) -> tuple[int, int] | None:
    """(pass of the overflow, pass after which that was clear); None where it never was."""
    limit = float(np.log2(np.finfo(dtype).max))
    for i in range(1, len(series["loss"])):
        found = forecast_at(series, i, criterion == "mse", limit, float(np.log2(lr)), passes)
        if found is not None:
            return found, i + 1
    return None


def forecast_at(
    series: dict[str, Array], i: int, is_squares: bool, limit: float, log2_lr: float, passes: int
) -> int | None:
    """The pass of the overflow as it looks after pass i + 1."""
    before, now = sizes_at(series, i - 1), sizes_at(series, i)
    growth = now.largest - before.largest
    expected = after(before, log2_lr, is_squares).largest - before.largest
    if not (LEAST_GROWTH <= growth < limit and expected > 0):
        return None
    ratio = growth / expected
    if not abs(ratio - 1) <= AGREEMENT:
        return None
    by_law, corrected = (
        overflow(now, i + 1, limit, passes, log2_lr, is_squares, scale) for scale in (1.0, ratio)
    )
    if by_law is None or corrected is None or abs(by_law - corrected) > 1:
        return None
    return corrected
