"""Losses, one number per sample; whoever reduces them (mean or sum) passes the weights
of that reduction as `dloss`."""

import numpy as np

from kernels.boundary import kernel
from kernels.jit import jit
from kernels.op import Op


@jit
def softmax_row(z, p):
    """p = softmax(z); returns log Σ eᶻ. Both are shifted by max z, so that nothing overflows.

    Without classes the sum is empty, and its logarithm -inf.
    """
    if z.size == 0:
        return -z.dtype.type(np.inf)
    peak = z[0]
    for j in range(1, z.size):
        # A NaN stays the peak once it is one, and becomes it where it is met.
        peak = peak if z[j] <= peak or peak != peak else z[j]
    total = z.dtype.type(0)
    for j in range(z.size):
        p[j] = np.exp(z[j] - peak)
        total += p[j]
    for j in range(z.size):
        p[j] /= total
    return peak + np.log(total)


@kernel
def softmax_cross_entropy_forward(z, labels, loss, p):
    """loss = logsumexp(z) - z[label];  p = softmax(z).

    z, p (n, m) logits and probabilities; labels (n,) integer classes; loss (n,).
    """
    for i in range(z.shape[0]):
        loss[i] = softmax_row(z[i], p[i]) - z[i, labels[i]]


@kernel
def softmax_cross_entropy_backward(dloss, p, labels, dz):
    """dz = dloss·(p - onehot(label))."""
    for i in range(p.shape[0]):
        for j in range(p.shape[1]):
            dz[i, j] = dloss[i] * p[i, j]
        dz[i, labels[i]] -= dloss[i]


@kernel
def softmax_cross_entropy_soft_forward(z, targets, loss, p):
    """loss = logsumexp(z) - targets·z;  p = softmax(z).

    targets (n, m) are one-hot rows, distributions, or any weights. For rows that sum to
    one this is cross-entropy, -Σ targets·log p; for others it is the scalar whose
    gradient is p - targets. A weight of 0 leaves its logit out, even an infinite one.
    """
    for i in range(z.shape[0]):
        total = softmax_row(z[i], p[i])
        for j in range(z.shape[1]):
            if targets[i, j] != 0:
                total -= targets[i, j] * z[i, j]
        loss[i] = total


@kernel
def softmax_cross_entropy_soft_backward(dloss, p, targets, dz):
    """dz = dloss·(p - targets)."""
    for i in range(p.shape[0]):
        for j in range(p.shape[1]):
            dz[i, j] = dloss[i] * (p[i, j] - targets[i, j])


def softmax_reference(z):
    """softmax(z) and logsumexp(z) of each row, in NumPy."""
    if z.shape[1] == 0:
        return z, np.full(len(z), -np.inf, z.dtype)
    peak = z.max(axis=1, keepdims=True)
    exponentials = np.exp(z - peak)
    total = exponentials.sum(axis=1, keepdims=True)
    return exponentials / total, (peak + np.log(total))[:, 0]


def soft_reference(z, targets):
    p, logsumexp = softmax_reference(z)
    weighted = np.where(targets == 0, 0, targets * z)
    return logsumexp - weighted.sum(axis=1), p


def labels_reference(z, labels):
    p, logsumexp = softmax_reference(z)
    return logsumexp - z[np.arange(len(z)), labels], p


softmax_cross_entropy_soft = Op(
    forward=softmax_cross_entropy_soft_forward,
    backward=softmax_cross_entropy_soft_backward,
    signature="(n,m),(n,m)->(n),(n,m)",
    reference=soft_reference,
)

softmax_cross_entropy = Op(
    forward=softmax_cross_entropy_forward,
    backward=softmax_cross_entropy_backward,
    signature="(n,m),(n)->(n),(n,m)",
    reference=labels_reference,
    labels={"labels": "m"},
    variant=softmax_cross_entropy_soft,
)


@kernel
def mse_forward(y, targets, loss):
    """loss = Σⱼ (y - targets)²/m: the mean over the m outputs of a sample.

    y, targets (n, m); loss (n,). The mean of it over the batch is the mean of all squares.
    """
    for i in range(y.shape[0]):
        total = y.dtype.type(0)
        for j in range(y.shape[1]):
            difference = y[i, j] - targets[i, j]
            total += difference * difference
        loss[i] = total / y.dtype.type(max(y.shape[1], 1))


@kernel
def mse_backward(dloss, y, targets, dy):
    """dy = dloss·2·(y - targets)/m."""
    factor = y.dtype.type(2) / y.dtype.type(max(y.shape[1], 1))
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            dy[i, j] = dloss[i] * (factor * (y[i, j] - targets[i, j]))


mse = Op(
    forward=mse_forward,
    backward=mse_backward,
    signature="(n,m),(n,m)->(n)",
    reference=lambda y, targets: ((y - targets) ** 2).sum(axis=1) / max(y.shape[1], 1),
)
