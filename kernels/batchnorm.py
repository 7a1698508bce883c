"""Batch normalisation over the rows of x (Ioffe & Szegedy 2015, arXiv:1502.03167).

Training and inference are two ops: one takes its statistics from the batch, so that they
have a gradient; the other is given them. Variances are biased (divided by n). Sums run in
float64 for float32 arrays too, and the mean is taken out before anything is squared, so a
batch with mean 1e4 keeps its variance.
"""

import numpy as np

from kernels.boundary import Hyper, kernel
from kernels.jit import jit_as_written
from kernels.op import Op

EPS = Hyper(1e-8, low=0.0)
"""Added to the variance inside the root."""


@kernel
def batchnorm_forward(x, gamma, beta, eps, y, mean, var, rstd):
    """y = gamma·(x - mean)·rstd + beta, with the mean and the variance of each column.

    x, y (n, m); gamma, beta, mean, var, rstd (m,); rstd = 1/√(var + eps).
    An empty batch has mean 0 and variance 0.
    """
    n, m = x.shape
    for j in range(m):
        total = 0.0
        for i in range(n):
            total += float(x[i, j])
        average = total / max(n, 1)
        squares = 0.0
        for i in range(n):
            centred = float(x[i, j]) - average
            squares += centred * centred
        variance = squares / max(n, 1)
        scale = 1.0 / np.sqrt(variance + eps)
        for i in range(n):
            y[i, j] = gamma[j] * ((float(x[i, j]) - average) * scale) + beta[j]
        mean[j] = average
        var[j] = variance
        rstd[j] = scale


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
    for j in range(m):
        dy_sum = 0.0
        product_sum = 0.0
        residual = 0.0
        for i in range(n):
            centred = float(x[i, j]) - mean[j]
            residual += centred
            dy_sum += float(dy[i, j])
            product_sum += float(dy[i, j]) * centred
        residual /= max(n, 1)
        xhat_sum = (product_sum - residual * dy_sum) * rstd[j]
        dgamma[j] = xhat_sum
        dbeta[j] = dy_sum
        dy_mean = dy_sum / max(n, 1)
        xhat_mean = xhat_sum / max(n, 1)
        for i in range(n):
            xhat = centred_twice(float(x[i, j]), float(mean[j]), residual) * rstd[j]
            dx[i, j] = gamma[j] * rstd[j] * (dy[i, j] - dy_mean - xhat * xhat_mean)


@kernel
def batchnorm_inference_forward(x, gamma, beta, mean, var, eps, y):
    """y = gamma·(x - mean)/√(var + eps) + beta, with the statistics given."""
    n, m = x.shape
    for j in range(m):
        scale = 1.0 / np.sqrt(float(var[j]) + eps)
        for i in range(n):
            y[i, j] = gamma[j] * ((float(x[i, j]) - mean[j]) * scale) + beta[j]


@kernel
def batchnorm_inference_backward(dy, x, gamma, mean, var, eps, dx, dgamma, dbeta):
    """dx = gamma·dy/√(var + eps);  dgamma = Σ dy·x̂;  dbeta = Σ dy."""
    n, m = x.shape
    for j in range(m):
        scale = 1.0 / np.sqrt(float(var[j]) + eps)
        xhat_sum = 0.0
        dy_sum = 0.0
        for i in range(n):
            xhat_sum += float(dy[i, j]) * ((float(x[i, j]) - mean[j]) * scale)
            dy_sum += float(dy[i, j])
            dx[i, j] = gamma[j] * scale * dy[i, j]
        dgamma[j] = xhat_sum
        dbeta[j] = dy_sum


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
