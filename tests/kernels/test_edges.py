"""Every activation at its edges, forward and backward, against mpmath.

Arrays are long enough that the vectorised body of the loop runs, not only its tail.
"""

import math

import mpmath
import numpy as np
import pytest

from kernels import OPS
from kernels.activation import ACTIVATIONS, activation_backward, activation_forward
from tests.kernels.helpers import ULP, settings

mpmath.mp.dps = 60

ONE = mpmath.mpf(1)


def phi(x):
    return mpmath.exp(-min(x * x, mpmath.mpf(1e6)) / 2) / mpmath.sqrt(2 * mpmath.pi)


def normal_cdf(x):
    if abs(x) > 1000:  # e^-x²/2 is beyond any float; mpmath would grind at it
        return ONE if x > 0 else mpmath.mpf(0)
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


def logistic(x):
    return ONE / (1 + mpmath.exp(-x)) if x >= 0 else mpmath.exp(x) / (1 + mpmath.exp(x))


SLOPE, ALPHA = mpmath.mpf("0.01"), ONE

ORACLES = {
    "identity": (lambda x: x, lambda x: ONE),
    "relu": (lambda x: max(x, 0), lambda x: ONE if x > 0 else 0),
    "leaky_relu": (lambda x: x if x > 0 else SLOPE * x, lambda x: ONE if x > 0 else SLOPE),
    "elu": (
        lambda x: x if x > 0 else ALPHA * mpmath.expm1(x),
        lambda x: ONE if x > 0 else ALPHA * mpmath.exp(x),
    ),
    "sigmoid": (logistic, lambda x: logistic(x) * logistic(-x)),
    "tanh": (mpmath.tanh, lambda x: mpmath.sech(x) ** 2),
    "softplus": (lambda x: max(x, 0) + mpmath.log1p(mpmath.exp(-abs(x))), logistic),
    "gelu": (lambda x: x * normal_cdf(x), lambda x: normal_cdf(x) + x * phi(x)),
    "silu": (
        lambda x: x * logistic(x),
        lambda x: logistic(x) * (1 + x * logistic(-x)),
    ),
}
"""φ and φ', exactly."""

LIMITS = {
    "identity": ((-np.inf, 1), (np.inf, 1)),
    "relu": ((0, 0), (np.inf, 1)),
    "leaky_relu": ((-np.inf, 0.01), (np.inf, 1)),
    "elu": ((-1, 0), (np.inf, 1)),
    "sigmoid": ((0, 0), (1, 0)),
    "tanh": ((-1, 0), (1, 0)),
    "softplus": ((0, 0), (np.inf, 1)),
    "gelu": ((0, 0), (np.inf, 1)),
    "silu": ((0, 0), (np.inf, 1)),
}
"""(φ, φ') at -inf and at +inf."""

FROM_OUTPUT = {"sigmoid": 1, "tanh": 2}
"""φ' of these is taken from y, whose rounding moves it by up to this many half units of 1."""


def finite_edges(op, dtype):
    """The op's edges and some points between, long enough for the vectorised body to run."""
    with np.errstate(over="ignore", under="ignore"):
        points = np.array([*op.edges, *np.linspace(-40, 40, 33)], dtype)
    return np.tile(points[np.isfinite(points)], 2)


def test_every_activation_has_an_oracle(activation):
    """A new activation needs its exact formula in ORACLES and its limits in LIMITS above."""
    assert activation.name in ORACLES
    assert activation.name in LIMITS
    assert len(activation.edges) >= 10


def test_forward_at_finite_edges(activation, dtype):
    x = finite_edges(activation, dtype)
    value, _ = ORACLES[activation.name]
    got = activation.forward(x)
    slope = settings(activation).get("slope")
    for xi, yi in zip(x, got, strict=True):
        exact = value(mpmath.mpf(float(xi)))
        if slope is not None and xi < 0:  # the slope is rounded to the dtype first
            exact = mpmath.mpf(float(dtype(slope))) * mpmath.mpf(float(xi))
        assert_near(float(yi), exact, dtype, f"φ({xi})", underflow(xi))


def test_derivative_at_finite_edges(activation, dtype):
    x = finite_edges(activation, dtype)
    _, derivative = ORACLES[activation.name]
    got = activation.vjp((np.ones_like(x),), x)[0]
    slack = FROM_OUTPUT.get(activation.name, 0) * float(np.finfo(dtype).eps)
    for xi, di in zip(x, got, strict=True):
        exact = derivative(mpmath.mpf(float(xi)))
        assert_near(float(di), exact, dtype, f"φ'({xi})", slack + underflow(xi))


def underflow(x):
    """A tail that is subnormal has lost digits; x times it has lost x times as much."""
    return min(abs(float(x)), 1e3) * float(np.finfo(x.dtype).smallest_subnormal)


def assert_near(got, exact, dtype, what, slack=0.0):
    info = np.finfo(dtype)
    size = min(max(abs(exact), mpmath.mpf(float(info.tiny))), mpmath.mpf(float(info.max)) / 2)
    allowed = ULP[np.dtype(dtype)] * float(np.spacing(dtype(float(size)))) + slack
    if abs(exact) > float(info.max):
        assert got == mpmath.sign(exact) * np.inf, what
    else:
        assert abs(mpmath.mpf(got) - exact) <= allowed, f"{what}: {got} instead of {exact}"


@pytest.mark.parametrize("side", [0, 1], ids=["-inf", "+inf"])
def test_infinities_give_limits(activation, dtype, side):
    x = np.full(40, (-np.inf, np.inf)[side], dtype)
    value, slope = LIMITS[activation.name][side]
    np.testing.assert_array_equal(activation.forward(x), dtype(value))
    np.testing.assert_array_equal(activation.vjp((np.ones_like(x),), x)[0], dtype(slope))


def test_nan_stays_where_it_is(activation, dtype):
    x = np.linspace(-3, 3, 41).astype(dtype)
    x[::5] = np.nan
    y = activation.forward(x)
    dx = activation.vjp((np.ones_like(x),), x)[0]
    np.testing.assert_array_equal(np.isnan(y), np.isnan(x))
    if activation.name != "identity":  # whose gradient does not depend on x
        np.testing.assert_array_equal(np.isnan(dx), np.isnan(x))


def test_huge_cotangents_pass_through(activation, dtype):
    """A dead unit passes nothing on, not even an infinity; a live one passes it."""
    x = np.tile(np.array([-2.0, 2.0], dtype), 20)
    dx = activation.vjp((np.full_like(x, np.inf),), x)[0]
    assert np.isposinf(dx[1::2]).all()
    if activation.name == "relu":
        assert (dx[::2] == 0).all()


def test_cross_entropy_at_huge_logits(dtype):
    z = np.array([[1000.0, 0, -1000], [-np.inf, 0, 0], [0, 0, np.inf]], dtype)
    labels = np.array([2, 1, 0])
    loss, p = OPS["softmax_cross_entropy"].forward(z, labels)
    np.testing.assert_array_equal(p[0], [1, 0, 0])
    np.testing.assert_allclose(p[1], [0, 0.5, 0.5])
    np.testing.assert_allclose(loss[:2], [2000, np.log(2)], rtol=1e-6)
    assert np.isnan(p[2]).any()
    soft = np.zeros((3, 3), dtype)
    soft[np.arange(3), labels] = 1
    again, _ = OPS["softmax_cross_entropy"].forward(z, soft)
    np.testing.assert_array_equal(again[:2], loss[:2])


def test_cross_entropy_keeps_its_digits(dtype):
    """Small losses, and differences of large logits."""
    z = np.array([[1000, 998], [10000, 9997], [20, 0], [30, 0], [-5, 3]], dtype)
    exact = [mpmath.log1p(mpmath.exp(float(b) - float(a))) for a, b in z]
    targets = np.tile(np.array([1, 0], dtype), (5, 1))
    for labels in (np.zeros(5, int), targets):
        loss, _ = OPS["softmax_cross_entropy"].forward(z, labels)
        np.testing.assert_allclose(loss, np.array(exact, float), rtol=8 * np.finfo(dtype).eps)


def test_batchnorm_variance_survives_a_large_mean(dtype, rng):
    x = (rng.standard_normal((257, 3)) + 1e4).astype(dtype)
    gamma, beta = np.ones(3, dtype), np.zeros(3, dtype)
    y, mean, var, rstd = OPS["batchnorm"].forward(x, gamma, beta)
    wide = x.astype(np.longdouble)
    centred = wide - wide.mean(axis=0)
    np.testing.assert_allclose(var, (centred**2).mean(axis=0).astype(float), rtol=4e-7)
    expected = centred / np.sqrt((centred**2).mean(axis=0) + 1e-8)
    tolerance = 8 * np.finfo(dtype).eps * abs(expected).max()
    np.testing.assert_allclose(y, expected.astype(float), atol=float(tolerance))
    dy = rng.standard_normal(x.shape).astype(dtype)
    dx, dgamma, _ = OPS["batchnorm"].backward(dy, x, gamma, mean, rstd)
    product = (dy * expected).astype(np.longdouble)
    np.testing.assert_allclose(dgamma, product.sum(axis=0).astype(float), rtol=1e-5)
    # Σ dx = 0: nothing changes when every sample moves by the same amount.
    # x - mean is exact to mean·eps in float64, which is what the sums run in.
    allowed = len(x) * (np.finfo(dtype).eps + 1e4 * np.finfo(np.float64).eps)
    assert abs(dx.astype(float).sum(axis=0)).max() < allowed


@pytest.mark.parametrize("size", [1e3, 1e6])
def test_batchnorm_with_a_first_row_far_from_the_others(dtype, rng, size):
    """Sums are taken about one of the rows: if about this one, what cancels would show."""
    x = rng.standard_normal((257, 3)).astype(dtype)
    x[0] = size
    gamma, beta = np.ones(3, dtype), np.zeros(3, dtype)
    y, mean, var, _ = OPS["batchnorm"].forward(x, gamma, beta)
    wide = x.astype(np.longdouble)
    variance = ((wide - wide.mean(axis=0)) ** 2).mean(axis=0)
    single, double = np.finfo(dtype).eps, np.finfo(np.float64).eps
    rounding = 4 * single + 257 * double
    np.testing.assert_allclose(mean, wide.mean(axis=0).astype(float), single, 2 * double * size)
    np.testing.assert_allclose(var, variance.astype(float), rtol=rounding)
    expected = ((wide - wide.mean(axis=0)) / np.sqrt(variance + 1e-8)).astype(float)
    np.testing.assert_allclose(y, expected, atol=rounding * abs(expected).max())


@pytest.mark.parametrize("outlier", [1e3, 1e8])
def test_batchnorm_with_outliers_where_it_looks_first(outlier, rng):
    """Two of the first, the middle and the last row: none of them is near the mean."""
    n = 20_000
    x = rng.standard_normal((n, 2))
    x[[0, n // 2], 0] = outlier
    var = OPS["batchnorm"].forward(x, np.ones(2), np.zeros(2))[2]
    for j in range(2):
        mean = math.fsum(x[:, j]) / n
        expected = math.fsum((x[:, j] - mean) ** 2) / n
        assert var[j] == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("place", [0, 1, 4])
def test_batchnorm_shows_an_infinity(dtype, rng, place):
    """Wherever in its column it is: the mean is infinite, the rest is NaN, others stay."""
    x = rng.standard_normal((5, 3)).astype(dtype)
    x[place, 1] = np.inf
    y, mean, var, _ = OPS["batchnorm"].forward(x, np.ones(3, dtype), np.zeros(3, dtype))
    assert mean[1] == np.inf
    assert np.isnan(var[1])
    assert np.isnan(y[:, 1]).all()
    assert np.isfinite(y[:, ::2]).all()


def test_batchnorm_with_a_factor_beyond_the_range(dtype, rng):
    """gamma·rstd is infinite: so are y and dx, and neither is NaN."""
    x = (1e-3 * rng.standard_normal((8, 3))).astype(dtype)
    gamma = np.full(3, np.finfo(dtype).max)
    y, mean, _, rstd = OPS["batchnorm"].forward(x, gamma, np.zeros(3, dtype))
    assert np.isinf(y).any()
    assert not np.isnan(y).any()
    dy = rng.standard_normal(x.shape).astype(dtype)
    dx, _, _ = OPS["batchnorm"].backward(dy, x, gamma, mean, rstd)
    assert np.isinf(dx).any()
    assert not np.isnan(dx).any()


def test_batchnorm_gradient_with_a_large_mean_of_dy(dtype, rng):
    """The mean of dy is taken out before anything is rounded."""
    x = rng.standard_normal((64, 3)).astype(dtype)
    dy = (rng.standard_normal(x.shape) + 1e4).astype(dtype)
    gamma = np.ones(3, dtype)
    _, mean, _, rstd = OPS["batchnorm"].forward(x, gamma, np.zeros(3, dtype))
    dx, _, _ = OPS["batchnorm"].backward(dy, x, gamma, mean, rstd)
    wide, wide_dy = x.astype(np.longdouble), dy.astype(np.longdouble)
    scale = rstd.astype(np.longdouble)
    xhat = (wide - wide.mean(axis=0)) * scale
    dy_rest = wide_dy - wide_dy.mean(axis=0)
    expected = scale * (dy_rest - xhat * (dy_rest * xhat).mean(axis=0))
    atol = 8 * np.finfo(dtype).eps + 64 * 1e4 * np.finfo(np.float64).eps
    np.testing.assert_allclose(dx, expected.astype(float), atol=atol * abs(expected).max())


def test_the_engines_choice_is_the_activation_itself(dtype, rng):
    """activation_forward(code) is the op of that code, and so is backward; all is overwritten."""
    x = rng.standard_normal(37).astype(dtype)
    dy = rng.standard_normal(37).astype(dtype)
    rounding = 8 * np.finfo(dtype).eps  # inlined, multiplications and additions may fuse
    for code, op in enumerate(ACTIVATIONS):
        setting = next(iter(settings(op).values()), 0.0)
        y, dx = np.full_like(x, np.nan), np.full_like(x, np.nan)
        activation_forward(code, setting, x, y)
        np.testing.assert_allclose(y, op.forward(x), rtol=rounding, atol=rounding)
        activation_backward(code, setting, dy, x, y, dx)
        np.testing.assert_allclose(dx, op.vjp((dy,), x)[0], rtol=rounding, atol=rounding)
    names = {op.name for op in OPS.values() if op.is_elementwise and op.backward is not None}
    assert {op.name for op in ACTIVATIONS} == names
