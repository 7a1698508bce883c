"""DepthStudy: growth per layer over seeds, its intervals, and what theory says."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlp.stress import theory
from mlp.stress.interval import mean_interval
from mlp.stress.series import VERSION, Array, as_floats, as_plain

if TYPE_CHECKING:
    from mlp.stress.depth import Setting


@dataclass
class DepthStudy:
    """What random networks do from layer to layer.

    Attributes
    ----------
    settings : depth, width, init, activation, batchnorm, batch, sigma_b, seeds, first_seed.
    forward, backward : (seeds, layers): log₂ of the mean square of each layer's output, and of
        the gradient with respect to it, which is 0 for the last.
    forward_theory, backward_theory : (layers,) of a wide network, or None where there is no
        prediction.
    """

    settings: dict[str, Any]
    forward: Array
    backward: Array
    forward_theory: Array | None
    backward_theory: Array | None

    def interval(self, which: str) -> tuple[Array, Array, Array]:
        """Mean over the seeds of the log₂ of "forward" or "backward" for each layer, and the ends
        of its 95 % t-interval.
        """
        return mean_interval(getattr(self, which))

    def growth(self, which: str) -> tuple[float, float, float]:
        """Bits of the mean square per layer, away from input or output, with its 95 % interval."""
        values = getattr(self, which)
        if values.shape[1] < 2:
            return np.nan, np.nan, np.nan
        steps = (values[:, -1] - values[:, 0]) / (values.shape[1] - 1)
        mean, low, high = mean_interval(-steps if which == "backward" else steps)
        return float(mean), float(low), float(high)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; numbers that are not finite are strings."""
        found = {
            key: value.tolist() if isinstance(value, np.ndarray) else value
            for key, value in vars(self).items()
        }
        plain: dict[str, Any] = as_plain({"version": VERSION} | found)
        return plain

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> "DepthStudy":
        """The study that `to_dict` has written."""
        if found.get("version") != VERSION:
            raise ValueError(f"DepthStudy: version is {found.get('version')!r}, expected {VERSION}")
        arrays = {
            key: None if found[key] is None else np.array(as_floats(found[key]))
            for key in ("forward", "backward", "forward_theory", "backward_theory")
        }
        return cls(found["settings"], **arrays)  # type: ignore[arg-type]


def predicted(setting: "Setting") -> tuple[Array | None, Array | None]:
    """What mean-field theory says of `forward` and `backward`: the limit of great width."""
    phi = theory.activation(setting.activation)
    if setting.batchnorm:
        return predicted_with_batchnorm(phi, setting.layers)
    if setting.draw.variance is None:
        return None, None
    sigma_w = (setting.width * setting.draw.variance(setting.width)) ** 0.5
    if setting.draw.unit_variance:
        return predicted_with_unit_variance(phi, setting.layers)
    return predicted_by_recursion(phi, setting.layers, sigma_w, setting.sigma_b)


def predicted_by_recursion(
    phi: theory.Phi, layers: int, sigma_w: float, sigma_b: float
) -> tuple[Array, Array]:
    """q of each layer's pre-activations, from an input of mean square 1; then E[φ²] and χ."""
    forward, chis = np.empty(layers), np.empty(layers)
    log2_scale, q = 0.0, sigma_w**2 + sigma_b**2
    for i in range(layers):
        forward[i] = log2(theory.expectation(lambda u: phi.value(u) ** 2, q)) + log2_scale
        chis[i] = log2(theory.chi(phi, q, sigma_w))
        bias = sigma_b * 2.0 ** (-log2_scale / 2) if sigma_b else 0.0
        q = theory.next_mean_square(phi, q, sigma_w, bias)
        moved = rescaling(q)
        q, log2_scale = q * 2.0**-moved, log2_scale + moved
    return forward, gradients(chis)


def rescaling(q: float) -> float:
    """As for the values themselves: bits by which to divide a mean square far from 1."""
    size = np.log2(q) if q > 0 else 0.0
    return 0.0 if abs(size) <= 120 else float(np.floor(size) - np.copysign(80, size))


def predicted_with_unit_variance(phi: theory.Phi, layers: int) -> tuple[Array, Array]:
    """Pre-activations of mean square 1, by weights of variance 1/(n·E[φ²])."""
    square = theory.expectation(lambda u: phi.value(u) ** 2, 1.0)
    chi = theory.expectation(lambda u: phi.derivative(u) ** 2, 1.0) / square
    return np.full(layers, log2(square)), gradients(np.full(layers, log2(chi)))


def predicted_with_batchnorm(phi: theory.Phi, layers: int) -> tuple[Array, Array]:
    """Pre-activations from N(0, 1), and the growth of a large batch."""
    square = theory.expectation(lambda u: phi.value(u) ** 2, 1.0)
    growth = theory.batchnorm_growth(phi)
    return np.full(layers, log2(square)), gradients(np.full(layers, log2(growth)))


def gradients(log2_chis: Array) -> Array:
    """log₂ of the mean square at each output: the product of χ over the layers behind it."""
    behind = np.concatenate([log2_chis[1:], [0.0]])
    return np.asarray(np.cumsum(behind[::-1])[::-1])


def log2(value: float) -> float:
    return float(np.log2(value)) if value > 0 else -np.inf
