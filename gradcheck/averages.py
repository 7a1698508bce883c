"""Running statistics before and after one batch: which average was taken, and of what."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.arrays import is_floating

Array = np.ndarray

MEANS = ("running_mean", "moving_mean", "running_avg", "running_mu", "mean_running")
VARIANCES = ("running_var", "running_variance", "moving_var", "moving_variance", "running_std")
"""Attributes in which layers keep them."""

OLD_WEIGHTS = ("alpha", "decay", "rho")
"""Attributes that are the weight of the old value; `momentum` may be that of either."""

FITS = {2: 1e-2, 4: 1e-4, 8: 1e-6}
"""By item size, relative: how near statistics must be to a formula to be explained by it."""

SAME_WEIGHT = 1e-4
"""How near two weights of the old value are if they are meant to be the same."""


@dataclass(frozen=True)
class Statistics:
    """What a layer keeps."""

    mean: Array
    variance: Array


@dataclass(frozen=True)
class Movement:
    """What one batch did to the statistics.

    Attributes
    ----------
    faults : what is wrong with it, in sentences.
    weight : of the old mean, where the new one is an average.
    is_unbiased : whether the variance is the unbiased one, a convention.
    """

    faults: tuple[str, ...] = ()
    weight: float | None = None
    is_unbiased: bool = False


def movement(before: Statistics, after: Statistics, x: Array) -> Movement:
    """How a batch x, rows or images with their channels at axis 1, moved the statistics."""
    size = min(a.dtype.itemsize for a in (after.mean, after.variance, x) if is_floating(a))
    close = FITS.get(size, FITS[8])
    if is_still(before.mean, after.mean, close) and is_still(
        before.variance, after.variance, close
    ):
        return Movement(("training does not update them",))
    x = x.astype(np.float64)
    axes = (0,) if x.ndim == 2 else (0, *range(2, x.ndim))
    batch, var, count = x.mean(axis=axes), x.var(axis=axes), x.size / max(x.shape[1], 1)
    weight = weight_of_old(before.mean, after.mean, batch, close)
    if weight is None:
        is_variance = weight_of_old(before.mean, after.mean, var, close) is not None
        other = "it gets the variance" if is_variance else "no average of it and the batch"
        return Movement((f"running_mean is not α·running_mean + (1 − α)·mean: {other}",))
    fits = {
        name: weight_of_old(before.variance, after.variance, value, close)
        for name, value in variances(batch, var, count).items()
    }
    name = next((k for k, a in fits.items() if a is not None), None)
    faults: tuple[str, ...] = ()
    if name is None:
        faults = ("running_var is not α·running_var + (1 − α)·variance",)
    elif name not in ("biased", "unbiased"):
        faults = (f"running_var averages {name}",)
    elif abs((fits[name] or 0.0) - weight) > SAME_WEIGHT:
        faults = (f"the old mean has weight {weight:.4g}, the old variance {fits[name]:.4g}",)
    return Movement(faults, weight, name == "unbiased")


def variances(mean: Array, var: Array, count: float) -> dict[str, Array]:
    """What may be averaged in the place of a variance; the right ones first."""
    unbiased = var * count / max(count - 1, 1)
    return {
        "biased": var,
        "unbiased": unbiased,
        "the standard deviation": np.sqrt(var),
        "the variance of the unbiased standard deviation": np.sqrt(unbiased),
        "the mean in place of the variance": mean,
        "the sum of squares": var * count,
        "the mean of squares, not centred": var + mean * mean,
        "1/√variance": 1 / np.sqrt(var + 1e-8),
    }


def is_still(old: Array, new: Array, close: float) -> bool:
    scale = float(abs(old).max(initial=0))
    return old.shape == new.shape and bool(abs(new - old).max(initial=0) <= 1e-3 * close * scale)


def weight_of_old(old: Array, new: Array, batch: Array, close: float) -> float | None:
    """a, where new = a·old + (1 − a)·batch; None where it is no such average."""
    old, new, batch = np.ravel(old), np.ravel(new), np.ravel(batch)
    if not old.shape == new.shape == batch.shape:
        return None
    away = old - batch
    a = float((new - batch) @ away / (away @ away)) if away.any() else 1.0
    scale = float(abs(new).max(initial=0)) or 1.0
    return a if abs(new - batch - a * away).max(initial=0) <= close * scale else None


def faults_of_weight(layer: Any, weight: float | None) -> Iterator[str]:
    """The weight of the old value is what the layer's α says."""
    name = next((n for n in OLD_WEIGHTS if is_share(getattr(layer, n, None))), None)
    expected = getattr(layer, name or "momentum", None)
    if weight is None or expected is None or not is_share(expected):
        return
    if abs(weight - expected) < SAME_WEIGHT and (name or weight >= 0.5):
        return
    if abs(1 - weight - expected) < SAME_WEIGHT:
        if name is None and weight >= 0.5:
            return  # momentum as the weight of the new value
        yield (
            f"α and 1 − α are swapped: the old value has weight {weight:.4g}, they move "
            f"{(1 - weight) / weight:.3g} times too fast"
        )
    elif name or abs(weight - expected) > SAME_WEIGHT:
        yield f"the old value has weight {weight:.4g}, expected {expected:.4g}"


def is_share(value: Any) -> bool:
    return isinstance(value, (float, np.floating)) and bool(0 < value < 1)
