"""One layer of a random network, compiled: small batches through one weight matrix in the cache."""

import math

import numpy as np

from kernels.jit import jit
from kernels.views import flat
from mlp.stress.statistics import log2_statistics

FAR = 60.0
"""Values whose largest is beyond 2^±FAR are brought back to 2^±NEAR: there every activation is
its own asymptote, or its own tangent at 0, to the last bit of float32."""

NEAR = 40.0


@jit
def product(x, w, bias, scale, z):
    """z = scale·(x·w) + bias for a few rows; w (k, m) is read once for each."""
    for i in range(x.shape[0]):
        row = z[i]
        for j in range(row.size):
            row[j] = 0
        for k in range(0, w.shape[0] - 3, 4):
            a, b, c, d = x[i, k], x[i, k + 1], x[i, k + 2], x[i, k + 3]
            for j in range(row.size):
                row[j] += (a * w[k, j] + b * w[k + 1, j]) + (c * w[k + 2, j] + d * w[k + 3, j])
        for k in range(w.shape[0] - w.shape[0] % 4, w.shape[0]):
            for j in range(row.size):
                row[j] += x[i, k] * w[k, j]
        for j in range(row.size):
            row[j] = scale * row[j] + bias[j]


@jit
def product_transposed(dz, w, scale, dx):
    """dx = scale·(dz·wᵀ)."""
    for i in range(dz.shape[0]):
        for k in range(w.shape[0]):
            total = np.float32(0)
            for j in range(w.shape[1]):
                total += dz[i, j] * w[k, j]
            dx[i, k] = scale * total


@jit
def log2_mean_square(values):
    """Of all entries."""
    found = np.empty(3)
    log2_statistics(flat(values), found)
    return found[2]


@jit
def shift_to_one(values):
    """Divide by 2ᵏ such that the largest is between 1 and 2; returns k."""
    found = np.empty(3)
    log2_statistics(flat(values), found)
    return shift(values, math.floor(found[1])) if math.isfinite(found[1]) else 0.0


@jit
def shift_into_range(values):
    """Divide by 2ᵏ such that the largest is neither beyond 2^FAR nor below 2^-FAR; returns k."""
    found = np.empty(3)
    log2_statistics(flat(values), found)
    largest = math.floor(found[1]) if math.isfinite(found[1]) else 0.0
    if abs(largest) <= FAR:
        return 0.0
    return shift(values, largest - math.copysign(NEAR, largest))


@jit
def shift(values, k):
    """Divide by 2ᵏ, in two steps for k beyond the type's exponents; returns k."""
    first, second = np.float32(2.0 ** -(k // 2)), np.float32(2.0 ** -(k - k // 2))
    every = flat(values)
    for i in range(every.size):
        every[i] = (every[i] * first) * second
    return k
