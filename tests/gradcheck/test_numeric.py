"""Differences and their error bars, against derivatives known exactly."""

import math

import numpy as np
import pytest

from gradcheck.numeric import Rung, directional_derivative, richardson

SMOOTH = {
    "sin": (np.sin, np.cos),
    "exp": (np.exp, np.exp),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "cube": (lambda x: x**3, lambda x: 3 * x**2),
    "line": (lambda x: 7 * x - 2, lambda x: 7.0),
    "constant": (lambda x: 0 * x + 5, lambda x: 0.0),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2),
    "runge": (lambda x: 1 / (1 + 25 * x**2), lambda x: -50 * x / (1 + 25 * x**2) ** 2),
}


def slope(function, x, scale=1.0):
    return directional_derivative(lambda t: np.array([function(x + t)]), np.ones(1), (scale,))


@pytest.mark.parametrize("name", SMOOTH)
def test_the_bar_covers_the_error(name, rng):
    function, derivative = SMOOTH[name]
    for x in rng.uniform(-3, 3, 100):
        estimate = slope(function, x)
        assert abs(estimate.value - derivative(x)) <= estimate.error_bar
        assert estimate.error_bar <= 1e-8 * max(1.0, abs(derivative(x)))
        assert estimate.kink is None


@pytest.mark.parametrize("size", [1e-9, 1e-3, 1.0, 1e6, 1e12])
def test_inputs_of_any_size(size, rng):
    for x in size * rng.uniform(0.5, 2, 20):
        estimate = slope(lambda v: np.sin(v / size), x, scale=size)
        exact = math.cos(x / size) / size
        assert abs(estimate.value - exact) <= estimate.error_bar
        assert estimate.error_bar <= 1e-7 / size


def test_a_ladder_from_far_away_is_not_believed_alone():
    """A column of ones among others of a thousand, normalised: steps of hundreds down to 0.9 seem
    to converge, to a number 15 of their error bars off.
    """
    x = np.array([1.32, 2.07, 0.46, 3.36, 3.71, 1.46, 3.14])
    weights = np.array([0.73, -1.36, -0.63, -0.97, -0.9, -0.11, 0.53])
    last = np.arange(7) == 6

    def normalised(t):
        centred = x + t * last - (x + t * last).mean()
        return centred / np.sqrt((centred * centred).mean() + 1e-8)

    exact = weights @ normalised(1e-30j).imag / 1e-30  # the derivative by a complex step
    estimate = directional_derivative(normalised, weights, (1795.0,), enough=3e-5)
    assert abs(estimate.value - exact) <= estimate.error_bar <= 3e-5


def test_noise_widens_the_bar(rng):
    noise = np.random.default_rng(3)
    for level in (1e-10, 1e-6):
        for x in rng.uniform(-1, 1, 50):
            estimate = slope(lambda v, level=level: np.sin(v) + level * noise.standard_normal(), x)
            assert abs(estimate.value - math.cos(x)) <= estimate.error_bar
            assert level < estimate.error_bar < 1e4 * level


def test_a_kink_shows_both_slopes():
    estimate = slope(abs, 0.0)
    assert estimate.kink == pytest.approx((-1, 1))
    estimate = slope(lambda x: max(x, 0.0) + 3 * x, 0.0)
    assert estimate.kink == pytest.approx((3, 4))


@pytest.mark.parametrize("distance", [1e-1, 1e-3, 1e-5, 1e-7])
def test_a_kink_nearby_is_no_kink(distance):
    for x, expected in ((distance, 1.0), (-distance, 0.0)):
        estimate = slope(lambda v: max(v, 0.0), x)
        assert estimate.kink is None
        assert abs(estimate.value - expected) <= estimate.error_bar < 1e-3


def test_the_edge_of_a_domain_is_stepped_around():
    with np.errstate(invalid="ignore"):
        estimate = slope(np.log, 1e-3)
        assert abs(estimate.value - 1e3) <= estimate.error_bar < 1e-3
        estimate = slope(np.sqrt, 0.01)
        assert abs(estimate.value - 5) <= estimate.error_bar < 1e-6


def test_what_is_not_finite_is_unknown():
    estimate = slope(lambda x: np.nan, 1.0)
    assert not estimate.is_finite
    assert math.isinf(estimate.error_bar)
    with np.errstate(divide="ignore"):
        assert not slope(lambda x: 1 / np.float64(x), 0.0).is_finite


def test_saturation_does_not_make_a_flat_function_certain():
    """1 - 1e-14 rounds in steps of 1e-16: a slope of zero here is rounding, not truth."""

    def function(x):
        return 240 / (1 + np.exp(-x))

    for x in (31.0, 34.0, 36.0):
        exact = 240 * math.exp(-x) / (1 + math.exp(-x)) ** 2
        estimate = slope(function, x, scale=4.0)
        assert abs(estimate.value - exact) <= estimate.error_bar


def test_what_does_not_move_adds_no_noise():
    """A huge output that does not depend on t must not drown a small one that does."""
    estimate = directional_derivative(
        lambda t: np.array([1e12, np.sin(0.3 + t)]), np.ones(2), (1.0,)
    )
    assert abs(estimate.value - math.cos(0.3)) <= estimate.error_bar < 1e-9


def test_extrapolation_removes_even_powers():
    rungs = [Rung(h, 2 + h**2 - 3 * h**4 + h**6, 0, 0) for h in (0.5**k for k in range(6))]
    value, error, scatter, used = richardson(rungs, [], noise=0.0, epsilon=0.0)
    assert used == rungs[: len(used)]
    assert value == pytest.approx(2, abs=1e-14)
    assert error < 1e-10
    assert scatter < 1e-10


def test_fine_structure_is_not_stepped_over():
    """Coarse slopes may agree with each other by accident; the single fine step tells."""
    for k in (1e3, 1e4, 1e5, 1e6):
        for x in np.random.default_rng(2).standard_normal(20):
            estimate = slope(lambda v, k=k: v + np.sin(k * v) / k**1.5, x)
            exact = 1 + math.cos(k * x) / k**0.5
            near = abs(estimate.value - exact) <= estimate.error_bar
            assert near or any(abs(r.value - exact) <= r.error_bar for r in estimate.rivals)


def test_cancellation_inside_is_noise():
    for size in (1e2, 1e4, 1e6):
        for x in np.random.default_rng(2).standard_normal(20):
            estimate = slope(lambda v, size=size: (v + size) - size, x)
            assert abs(estimate.value - 1) <= estimate.error_bar < 1e-3
