"""softmax of few and of many rows, of few and of many classes: the same numbers, bit for bit."""

import mpmath
import numpy as np
import pytest

from kernels import softmax_cross_entropy_forward, softmax_cross_entropy_soft_forward
from kernels.softmax import BLOCK_ROWS, FEW_ROWS, NARROW

ROWS = (1, FEW_ROWS - 1, FEW_ROWS, BLOCK_ROWS, BLOCK_ROWS + 3, 2 * BLOCK_ROWS + FEW_ROWS)


def logits(n, m, dtype, rng):
    """Of all sizes, with ties, and with rows that are not finite."""
    z = (rng.standard_normal((n, m)) * 10 ** rng.uniform(-3, 2.5, (n, 1))).astype(dtype)
    z[::5] = np.round(z[::5])
    z[3::11, 0], z[4::11, -1], z[5::11] = np.nan, np.inf, -np.inf
    return z


@pytest.mark.parametrize("m", [1, 2, 3, NARROW, NARROW + 1, 40])
def test_a_row_is_the_same_alone_and_among_others(m, dtype, rng):
    z = logits(max(ROWS), m, dtype, rng)
    labels, targets = rng.integers(0, m, len(z)), rng.random(z.shape).astype(dtype)
    kinds = (softmax_cross_entropy_forward, labels), (softmax_cross_entropy_soft_forward, targets)
    for forward, y in kinds:
        alone = [forward(z[i : i + 1], y[i : i + 1]) for i in range(len(z))]
        losses = np.concatenate([loss for loss, _ in alone])
        shares = np.concatenate([p for _, p in alone])
        for n in ROWS:
            loss, p = forward(z[:n], y[:n])
            np.testing.assert_array_equal(loss, losses[:n])
            np.testing.assert_array_equal(p, shares[:n])


@pytest.mark.parametrize("m", [2, NARROW, NARROW + 1])
def test_many_rows_are_exact(m, dtype, rng):
    """Against 50 digits, at the labels of the likeliest class, where the loss is small.

    A difference of logits is rounded once: to half a unit of itself, which its exponential shows.
    """
    z = (rng.standard_normal((FEW_ROWS + 4, m)) * 8).astype(dtype)
    loss, p = softmax_cross_entropy_forward(z, z.argmax(axis=1))
    with mpmath.workdps(50):
        for row, found, shares in zip(z, loss, p, strict=True):
            terms = [mpmath.exp(mpmath.mpf(float(value))) for value in row]
            total = mpmath.fsum(terms)
            exact = mpmath.log(total) - mpmath.mpf(float(row.max()))
            allowed = (4 + float(row.max() - row.min()) / 2) * np.finfo(dtype).eps
            assert abs(float(found) - exact) <= allowed * exact
            for share, term in zip(shares, terms, strict=True):
                assert abs(float(share) - term / total) <= allowed * term / total
