"""The sampler's moments, quantiles, tails and independence, against exact values."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from mlp.stress.normals import BLOCK, fill_normal, layer_keys, normal, seed_keys

pytestmark = pytest.mark.compiled  # as plain Python it takes minutes

COUNT = 2_000_000
SIGMAS = 4.5
"""Standard errors that any one of these statistics may be off."""


@pytest.fixture(scope="module")
def draws():
    return normal(seed_keys(11), (COUNT,)).astype(np.float64)


@pytest.mark.parametrize(
    ("power", "moment", "variance"),
    [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (6, 15, 10170)],
)
def test_moments(draws, power, moment, variance):
    error = math.sqrt(variance / COUNT)
    assert abs((draws**power).mean() - moment) < SIGMAS * error


def test_quantiles(draws):
    """Kolmogorov's distance: beyond 2.3/√n once in 20 000 cases."""
    ordered = np.sort(draws)[::1000]
    exact = np.array([NormalDist().cdf(value) for value in ordered])
    ranks = np.arange(0, COUNT, 1000) / COUNT
    assert np.abs(exact - ranks).max() < 2.3 / math.sqrt(COUNT) + 1 / COUNT


@pytest.mark.parametrize("size", [2.0, 3.0, 4.0, 4.5])
def test_tails(draws, size):
    for part in (draws > size, draws < -size):
        expected = COUNT * math.erfc(size / math.sqrt(2)) / 2
        assert abs(part.sum() - expected) < SIGMAS * math.sqrt(expected) + 1


@pytest.mark.parametrize("lag", [1, 2, BLOCK // 2, BLOCK, 256, 4096])
def test_no_correlation_within_a_stream(draws, lag):
    a, b = draws[:-lag], draws[lag:]
    error = 1 / math.sqrt(len(a))
    assert abs((a * b).mean()) < SIGMAS * error
    assert abs(((a**2 - 1) * (b**2 - 1)).mean()) / 2 < SIGMAS * error


def test_no_correlation_between_streams():
    """Neighbouring layers and neighbouring seeds."""
    keys = [layer_keys(*seed_keys(seed), layer) for seed in range(6) for layer in range(20)]
    streams = np.array([normal(k, (4096,)) for k in keys], np.float64)
    for values in (streams, (streams**2 - 1) / math.sqrt(2)):
        correlations = values @ values.T / 4096
        off = correlations[np.triu_indices(len(keys), 1)] * 64
        assert np.abs(off).max() < 5
        assert abs(off.std() - 1) < 0.05


def test_a_position_is_the_same_number_from_anywhere():
    keys = seed_keys(3)
    whole = normal(keys, (10 * BLOCK + 37,))
    for block, size in ((0, 5), (3, BLOCK), (4, 2 * BLOCK + 1), (10, 37)):
        part = np.empty(size, np.float32)
        fill_normal(*keys, np.uint32(block), np.float32(1), part)
        np.testing.assert_array_equal(part, whole[block * BLOCK :][:size])


def test_is_box_and_muller():
    """The pairs of a block have a uniform angle and an exponential square."""
    values = normal(seed_keys(5), (1000, 2, BLOCK // 2)).astype(np.float64)
    x, y = values[:, 0].ravel(), values[:, 1].ravel()
    angles = np.sort(np.arctan2(y, x)) / (2 * math.pi) + 0.5
    uniform = np.sort(np.exp(-(x**2 + y**2) / 2))
    for found in (angles, uniform):
        assert np.abs(found - np.linspace(0, 1, len(found))).max() < 2.3 / math.sqrt(len(found))
