"""What is right at the first point and wrong at others has its own cause first."""

import numpy as np
import pytest

from gradcheck import check


def first(report, name="x"):
    return next(f for f in report.findings if f.name == name).causes[0]


REGIONS = {
    "|x| > 6": (np.tanh, lambda dy, x: dy * (1 - np.tanh(x) ** 2) * np.where(abs(x) > 6, 2, 1)),
    "x > 4": (lambda x: np.minimum(x, 4), lambda dy, x: dy),
    "x < -5": (np.sin, lambda dy, x: dy * np.cos(x) * (x >= -5)),
}


@pytest.mark.parametrize("region", REGIONS)
def test_a_region_beyond_the_first_point(region, rng):
    forward, backward = REGIONS[region]
    report = check(forward, lambda dy, x: (backward(dy, x),), [rng.standard_normal((10, 6))], ["x"])
    assert first(report).slug == "region-wrong"
    assert f"wrong where {region}" in first(report).sentence


def test_a_constant_gradient_is_no_stale_cache(rng):
    report = check(lambda x: np.minimum(x, 4), lambda dy, x: (dy,), [rng.standard_normal((10, 6))])
    assert "stale-cache" not in {cause.slug for cause in report.causes}


def test_a_mask_kept_for_its_shape(rng):
    kept = {}

    def backward(dy, x):
        return (dy * kept.setdefault(x.shape, x > 0),)

    report = check(lambda x: np.maximum(x, 0), backward, [rng.standard_normal((6, 4))], ["x"])
    assert report.verdict == "fail"
    assert first(report).slug == "stale-cache"


def test_kinks_of_several_entries_at_once_are_no_mistake(rng):
    x = rng.standard_normal((6, 4))
    x[0, 0], x[2, 1], x[4, 2] = 1e-9, -1e-7, 1e-12
    for seed in range(5):
        assert check(lambda x: np.maximum(x, 0), lambda dy, x: (dy * (x > 0),), [x], seed=seed)
    x[1, 2] = x[3, 0] = 0.0
    assert check(lambda x: np.maximum(x, 0), lambda dy, x: (dy * (x >= 0),), [x])


def test_a_factor_of_one_that_is_missing(rng):
    inputs = [rng.standard_normal((4, 5)), np.array(1.0)]
    report = check(lambda x, s: x * s, lambda dy, x, s: (dy, (dy * x).sum()), inputs, ["x", "s"])
    assert first(report).slug == "chain-rule-factor-missing"
    assert "the factor s is missing" in first(report).sentence


POSITIVE = np.array([[0.5, 1.5, 2.0], [0.3, 0.8, 1.2]])


def relu_of_slope(slope):
    return lambda dy, x: dy * np.where(x > 0, 1.0, slope)


def relu(x):
    return np.maximum(x, 0)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_inputs_of_one_sign_do_not_hide_the_other(sign, seed):
    wrong = relu_of_slope(5.0) if sign > 0 else lambda dy, x: dy * np.where(x > 0, 5.0, 0.0)
    report = check(relu, wrong, [sign * POSITIVE], ["x"], seed)
    assert report.verdict == "inconclusive"
    other = "negative" if sign > 0 else "positive"
    assert f"right here, wrong where x is {other}" in report.findings[0].note
    assert check(relu, relu_of_slope(0.0), [sign * POSITIVE], ["x"], seed)


def test_a_domain_of_one_sign_is_believed(seed):
    domain = {"x": (0.0, np.inf)}
    assert check(relu, relu_of_slope(5.0), [POSITIVE], ["x"], seed, domain=domain)
    assert check(np.log, lambda dy, x: dy / x, [POSITIVE], ["x"], seed)
