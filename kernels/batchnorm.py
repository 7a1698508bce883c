"""Batch normalisation over the rows of x (Ioffe & Szegedy 2015, arXiv:1502.03167).

Training and inference are two ops: one takes its statistics from the batch, so that they
have a gradient; the other is given them. Variances are biased (divided by n). Sums run in
float64 for float32 arrays too, and the mean is taken out before anything is squared, so a
batch with mean 1e4 keeps its variance.
"""

import numpy as np

from kernels.boundary import Hyper, kernel
from kernels.jit import jit_as_written, jit_inlined
from kernels.op import Op
from kernels.simd import double_scratch
from kernels.views import flat, vector

EPS = Hyper(1e-8, low=0.0)
"""Added to the variance inside the root."""

BLOCK = 256
"""Columns at a time: their sums, on the stack, stay in the first cache."""

BLOCK_BYTES = BLOCK * 8


@kernel
def batchnorm_forward(x, gamma, beta, eps, y, mean, var, rstd):
    """y = gamma·(x - mean)·rstd + beta, with the mean and the variance of each column.

    x, y (n, m); gamma, beta, mean, var, rstd (m,); rstd = 1/√(var + eps).
    An empty batch has mean 0 and variance 0.
    """
    m = x.shape[1]
    average, variance = double_scratch(BLOCK_BYTES), double_scratch(BLOCK_BYTES)
    factor = double_scratch(BLOCK_BYTES)
    for first in range(0, m, BLOCK):
        columns = min(BLOCK, m - first)
        moments(x, first, vector(average, 0, columns), variance)
        for j in range(columns):
            scale = 1.0 / np.sqrt(variance[j] + eps)
            mean[first + j] = average[j]
            var[first + j] = variance[j]
            rstd[first + j] = scale
            factor[j] = gamma[first + j] * scale
        centre = vector(average, 0, columns)
        shift_and_scale(x, first, centre, factor, vector(beta, first, columns), y)


@jit_inlined
def shift_and_scale(x, first, centre, factor, shift, y):
    """y = (x - centre)·factor + shift in as many columns, from `first` on, as `centre` has."""
    n, m = x.shape
    columns = centre.size
    for i in range(n):
        at = i * m + first
        row, out = vector(flat(x), at, columns), vector(flat(y), at, columns)
        for j in range(columns):
            out[j] = (float(row[j]) - centre[j]) * factor[j] + shift[j]


@jit_inlined
def moments(x, first, average, variance):
    """Mean and biased variance of as many columns of x, from `first` on, as `average` has."""
    n, m = x.shape
    columns = average.size
    for j in range(columns):
        average[j] = variance[j] = 0.0
    for i in range(n):
        row = vector(flat(x), i * m + first, columns)
        for j in range(columns):
            average[j] += float(row[j])
    for j in range(columns):
        average[j] /= max(n, 1)
    for i in range(n):
        row = vector(flat(x), i * m + first, columns)
        for j in range(columns):
            centred = float(row[j]) - average[j]
            variance[j] += centred * centred
    for j in range(columns):
        variance[j] /= max(n, 1)


@jit_as_written
def centred_twice(x, mean, residual):
    """(x - mean) - residual: as x - (mean + residual) the residual would be rounded away."""
    return (x - mean) - residual


@kernel
def batchnorm_backward(dy, x, gamma, mean, rstd, dx, dgamma, dbeta):
    """dx = gamma·rstd·(dy - Σdy/n - x̂·Σ(dy·x̂)/n);  dgamma = Σ dy·x̂;  dbeta = Σ dy.

    x̂ = (x - mean)·rstd; sums run over the batch. The second term is the gradient through
    the mean, the third the one through the variance (arXiv:1502.03167, section 3).

    `mean` was rounded to the dtype of x, which shifts every x̂ of a column by the same
    amount; Σ(x - mean), zero but for that rounding, gives the shift back.
    """
    n, m = x.shape
    dy_sum, product_sum = double_scratch(BLOCK_BYTES), double_scratch(BLOCK_BYTES)
    residual = double_scratch(BLOCK_BYTES)
    rows = max(n, 1)
    for first in range(0, m, BLOCK):
        columns = min(BLOCK, m - first)
        column_mean = vector(mean, first, columns)
        backward_sums(dy, x, column_mean, first, dy_sum, product_sum, residual)
        for j in range(columns):
            scale = float(rstd[first + j])
            residual[j] /= rows
            xhat_sum = (product_sum[j] - residual[j] * dy_sum[j]) * scale
            dgamma[first + j] = xhat_sum
            dbeta[first + j] = dy_sum[j]
            dy_sum[j] /= rows
            product_sum[j] = xhat_sum / rows * scale  # what (x - mean) is multiplied by
        for i in range(n):
            at = i * m + first
            row, dy_row = vector(flat(x), at, columns), vector(flat(dy), at, columns)
            dx_row = vector(flat(dx), at, columns)
            factor, scale = vector(gamma, first, columns), vector(rstd, first, columns)
            for j in range(columns):
                centred = centred_twice(float(row[j]), float(column_mean[j]), residual[j])
                rest = (float(dy_row[j]) - dy_sum[j]) - centred * product_sum[j]
                dx_row[j] = float(factor[j]) * float(scale[j]) * rest


@jit_inlined
def backward_sums(dy, x, mean, first, dy_sum, product_sum, residual):
    """Over the rows of the columns from `first` on: Σ dy, Σ dy·(x - mean), Σ (x - mean)."""
    n, m = x.shape
    columns = mean.size
    for j in range(columns):
        dy_sum[j] = product_sum[j] = residual[j] = 0.0
    for i in range(n):
        at = i * m + first
        row, dy_row = vector(flat(x), at, columns), vector(flat(dy), at, columns)
        for j in range(columns):
            centred = float(row[j]) - mean[j]
            residual[j] += centred
            dy_sum[j] += float(dy_row[j])
            product_sum[j] += float(dy_row[j]) * centred


@kernel
def batchnorm_inference_forward(x, gamma, beta, mean, var, eps, y):
    """y = gamma·(x - mean)/√(var + eps) + beta, with the statistics given."""
    m = x.shape[1]
    factor = double_scratch(BLOCK_BYTES)
    for first in range(0, m, BLOCK):
        columns = min(BLOCK, m - first)
        for j in range(columns):
            factor[j] = gamma[first + j] * (1.0 / np.sqrt(float(var[first + j]) + eps))
        centre, shift = vector(mean, first, columns), vector(beta, first, columns)
        shift_and_scale(x, first, centre, factor, shift, y)


@kernel
def batchnorm_inference_backward(dy, x, gamma, mean, var, eps, dx, dgamma, dbeta):
    """dx = gamma·dy/√(var + eps);  dgamma = Σ dy·x̂;  dbeta = Σ dy."""
    n, m = x.shape
    dy_sum, product_sum = double_scratch(BLOCK_BYTES), double_scratch(BLOCK_BYTES)
    residual = double_scratch(BLOCK_BYTES)
    for first in range(0, m, BLOCK):
        columns = min(BLOCK, m - first)
        backward_sums(dy, x, vector(mean, first, columns), first, dy_sum, product_sum, residual)
        for j in range(columns):
            scale = 1.0 / np.sqrt(float(var[first + j]) + eps)
            dgamma[first + j] = product_sum[j] * scale
            dbeta[first + j] = dy_sum[j]
            residual[j] = gamma[first + j] * scale
        for i in range(n):
            at = i * m + first
            dy_row, dx_row = vector(flat(dy), at, columns), vector(flat(dx), at, columns)
            for j in range(columns):
                dx_row[j] = residual[j] * dy_row[j]


def batchnorm_reference(x, gamma, beta, eps):
    """The forward in NumPy, in the precision of x."""
    mean = x.sum(axis=0) / max(len(x), 1)
    var = ((x - mean) ** 2).sum(axis=0) / max(len(x), 1)
    rstd = 1 / np.sqrt(var + eps)
    return gamma * (x - mean) * rstd + beta, mean, var, rstd


batchnorm = Op(
    forward=batchnorm_forward,
    backward=batchnorm_backward,
    signature="(n,m),(m),(m)->(n,m),(m),(m),(m)",
    reference=batchnorm_reference,
    hyper={"eps": EPS},
)

batchnorm_inference = Op(
    forward=batchnorm_inference_forward,
    backward=batchnorm_inference_backward,
    signature="(n,m),(m),(m),(m),(m)->(n,m)",
    reference=lambda x, gamma, beta, mean, var, eps: gamma * (x - mean) / np.sqrt(var + eps) + beta,
    hyper={"eps": EPS},
    domain={"var": (0.1, 4.0)},
)
