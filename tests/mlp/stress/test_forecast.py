"""The forecast over random networks: how often it is right, and how often it cries wolf."""

import numpy as np
import pytest

from mlp import MLP, stress
from mlp.optimizers import Adam
from mlp.stress.forecast import first_forecast
from mlp.stress.gains import BACKWARD, FORWARD, INPUT, MEASURES, NORMALISED, OUTPUT, SIZE
from mlp.stress.reduced import foreseen
from tests.mlp.stress.networks import random_case

PASSES = 30


def studies(rng, explode, count):
    """Runs of networks that do, or do not, overflow; but those that overflow in the first pass,
    before which there is nothing to foresee it from.
    """
    while count:
        study = stress.run(*random_case(rng), passes=PASSES)
        if (study.overflow_pass is not None) != explode or study.overflow_pass == 1:
            continue
        yield study
        count -= 1


def is_right(study):
    """Foreseen, before it came, to the pass before or after at most."""
    if study.forecast_pass is None:
        return False
    assert study.forecast_made_at < study.overflow_pass
    return abs(study.forecast_pass - study.overflow_pass) <= 1


@pytest.mark.compiled  # as plain Python it takes minutes
def test_explosions_are_foreseen(request):
    """95 % of all, those of the second pass included."""
    count = 500 if request.config.getoption("--thorough") else 100
    right = [is_right(study) for study in studies(np.random.default_rng(1), True, count)]
    assert np.mean(right) >= 0.95


@pytest.mark.compiled
def test_forecasts_are_not_false(request):
    count = 500 if request.config.getoption("--thorough") else 100
    found = [study.forecast_pass for study in studies(np.random.default_rng(2), False, count)]
    assert sum(pass_number is not None for pass_number in found) <= 0.01 * count


def product_of_three(exponent):
    """Gains of three layers of weights 2^exponent, one unit and one row each, input 1."""
    gains = np.zeros((3, MEASURES))
    gains[:, [FORWARD, BACKWARD, SIZE]] = exponent
    gains[:, INPUT] = exponent * np.arange(3)
    gains[:, OUTPUT] = exponent * np.arange(1, 4)
    return gains


@pytest.mark.parametrize("limit", [128.0, 1024.0])
def test_model_doubles_the_exponent(limit):
    """W' = W + dW, dW the product of the other two: whole numbers, by hand."""
    exponent, pass_number = 10.0, 1
    while True:
        pass_number += 1
        if 3 * exponent >= limit:
            break
        exponent = np.logaddexp2(exponent, 2 * exponent)
    found = foreseen(product_of_three(10.0), np.full(3, np.inf), 1, 0.0, 0.0, False, limit, 1, 30)
    assert found == pass_number


def test_model_of_what_is_normalised_is_still():
    gains = product_of_three(10.0)
    gains[:, NORMALISED] = 1
    assert not foreseen(gains, np.full(3, np.inf), 1, 0.0, 0.0, False, 1024.0, 1, 30)


def test_a_forecast_waits_until_it_is_clear():
    """Next pass, or twice the same where the update reinforces growth that is there."""
    series = {"log2_largest": np.array([1.0, 5, 9]), "alignment": np.array([-1.0, -1, -1])}
    assert first_forecast(series, [6, 6, 6]) == (6, 2)
    assert first_forecast(series, [6, 5, 6]) is None
    assert first_forecast(series, [6, 3, 3]) == (3, 2)
    assert first_forecast(series | {"alignment": np.ones(3)}, [6, 6, 6]) is None
    assert first_forecast(series | {"log2_largest": np.ones(3)}, [6, 6, 6]) is None


def test_adam_is_foreseen_one_pass_ahead_at_most(rng):
    """Its updates do not grow with the gradient."""
    net = MLP(3, 2, [8, 8], lr=1e3, optimizer=Adam())
    study = stress.run(net, rng.standard_normal((5, 3)), rng.integers(0, 2, 5))
    assert all(at in (None, i + 2) for i, at in enumerate(study.forecasts))


def test_weights_of_zero_are_no_explosion(rng):
    net = MLP(3, 2, [8, 8], weight_init_fn="zeros")
    study = stress.run(net, rng.standard_normal((5, 3)), rng.integers(0, 2, 5))
    assert study.overflow_pass is None
    assert study.forecasts == [None] * 30
