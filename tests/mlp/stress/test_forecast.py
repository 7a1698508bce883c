"""The forecast over random networks: how often it is right, and how often it cries wolf."""

import numpy as np
import pytest

from mlp import stress
from tests.mlp.stress.networks import random_case

pytestmark = pytest.mark.compiled  # as plain Python it takes minutes

PASSES = 30


def studies(rng, explode, count):
    """Runs of networks that do, or do not, overflow; of those that do, after pass 3: before, no
    two passes have been seen two passes ahead.
    """
    while count:
        study = stress.run(*random_case(rng), passes=PASSES)
        if (study.overflow_pass is not None) != explode or (study.overflow_pass or 9) < 4:
            continue
        yield study
        count -= 1


def test_forecasts_are_right(request):
    """Off by one pass at most in 95 % of them; few explosions come unannounced."""
    count = 500 if request.config.getoption("--thorough") else 100
    off, missed = [], 0
    for study in studies(np.random.default_rng(1), True, count):
        if study.forecast_pass is None:
            missed += 1
        else:
            off.append(abs(study.forecast_pass - study.overflow_pass))
            assert study.forecast_made_at < study.overflow_pass
    assert np.mean(np.array(off) <= 1) >= 0.95
    assert missed <= 0.2 * count


def test_forecasts_are_not_false(request):
    count = 500 if request.config.getoption("--thorough") else 100
    found = [study.forecast_pass for study in studies(np.random.default_rng(2), False, count)]
    assert sum(pass_number is not None for pass_number in found) <= 0.01 * count
