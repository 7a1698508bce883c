"""Ten published predictions about random networks, each measured at several widths.

Each function gives rows: what was measured, its standard error, what is predicted in the limit
of great width, and the allowance c/n for a finite one. A row holds if measured and predicted
differ by at most three standard errors or that allowance, whichever is more.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mlp.network import MLP
from mlp.stress import theory
from mlp.stress.curvature import largest_stable_lr
from mlp.stress.depth import depth
from mlp.stress.growth import DepthStudy
from mlp.stress.orthogonal import orthogonal
from mlp.stress.series import Array

ERRORS = 3
"""Standard errors that a measurement may be off."""


@dataclass(frozen=True)
class Row:
    """One measurement at one width. `allowance` is absolute."""

    what: str
    width: int
    measured: float
    error: float
    predicted: float
    allowance: float

    @property
    def holds(self) -> bool:
        return abs(self.measured - self.predicted) <= max(ERRORS * self.error, self.allowance)


def row(what: str, width: int, values: Array, predicted: float, allowance: float) -> Row:
    """From one value for each seed."""
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Row(what, width, float(np.mean(values)), error, predicted, allowance)


def ratio_of_means(top: Array, bottom: Array) -> tuple[float, float]:
    """mean(top)/mean(bottom) over seeds and its standard error, by linear expansion."""
    ratio = float(top.mean() / bottom.mean())
    residual = top / bottom.mean() - ratio * bottom / bottom.mean()
    return ratio, float(residual.std(ddof=1)) / math.sqrt(len(top))


def growth_of_gradient(study: DepthStudy, first: int) -> Array:
    """For each seed the mean factor of the squared gradient from one layer to the one before,
    from the last but one back to number `first`.

    The mean of factors: that of logarithms is less by half their variance, which is of order 1/n.
    """
    return np.asarray((2.0 ** -np.diff(study.backward[:, first:-1], axis=1)).mean(axis=1))


# ------------------------------------------------------------------------ mean-field theory


def tanh_study(width: int, sigma_w: float, sigma_b: float, layers: int, seeds: int) -> DepthStudy:
    init = f"normal:{sigma_w / math.sqrt(width)!r}"
    return depth(layers, width, init=init, activation="tanh", sigma_b=sigma_b, seeds=seeds)


def critical_tanh(widths: tuple[int, ...] = (64, 128, 256), seeds: int = 40) -> Iterator[Row]:
    """Schoenholz et al. 2017: at σ_b² = 0.05 gradients neither vanish nor explode for
    σ_w² = 1.76.
    """
    sigma_b = math.sqrt(0.05)
    sigma_w = math.sqrt(1.76)
    for width in widths:
        study = tanh_study(width, sigma_w, sigma_b, 60, seeds)
        yield row("χ at σ_w² = 1.76", width, growth_of_gradient(study, 20), 1.0, 2 / width)


POOLE = ((1.3, 0.607, 0.940), (2.5, 4.079, 1.585), (4.0, 12.604, 2.367))
"""σ_w, q* and χ at σ_b = 0.3 (Poole et al. 2016; digits by quadrature)."""


def fixed_points(widths: tuple[int, ...] = (64, 128, 256), seeds: int = 40) -> Iterator[Row]:
    """Poole et al. 2016: q* and χ of tanh at three points."""
    for sigma_w, q, chi in POOLE:
        for width in widths:
            study = tanh_study(width, sigma_w, 0.3, 40, seeds)
            squares = sigma_w**2 * 2.0 ** study.forward[:, 20:].mean(axis=1) + 0.3**2
            yield row(f"q* at σ_w = {sigma_w}", width, squares, q, 2 * q / width)
            found = growth_of_gradient(study, 15)
            yield row(f"χ at σ_w = {sigma_w}", width, found, chi, 2 * chi / width)


# ----------------------------------------------------------------------------- one layer


def singular_values(widths: tuple[int, ...] = (50, 100, 200), seeds: int = 10) -> Iterator[Row]:
    """Glorot & Bengio 2010: mean singular values 0.849 of their initialisation, and 0.490 of
    U(±1/√n).
    """
    rng = np.random.default_rng(3)
    for name, gain, predicted in (("normalised", 1.0, 0.849), ("standard", 1 / 3, 0.490)):
        for n in widths:
            limit = math.sqrt(3 * gain / n)
            draws = rng.uniform(-limit, limit, (seeds, n, n))
            means = np.linalg.svd(draws, compute_uv=False).mean(axis=1)
            yield row(f"mean singular value, {name}", n, means, predicted, 1 / n + 5e-4)


def relu_gain(widths: tuple[int, ...] = (64, 128, 256), seeds: int = 200) -> Iterator[Row]:
    """He et al. 2015: their initialisation keeps the mean square through ReLU; Xavier's loses
    2^(-L).
    """
    layers = 11
    for init, predicted in (("he", 1.0), ("xavier", 2.0**-10)):
        for width in widths:
            study = depth(layers, width, init=init, seeds=seeds)
            ratio, error = ratio_of_means(2.0 ** study.forward[:, -1], 2.0 ** study.forward[:, 0])
            yield Row(f"{init}: gain of 10 layers", width, ratio, error, predicted, 0.0)


# ------------------------------------------------------------------------------- batchnorm


def relu_batchnorm(widths: tuple[int, ...] = (50, 100, 200), seeds: int = 6) -> Iterator[Row]:
    """Yang et al. 2019: with batchnorm a ReLU network's squared gradient grows by π/(π - 1)
    per layer for a large batch; at batch 8 by 1.81.
    """
    for batch, predicted in ((128, math.pi / (math.pi - 1)), (8, 1.81)):
        for width in widths:
            study = depth(
                20, width, batchnorm=True, batch=batch, seeds=seeds * (4 if batch == 8 else 1)
            )
            found = growth_of_gradient(study, 5)
            what = f"growth with batchnorm, ReLU, batch {batch}"
            yield row(what, width, found, predicted, predicted * (2 / width + 0.02))


def linear_batchnorm(widths: tuple[int, ...] = (50, 100, 200), seeds: int = 30) -> Iterator[Row]:
    """Yang et al. 2019: without an activation it grows by (B - 2)/(B - 3)."""
    for batch, predicted in ((8, 1.2), (5, 1.5)):
        for width in widths:
            study = depth(
                20, width, activation="identity", batchnorm=True, batch=batch, seeds=seeds
            )
            found = growth_of_gradient(study, 5)
            what = f"growth with batchnorm, linear, batch {batch}"
            yield row(what, width, found, predicted, predicted * 3 / width)


# ------------------------------------------------------------------------ products and depth


def log_normal(widths: tuple[int, ...] = (30, 60, 120), seeds: int = 400) -> Iterator[Row]:
    """Hanin & Nica 2018: ln of the squared gain of 30 He-ReLU layers has mean -β/2 and variance
    β = 5·Σ 1/n.
    """
    for width in widths:
        study = depth(31, width, seeds=seeds)
        gains = (study.forward[:, -1] - study.forward[:, 0]) * math.log(2)
        mean, variance = theory.product_law([width] * 30)
        second = variance * 3 / width
        yield row("ln gain of 30 layers, mean", width, gains, mean, second)
        squares = (gains - gains.mean()) ** 2 * len(gains) / (len(gains) - 1)
        yield row("ln gain of 30 layers, variance", width, squares, variance, 2 * second)


def jacobian(kind: str, is_relu: bool, n: int, layers: int, rng: np.random.Generator) -> Array:
    """Of a critical network's outputs with respect to its inputs, at a random input."""
    x, product = rng.standard_normal(n), np.eye(n)
    for _ in range(layers):
        w = rng.standard_normal((n, n)) / math.sqrt(n)
        if kind == "orthogonal":
            w = orthogonal(w)
        w *= math.sqrt(2) if is_relu else 1
        z = w @ x
        active = (z > 0) | (not is_relu)
        x, product = z * active, active[:, None] * (w @ product)
    return np.asarray(product)


def spectra(widths: tuple[int, ...] = (75, 150, 300), seeds: int = 8) -> Iterator[Row]:
    """Pennington, Schoenholz & Ganguli 2017: Var(s²)/mean(s²)² of 5 layers is L for Gaussian
    linear ones, 0 for orthogonal ones, 2L and L with ReLU.
    """
    rng, layers = np.random.default_rng(7), 5
    for kind in ("gaussian", "orthogonal"):
        for is_relu in (False, True):
            predicted = theory.singular_value_spread(layers, kind, is_relu)
            for n in widths:
                found = []
                for _ in range(seeds):
                    s = np.linalg.svd(jacobian(kind, is_relu, n, layers, rng), compute_uv=False)
                    found.append((s**2).var() / (s**2).mean() ** 2)
                name = f"spread of s², {kind}{', ReLU' if is_relu else ''}"
                yield row(name, n, np.array(found), predicted, 10 * predicted / n + 1e-9)


def gradient_correlation(
    widths: tuple[int, ...] = (64, 128, 256), seeds: int = 200
) -> Iterator[Row]:
    """Balduzzi et al. 2017: gradients at two inputs whose units are active independently of each
    other, each with probability 1/2, have correlation 2^(-L), and (3/4)^L with residuals.

    The network has no residuals, so this is a study of its own, under the paper's assumption:
    g ← Wᵀ·(active·g), or g plus that.
    """
    rng, layers = np.random.default_rng(5), 3
    for residual, predicted in ((False, 0.5**layers), (True, 0.75**layers)):
        name = "residual" if residual else "plain"
        for n in widths:
            pairs = np.array([two_gradients(residual, n, layers, rng) for _ in range(seeds)])
            ratio, error = ratio_of_means(pairs[:, 0], pairs[:, 1])
            yield Row(f"gradient correlation, {name}", n, ratio, error, predicted, 0.0)


def two_gradients(
    residual: bool, n: int, layers: int, rng: np.random.Generator
) -> tuple[float, float]:
    """g·g' and (g·g + g'·g')/2 of gradients that start equal."""
    pair = np.tile(rng.standard_normal(n), (2, 1))
    for _ in range(layers):
        w = rng.standard_normal((n, n)) * math.sqrt(2 / n)
        passed = (pair * (rng.random((2, n)) < 0.5)) @ w
        pair = pair + passed if residual else passed
    return float(pair[0] @ pair[1]), float((pair**2).sum() / 2)


# ------------------------------------------------------------------------------ curvature


def stable_learning_rate(widths: tuple[int, ...] = (4, 8, 16)) -> Iterator[Row]:
    """Gradient descent on a quadratic, a linear layer with mse, diverges exactly beyond 2/λmax:
    the rate at which it begins to, found by bisection.
    """
    for n in widths:
        rng = np.random.default_rng(n)
        x, y = rng.standard_normal((3 * n, n)), rng.standard_normal((3 * n, 2))
        net = MLP(n, 2, criterion="mse", seed=1)
        bound = largest_stable_lr(net, x, y)
        low, high = bound / 2, bound * 2
        for _ in range(12):
            middle = math.sqrt(low * high)
            low, high = (low, middle) if diverges(n, x, y, middle) else (middle, high)
        yield Row("rate where descent diverges · λmax", n, low * 2 / bound, 0.0, 2.0, 0.002)


def diverges(n: int, x: Array, y: Array, lr: float, steps: int = 2000) -> bool:
    """Whether the gradient of a linear layer is larger after all steps than halfway."""
    net = MLP(n, 2, criterion="mse", seed=1, lr=lr)
    sizes = []
    for _ in range(2):
        for _ in range(steps // 2):
            net.train_step(x, y)
            if not np.isfinite(net.params).all():
                return True
        net.forward(x)
        net.backward(y)
        sizes.append(float(np.linalg.norm(net.grads)))
    return sizes[1] > max(sizes[0], 1e-9)


PREDICTIONS: dict[str, Callable[..., Iterator[Row]]] = {
    "critical tanh": critical_tanh,
    "fixed points of tanh": fixed_points,
    "singular values": singular_values,
    "gain of ReLU": relu_gain,
    "ReLU with batchnorm": relu_batchnorm,
    "linear with batchnorm": linear_batchnorm,
    "log-normal law": log_normal,
    "spectra": spectra,
    "correlation of gradients": gradient_correlation,
    "stable learning rate": stable_learning_rate,
}
