"""Batch normalisation over the rows of x (Ioffe & Szegedy 2015, arXiv:1502.03167).

Training and inference are two ops: one takes its statistics from the batch, so that they
have a gradient; the other is given them. Variances are biased (divided by n). Sums run in
float64 for float32 arrays too (by np.float64: in compiled code float leaves a float32 as it
is), and a number near the mean is taken out before anything is squared, so a batch with mean
1e4 keeps its variance.
"""

import numpy as np

from kernels.bits import larger
from kernels.boundary import Hyper, kernel_inlined
from kernels.jit import jit_as_written, jit_inlined
from kernels.op import Op
from kernels.simd import double_scratch, scratch
from kernels.views import flat, vector

EPS = Hyper(1e-8, low=0.0)
"""Added to the variance inside the root."""

BLOCK = 512
"""Columns at a time: their sums, on the stack, stay in the first cache."""

BLOCK_BYTES = BLOCK * 8

FAR = 16.0
"""How many times the variance the square of an origin's distance from the mean may be. Of what is
squared then at most four bits cancel, and of ordinary columns hardly one in a hundred million has
an origin, a median of three, that is farther away."""


@kernel_inlined
def batchnorm_forward(x, gamma, beta, eps, y, mean, var, rstd):
    """y = gamma·(x - mean)·rstd + beta, with the mean and the variance of each column.

    x, y (n, m); gamma, beta, mean, var, rstd (m,); rstd = 1/√(var + eps).
    An empty batch has mean 0 and variance 0.
    """
    m = x.shape[1]
    origin = scratch(x, BLOCK_BYTES)
    average, variance = double_scratch(BLOCK_BYTES), double_scratch(BLOCK_BYTES)
    centre, factor = scratch(x, BLOCK_BYTES), scratch(x, BLOCK_BYTES)
    shift = scratch(x, BLOCK_BYTES)
    for first in range(0, m, BLOCK):
        columns = min(BLOCK, m - first)
        moments(x, first, columns, origin, average, variance)
        for j in range(columns):
            scale = 1.0 / np.sqrt(variance[j] + eps)
            mean[first + j] = average[j]
            var[first + j] = variance[j]
            rstd[first + j] = scale
            centre[j] = average[j]
            slope, rest = np.float64(gamma[first + j]) * scale, average[j] - np.float64(centre[j])
            factor[j] = slope
            shift[j] = np.float64(beta[first + j]) - (0.0 if rest == 0.0 else rest * slope)
        shift_and_scale(x, first, columns, centre, factor, shift, y)


@jit_inlined
def shift_and_scale(x, first, columns, centre, factor, shift, y):
    """y = (x - centre)·factor + shift in so many columns, from `first` on.

    In the precision of x: the difference is exact for an x near the centre, and `shift` makes up
    for what the rounding of the centre took.
    """
    n, m = x.shape
    for i in range(n):
        at = i * m + first
        row, out = vector(flat(x), at, columns), vector(flat(y), at, columns)
        for j in range(columns):
            out[j] = centred(row[j], centre[j]) * factor[j] + shift[j]


@jit_inlined
def moments(x, first, columns, origin, average, variance):
    """Mean and biased variance of so many columns of x, from `first` on.

    From the deviations from an origin, one of the column's numbers, in one pass. Where that turns
    out to be exceptional, so that its square cancels, once more from the mean that was found.
    """
    choose_origin(x, first, columns, origin)
    for look in range(2):
        if look == 1 and not move_far_origins(columns, origin, average, variance):
            break
        moments_about(x, first, columns, origin, average, variance)
    for j in range(columns):
        average[j] += origin[j]


@jit_inlined
def moments_about(x, first, columns, origin, average, variance):
    """With d = x - origin: average = Σd/n and variance = Σd²/n - (Σd/n)²."""
    n, m = x.shape
    for j in range(columns):
        average[j] = variance[j] = 0.0
    for i in range(0, n, 2):  # after the last row the origin: its d is 0
        above, below = vector(flat(x), i * m + first, columns), vector(origin, 0, columns)
        if i + 1 < n:
            below = vector(flat(x), (i + 1) * m + first, columns)
        for j in range(columns):
            o = np.float64(origin[j])
            d, e = centred(np.float64(above[j]), o), centred(np.float64(below[j]), o)
            average[j] += d + e
            variance[j] += d * d + e * e
    for j in range(columns):
        average[j] /= max(n, 1)
        variance[j] = larger(variance[j] / max(n, 1) - average[j] * average[j], 0.0)


@jit_inlined
def move_far_origins(columns, origin, average, variance):
    """Put those to the mean that lie FAR from it; whether there were any.

    Each column is judged by itself, so its bits do not depend on its neighbours.
    """
    far = 0
    for j in range(columns):
        far += average[j] * average[j] > FAR * variance[j]
    if far > 0:
        for j in range(columns):
            if average[j] * average[j] > FAR * variance[j]:
                origin[j] += average[j]
    return far > 0


@jit_inlined
def choose_origin(x, first, columns, origin):
    """The median of the first, the middle and the last row, so that no one row can spoil it.

    One that is not finite would make NaN of all, so then it is 0, as it is without rows.
    """
    n, m = x.shape
    for j in range(columns):
        origin[j] = 0
    if n == 0:
        return
    top = vector(flat(x), first, columns)
    middle = vector(flat(x), n // 2 * m + first, columns)
    bottom = vector(flat(x), (n - 1) * m + first, columns)
    for j in range(columns):
        a, b, c = top[j], middle[j], bottom[j]
        low, high = (a, b) if a < b else (b, a)
        o = low if c < low else (high if c > high else c)
        origin[j] = o if abs(o) < np.inf else x.dtype.type(0)


@jit_as_written
def centred(x, origin):
    """x - origin as it stands: from a sum of such differences the origin must not be factored."""
    return x - origin


@kernel_inlined
def batchnorm_backward(dy, x, gamma, mean, rstd, dx, dgamma, dbeta):
    """dx = gamma·rstd·(dy - Σdy/n - x̂·Σ(dy·x̂)/n);  dgamma = Σ dy·x̂;  dbeta = Σ dy.

    x̂ = (x - mean)·rstd; sums run over the batch. The second term is the gradient through
    the mean, the third the one through the variance (arXiv:1502.03167, section 3).

    `mean` was rounded to the dtype of x, which shifts every x̂ of a column by the same
    amount; Σ(x - mean), zero but for that rounding, gives the shift back.
    """
    n, m = x.shape
    dy_sum, product_sum = double_scratch(BLOCK_BYTES), double_scratch(BLOCK_BYTES)
    residual, zeros = double_scratch(BLOCK_BYTES), scratch(x, BLOCK_BYTES)
    dy_centre, factor = scratch(x, BLOCK_BYTES), scratch(x, BLOCK_BYTES)
    slope, shift = scratch(x, BLOCK_BYTES), scratch(x, BLOCK_BYTES)
    rows = max(n, 1)
    for first in range(0, m, BLOCK):
        columns = min(BLOCK, m - first)
        centre = vector(mean, first, columns)
        backward_sums(dy, x, centre, first, zeros, dy_sum, product_sum, residual)
        for j in range(columns):
            scale = np.float64(rstd[first + j])
            residual[j] /= rows
            xhat_sum = (product_sum[j] - residual[j] * dy_sum[j]) * scale
            dgamma[first + j] = xhat_sum
            dbeta[first + j] = dy_sum[j]
            dy_sum[j] /= rows
            # dx = factor·((dy - dy_centre) - (slope·(x - centre) + shift)): shift makes up for
            # what the rounding of both centres took.
            dy_centre[j] = dy_sum[j]
            factor[j] = np.float64(gamma[first + j]) * scale
            slope[j] = xhat_sum / rows * scale
            rest = dy_sum[j] - np.float64(dy_centre[j])
            shift[j] = rest - np.float64(slope[j]) * residual[j]
        for i in range(n):
            at = i * m + first
            row, dy_row = vector(flat(x), at, columns), vector(flat(dy), at, columns)
            dx_row = vector(flat(dx), at, columns)
            for j in range(columns):
                away = slope[j] * centred(row[j], centre[j]) + shift[j]
                dx_row[j] = factor[j] * (centred(dy_row[j], dy_centre[j]) - away)


@jit_inlined
def backward_sums(dy, x, mean, first, zeros, dy_sum, product_sum, residual):
    """Over the rows of the columns from `first` on: Σ dy, Σ dy·(x - mean), Σ (x - mean).

    In float64, where a product of two float32 is exact.
    """
    n, m = x.shape
    columns = mean.size
    for j in range(columns):
        dy_sum[j] = product_sum[j] = residual[j] = 0.0
        zeros[j] = 0.0
    for i in range(0, n, 2):  # after the last row one of which all terms are 0
        at = i * m + first
        above, dy_above = vector(flat(x), at, columns), vector(flat(dy), at, columns)
        below, dy_below = mean, vector(zeros, 0, columns)
        if i + 1 < n:
            below, dy_below = vector(flat(x), at + m, columns), vector(flat(dy), at + m, columns)
        for j in range(columns):
            centre, e, f = np.float64(mean[j]), np.float64(dy_above[j]), np.float64(dy_below[j])
            c, d = centred(np.float64(above[j]), centre), centred(np.float64(below[j]), centre)
            residual[j] += c + d
            dy_sum[j] += e + f
            product_sum[j] += e * c + f * d


@kernel_inlined
def batchnorm_inference_forward(x, gamma, beta, mean, var, eps, y):
    """y = gamma·(x - mean)/√(var + eps) + beta, with the statistics given."""
    m = x.shape[1]
    factor = scratch(x, BLOCK_BYTES)
    for first in range(0, m, BLOCK):
        columns = min(BLOCK, m - first)
        for j in range(columns):
            factor[j] = gamma[first + j] * (1.0 / np.sqrt(np.float64(var[first + j]) + eps))
        centre, shift = vector(mean, first, columns), vector(beta, first, columns)
        shift_and_scale(x, first, columns, centre, factor, shift, y)


@kernel_inlined
def batchnorm_inference_backward(dy, x, gamma, mean, var, eps, dx, dgamma, dbeta):
    """dx = gamma·dy/√(var + eps);  dgamma = Σ dy·x̂;  dbeta = Σ dy."""
    n, m = x.shape
    dy_sum, product_sum = double_scratch(BLOCK_BYTES), double_scratch(BLOCK_BYTES)
    residual, zeros = double_scratch(BLOCK_BYTES), scratch(x, BLOCK_BYTES)
    factor = scratch(x, BLOCK_BYTES)
    for first in range(0, m, BLOCK):
        columns = min(BLOCK, m - first)
        centre = vector(mean, first, columns)
        backward_sums(dy, x, centre, first, zeros, dy_sum, product_sum, residual)
        for j in range(columns):
            scale = 1.0 / np.sqrt(np.float64(var[first + j]) + eps)
            dgamma[first + j] = product_sum[j] * scale
            dbeta[first + j] = dy_sum[j]
            factor[j] = gamma[first + j] * scale
        for i in range(n):
            at = i * m + first
            dy_row, dx_row = vector(flat(dy), at, columns), vector(flat(dx), at, columns)
            for j in range(columns):
                dx_row[j] = factor[j] * dy_row[j]


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
