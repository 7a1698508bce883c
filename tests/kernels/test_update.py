"""Updates over many steps against NumPy written from the papers, and the global norm."""

import math

import mpmath
import numpy as np
import pytest

import kernels
from kernels.update import clip_scale, norm

STEPS = 25
RTOL = {np.float64: 1e-13, np.float32: 2e-6}


def gradients(rng, dtype):
    """A start of length 37 and STEPS gradients, in the dtype and in float64."""
    drawn = rng.standard_normal((STEPS + 1, 37)).astype(dtype)
    return drawn, drawn.astype(np.float64)


def assert_near(got, expected, dtype):
    np.testing.assert_allclose(got, expected, rtol=0, atol=RTOL[dtype] * abs(expected).max())


@pytest.mark.parametrize(("scale", "decay"), [(1.0, 0.0), (0.25, 0.0), (0.5, 0.125)])
def test_gradient_descent(dtype, rng, scale, decay):
    (w, *dws), (expected, *wide) = gradients(rng, dtype)
    for dw, g in zip(dws, wide, strict=True):
        kernels.gradient_descent_update(w, dw, 0.05, scale, decay, w)
        expected = expected - 0.05 * (g * scale + decay * expected)
    assert_near(w, expected, dtype)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize(("scale", "decay"), [(1.0, 0.0), (0.5, 0.125)])
def test_momentum_is_a_buffer_of_gradients_times_the_rate(dtype, rng, scale, decay, nesterov):
    """In PyTorch's form: buffer = μ·buffer + g, w -= lr·(g + μ·buffer) or w -= lr·buffer."""
    (w, *dws), (expected, *wide) = gradients(rng, dtype)
    velocity, buffer = np.zeros_like(w), np.zeros(w.size)
    update = kernels.nesterov_update if nesterov else kernels.momentum_update
    for dw, g in zip(dws, wide, strict=True):
        update(w, dw, velocity, 0.05, 0.75, scale, decay, w, velocity)
        g = g * scale + decay * expected
        buffer = 0.75 * buffer + g
        expected = expected - 0.05 * (g + 0.75 * buffer if nesterov else buffer)
    assert_near(w, expected, dtype)
    assert_near(velocity, -0.05 * buffer, dtype)


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize(("scale", "decay"), [(1.0, 0.0), (0.5, 0.125)])
def test_adam(dtype, rng, scale, decay, decoupled):
    """Line by line as in algorithm 1 of the paper, t counted from 1."""
    (w, *dws), (theta, *wide) = gradients(rng, dtype)
    m, v = np.zeros_like(w), np.zeros_like(w)
    first, second = np.zeros(w.size), np.zeros(w.size)
    update = kernels.adamw_update if decoupled else kernels.adam_update
    for t, (dw, g) in enumerate(zip(dws, wide, strict=True), start=1):
        corrections = 1 - 0.9**t, 1 - 0.99**t
        update(w, dw, m, v, 0.02, 0.9, 0.99, 1e-6, *corrections, scale, decay, w, m, v)
        g = g * scale
        if decoupled:
            theta = theta - 0.02 * decay * theta
        else:
            g = g + decay * theta
        first = 0.9 * first + 0.1 * g
        second = 0.99 * second + 0.01 * g * g
        unbiased, variance = first / (1 - 0.9**t), second / (1 - 0.99**t)
        theta = theta - 0.02 * unbiased / (np.sqrt(variance) + 1e-6)
    assert_near(w, theta, dtype)
    assert_near(m, first, dtype)
    assert_near(v, second, dtype)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_goes_where_the_formula_sends_it(dtype, bad):
    """An infinity stays one where the formula has no inf - inf."""
    length = 40  # more than a vector register, so that the body of the loop runs
    one = np.ones(length, dtype)
    array = np.full(length, bad, dtype)
    np.testing.assert_array_equal(kernels.gradient_descent_update(one, array), -array)
    np.testing.assert_array_equal(kernels.running_average_update(one, array), array)
    np.testing.assert_array_equal(kernels.running_average_update(array, one), array)
    for update in (kernels.momentum_update, kernels.nesterov_update):
        for got in update(one, array, one):
            np.testing.assert_array_equal(got, -array)
    for update in (kernels.adam_update, kernels.adamw_update):
        w, m, v = update(one, array, one, one)
        np.testing.assert_array_equal(m, array)
        np.testing.assert_array_equal(v, abs(array))
        assert np.isnan(w).all()  # inf/inf
        w, m, v = update(one, one, one, np.full(length, np.inf, dtype))
        np.testing.assert_array_equal(v, np.inf)
        np.testing.assert_allclose(w, 1, rtol=1e-4)


def test_adam_of_a_gradient_too_large_to_square_stays(dtype):
    huge = np.full(40, np.finfo(dtype).max / 2, dtype)
    zero = np.zeros(40, dtype)
    w, m, v = kernels.adam_update(zero, huge, zero, zero)
    np.testing.assert_array_equal(w, 0)
    np.testing.assert_array_equal(v, np.inf)
    assert np.isfinite(m).all()


def test_adam_without_a_gradient_stays(dtype):
    one, zero = np.ones(40, dtype), np.zeros(40, dtype)
    w, m, v = kernels.adam_update(one, zero, zero, zero)
    np.testing.assert_array_equal(w, 1)
    assert not m.any()
    assert not v.any()


@pytest.mark.parametrize("size", [0, 1, 7, 33, 1000])
@pytest.mark.parametrize("share", [-1.04, -1.0, -0.9, -0.5, 0, 0.5, 0.7, 0.99])
def test_the_global_norm_neither_overflows_nor_vanishes(dtype, rng, size, share):
    """From subnormal values to the largest: 2 to the given share of the largest exponent."""
    exponent = int(share * np.finfo(dtype).maxexp)
    values = np.ldexp(rng.uniform(-1, 1, size), exponent).astype(dtype)
    exact = mpmath.sqrt(mpmath.fsum(mpmath.mpf(float(v)) ** 2 for v in values))
    got = norm(values)
    assert abs(got - exact) <= 1e-14 * exact + 5e-324
    kept = kernels.global_norm_forward(values)
    assert kept.dtype == dtype
    with np.errstate(over="ignore", under="ignore"):
        np.testing.assert_array_equal(kept, dtype(got))


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_the_global_norm_shows_what_is_not_finite(dtype, bad):
    values = np.ones(100, dtype)
    values[71] = bad
    np.testing.assert_array_equal(norm(values), abs(bad))


def test_clipping():
    assert clip_scale(3.0, 6.0) == 1.0
    assert clip_scale(12.0, 6.0) == 0.5
    assert clip_scale(0.0, 0.0) == 1.0
    assert clip_scale(2.0, math.inf) == 1.0
    assert clip_scale(math.inf, 6.0) == 0.0
    assert math.isnan(clip_scale(math.nan, 6.0))
