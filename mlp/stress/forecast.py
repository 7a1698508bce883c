"""The pass in which values will overflow, foreseen from the logarithms of the passes so far.

In a product of L weights the gradient of each is the product of the others. So, with w the
logarithms of the weights' norms and d those of their gradients, a pass makes

    w' = log2(2^w + lr·2^d),    d' = d + (growth of the other weights),

and with a gradient at the output that stays as large as it is, the exponent of the largest
value obeys e' = (L - 1)·e + c: with three layers it doubles in every pass. With mse the gradient
at the output grows with the output. Behind an activation that is bounded only the last weights
make the output larger.
"""

from dataclasses import dataclass

import numpy as np

from mlp.stress.series import Array

AGREEMENT = 0.5
"""A forecast is made once the law has told the growth of the last pass to within this part."""

LEAST_GROWTH = 1.0
"""Bits in the last pass: less is no explosion yet."""

REINFORCED = -0.01
"""The cosine between output and its gradient is below this where the update makes the output
larger, instead of turning it round."""

DEAD = 0.5
"""Where the update turns the output round, so large a part of units that are dead is a sign that
the others die, too, and with them the gradient."""

BOUNDED = ("sigmoid", "tanh")
IMMORTAL = ("identity", "leaky_relu")
"""Activations whose slope is nowhere near 0."""


@dataclass(frozen=True)
class Law:
    """What the recursion depends on besides sizes."""

    log2_lr: float
    is_squares: bool
    is_bounded: bool
    can_die: bool
    limit: float
    passes: int


@dataclass(frozen=True)
class Sizes:
    """Logarithms (base 2): norms of weights and gradients, and the largest values of each kind."""

    weights: Array
    gradients: Array
    weight_max: Array
    gradient_max: Array
    output: float
    loss: float

    @property
    def largest(self) -> float:
        return float(max(self.weight_max.max(), self.gradient_max.max(), self.output, self.loss))


def sizes_at(series: dict[str, Array], i: int) -> Sizes:
    """The sizes in pass i + 1."""
    return Sizes(
        weights=series["W.log2_norm"][i],
        gradients=series["dW.log2_norm"][i],
        weight_max=series["W.log2_max"][i],
        gradient_max=np.maximum(series["dW.log2_max"][i], series["dx.log2_max"][i]),
        output=float(
            max(series["output.log2_max"][i].max(), series["preactivation.log2_max"][i].max())
        ),
        loss=float(series["log2_loss"][i]),
    )


def after(sizes: Sizes, law: Law, scale: float = 1.0) -> Sizes:
    """One pass later. `scale` multiplies the growth of the weights."""
    growth = scale * (np.logaddexp2(sizes.weights, law.log2_lr + sizes.gradients) - sizes.weights)
    passed = np.zeros_like(growth) if law.is_bounded else growth
    total = passed[:-1].sum() + growth[-1]
    others = total - growth + (total if law.is_squares else 0)
    if law.is_bounded:
        others = np.full_like(growth, total if law.is_squares else 0)
    return Sizes(
        weights=sizes.weights + growth,
        gradients=sizes.gradients + others,
        weight_max=sizes.weight_max + growth,
        gradient_max=sizes.gradient_max + others,
        output=sizes.output + total,
        loss=sizes.loss + total * (1 + law.is_squares),
    )


def overflow(sizes: Sizes, number: int, law: Law, scale: float) -> int | None:
    """The pass in which the law reaches the limit, from the sizes of pass `number` on."""
    while number < law.passes:
        sizes, number = after(sizes, law, scale), number + 1
        if not sizes.largest < law.limit:
            return number
    return None


def first_forecast(series: dict[str, Array], law: Law) -> tuple[int, int] | None:
    """(pass of the overflow, pass after which that was clear); None where it never was."""
    for i in range(1, len(series["loss"])):
        found = forecast_at(series, i, law)
        if found is not None:
            return found, i + 1
    return None


def forecast_at(series: dict[str, Array], i: int, law: Law) -> int | None:
    """The pass of the overflow as it looks after pass i + 1."""
    ratio = ratio_at(series, i, law)
    if ratio is None:
        return None
    if series["alignment"][i] > REINFORCED and not is_confirmed(series, i, law):
        return None
    now = sizes_at(series, i)
    by_law, corrected = (overflow(now, i + 1, law, scale) for scale in (1.0, ratio))
    if by_law is None or corrected is None or abs(by_law - corrected) > 1:
        return None
    return corrected


def is_confirmed(series: dict[str, Array], i: int, law: Law) -> bool:
    """Whether the law has held in the pass before, too, and most units live: for updates that
    turn the output round, after which all may be dead.
    """
    if law.can_die and series["dead"][i].max() > DEAD:
        return False
    return i >= 2 and ratio_at(series, i - 1, law) is not None


def ratio_at(series: dict[str, Array], i: int, law: Law) -> float | None:
    """Growth in pass i + 1, as a part of what the law expected; None where they disagree."""
    before, now = sizes_at(series, i - 1), sizes_at(series, i)
    growth = now.largest - before.largest
    expected = after(before, law).largest - before.largest
    if not (LEAST_GROWTH <= growth < law.limit and expected > 0):
        return None
    ratio = growth / expected
    return ratio if abs(ratio - 1) <= AGREEMENT else None
