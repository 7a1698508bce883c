"""Initial weights of a layer by name, each drawn from a stream of its own, with its source."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlp.arguments import by_name
from mlp.stress.normals import fill_normal
from mlp.stress.orthogonal import orthogonal
from mlp.stress.series import Array

Keys = tuple[np.uint32, np.uint32]

NAMES = ("toy", "normal", "uniform", "xavier", "he", "orthogonal", "lsuv")

START = np.uint32(0)


@dataclass(frozen=True)
class Draw:
    """How weights begin: `fill(keys, w)` draws a matrix (in, out).

    `variance(width)` is that of a weight, None where they have a mean; with `unit_variance` each
    layer is scaled by what a batch gives.
    """

    name: str
    fill: Callable[[Keys, Array], None]
    variance: Callable[[int], float] | None
    unit_variance: bool = False


def as_draw(text: str) -> Draw:
    """The initialisation of that name: one of NAMES, where normal has its σ, as normal:0.1."""
    if not isinstance(text, str):
        raise TypeError(f"init is {text!r}, expected one of {', '.join(NAMES)}")
    name, _, setting = text.partition(":")
    by_name("init", name, NAMES)
    if name == "normal":
        return normal(number("init: normal:σ", setting))
    if setting:
        raise ValueError(f"init is {text!r}, expected {name!r}: only normal has a setting")
    return DRAWS[name]


def number(where: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not 0 <= value < np.inf:
        raise ValueError(f"{where} is {text!r}, expected a number from 0 on, as in normal:0.1")
    return value


def normal(sigma: float) -> Draw:
    """N(0, σ²), whatever the width."""
    return Draw(
        f"normal:{sigma:g}",
        lambda keys, w: gaussian(keys, sigma, w),
        lambda width: sigma**2,
    )


def by_width(name: str, factor: float) -> Draw:
    """N(0, factor/n)."""
    return Draw(
        name,
        lambda keys, w: gaussian(keys, (factor / len(w)) ** 0.5, w),
        lambda width: factor / width,
    )


def gaussian(keys: Keys, sigma: float, w: Array) -> None:
    fill_normal(*keys, START, np.float32(sigma), w.reshape(-1))


def generator(keys: Keys) -> np.random.Generator:
    """NumPy's, for what is not drawn often."""
    return np.random.default_rng([int(key) for key in keys])


def fill_toy(keys: Keys, w: Array) -> None:
    """Whole numbers from -3 to 6, as in the toy: their mean is 1.5, their variance 8.25."""
    w[:] = generator(keys).integers(-3, 7, w.shape)


def fill_uniform(keys: Keys, w: Array) -> None:
    """U(±1/√n), the "standard" one of Glorot & Bengio 2010: variance 1/(3n)."""
    limit = 1 / np.sqrt(len(w))
    w[:] = generator(keys).uniform(-limit, limit, w.shape)


def fill_orthogonal(keys: Keys, w: Array) -> None:
    """A uniformly random rotation."""
    gaussian(keys, 1.0, w)
    w[:] = orthogonal(w)


DRAWS = {
    "toy": Draw("toy", fill_toy, None),
    "uniform": Draw("uniform", fill_uniform, lambda width: 1 / (3 * width)),
    "xavier": by_width("xavier", 1.0),  # Glorot & Bengio 2010: 2/(in + out)
    "he": by_width("he", 2.0),  # He et al. 2015
    "orthogonal": Draw("orthogonal", fill_orthogonal, lambda width: 1 / width),
    # Mishkin & Matas 2016, arXiv:1511.06422: orthogonal, then scaled to unit variance.
    "lsuv": Draw("lsuv", fill_orthogonal, lambda width: 1 / width, unit_variance=True),
}
