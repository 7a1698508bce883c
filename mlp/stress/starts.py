"""First weights and biases by name, of any network that is put under stress."""

import math
from collections.abc import Callable

import numpy as np

from kernels.jit import jit_as_written
from mlp.arguments import by_name
from mlp.initializers import INITIALIZERS, Array, Initializer

Biases = Callable[[np.random.Generator, int], Array]


def uniform(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    """U(±1/√n_in), the heuristic that Glorot & Bengio (2010) found too small."""
    bound = 1 / math.sqrt(n_in)
    return rng.uniform(-bound, bound, (n_in, n_out))


def orthogonal(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    """Columns, or rows where they are fewer, orthonormal and uniformly so (Saxe et al. 2014,
    arXiv:1312.6120): QR of a normal matrix, with a positive diagonal in R.
    """
    vectors = rng.normal(size=(min(n_in, n_out), max(n_in, n_out)))
    orthonormalize(vectors)
    return vectors if n_in <= n_out else np.ascontiguousarray(vectors.T)


@jit_as_written
def orthonormalize(rows):
    """Gram and Schmidt, each row twice, which is enough (Giraud et al. 2005).

    LAPACK's bits depend on its number of threads; these do not.
    """
    for i in range(rows.shape[0]):
        for _ in range(2):
            for j in range(i):
                product = 0.0
                for k in range(rows.shape[1]):
                    product += rows[i, k] * rows[j, k]
                for k in range(rows.shape[1]):
                    rows[i, k] -= product * rows[j, k]
        square = 0.0
        for k in range(rows.shape[1]):
            square += rows[i, k] * rows[i, k]
        for k in range(rows.shape[1]):
            rows[i, k] /= math.sqrt(square)


def zero_biases(_rng: np.random.Generator, n_out: int) -> Array:
    return np.zeros((1, n_out))


NAMED: dict[str, Initializer] = {
    "he": INITIALIZERS["he"],
    "xavier": INITIALIZERS["xavier"],
    "uniform": uniform,
    "orthogonal": orthogonal,
}

WITH_NUMBERS = {"normal": ("σ",), "scaled": ("σ_w", "σ_b")}
"""normal:σ draws N(0, σ²), scaled:σ_w:σ_b draws N(0, σ_w²/n_in) and biases N(0, σ_b²)."""


def start(where: str, name: str) -> tuple[Initializer, Biases]:
    """How weights and biases of that name are drawn: he, normal:0.1, scaled:1.3:0.3, …"""
    word, *rest = name.split(":") if isinstance(name, str) else [name]
    if word not in WITH_NUMBERS or not rest:
        by_name(where, name, [*NAMED, *(f"{key}:σ" for key in WITH_NUMBERS)])
        return NAMED[name], zero_biases
    numbers = [positive(where, name, text) for text in rest]
    most = len(WITH_NUMBERS[word])
    if len(numbers) > most:
        expected = ":".join((word, *WITH_NUMBERS[word]))
        raise ValueError(f"{where} is {name!r}, expected {expected}")
    return drawn_with(word, *numbers)


def positive(where: str, name: str, text: str) -> float:
    """A number in a name; not negative, for it is a standard deviation."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ValueError(f"{where} is {name!r}: got {text!r}, expected a number of at least 0")
    return value


def drawn_with(word: str, sigma: float, sigma_b: float = 0.0) -> tuple[Initializer, Biases]:
    """Normal weights and biases of these standard deviations."""

    def weights(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
        scale = sigma / math.sqrt(n_in) if word == "scaled" else sigma
        return rng.normal(0.0, scale, (n_in, n_out))

    def biases(rng: np.random.Generator, n_out: int) -> Array:
        return rng.normal(0.0, sigma_b, (1, n_out))

    return weights, biases
