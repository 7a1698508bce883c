"""Losses, one number per sample; whoever reduces them (mean or sum) passes the weights
of that reduction as `dloss`.
"""

import numpy as np

from kernels.boundary import kernel_inlined
from kernels.op import Op
from kernels.softmax import difference, end_of_block, softmax_of_differences, subtract_peak


@kernel_inlined
def softmax_cross_entropy_forward(z, labels, loss, p):
    """loss = logsumexp(z) - z[label];  p = softmax(z).

    z, p (n, m) logits and probabilities; labels (n,) integer classes; loss (n,).
    """
    first = np.int64(0)  # of the type that it has later: one compilation of what it is passed to
    while first < z.shape[0]:
        last = end_of_block(first, z.shape[0], z.shape[1])
        for i in range(first, last):
            peak = subtract_peak(z, i, p)
            loss[i] = difference(peak, z[i, labels[i]])
        softmax_of_differences(p, first, last, loss)
        first = last


@kernel_inlined
def softmax_cross_entropy_backward(dloss, p, labels, dz):
    """dz = dloss·(p - onehot(label))."""
    for i in range(p.shape[0]):
        for j in range(p.shape[1]):
            dz[i, j] = dloss[i] * p[i, j]
        dz[i, labels[i]] -= dloss[i]


@kernel_inlined
def softmax_cross_entropy_soft_forward(z, targets, loss, p):
    """loss = logsumexp(z) - targets·z;  p = softmax(z).

    targets (n, m) are one-hot rows, distributions, or any weights. For rows that sum to
    one this is cross-entropy, -Σ targets·log p; for others it is the scalar whose
    gradient is p - targets. A weight of 0 leaves its logit out, even an infinite one.
    """
    zero, one = z.dtype.type(0), z.dtype.type(1)
    first = np.int64(0)  # of the type that it has later: one compilation of what it is passed to
    while first < z.shape[0]:
        last = end_of_block(first, z.shape[0], z.shape[1])
        for i in range(first, last):
            peak = subtract_peak(z, i, p)
            # max z - Σ t·z = Σ t·(max z - z) + max z·(1 - Σ t)
            weight, distance = zero, zero
            for j in range(z.shape[1]):
                t = targets[i, j]
                weight += t
                distance += zero if t == zero else t * -p[i, j]
            rest = one - weight
            loss[i] = distance + (zero if rest == zero else peak * rest)
        softmax_of_differences(p, first, last, loss)
        first = last


@kernel_inlined
def softmax_cross_entropy_soft_backward(dloss, p, targets, dz):
    """dz = dloss·(p - targets)."""
    for i in range(p.shape[0]):
        for j in range(p.shape[1]):
            dz[i, j] = dloss[i] * (p[i, j] - targets[i, j])


def softmax_reference(z):
    """softmax(z), the maximum and log Σ e^(z - max) of each row, in NumPy."""
    if z.shape[1] == 0:
        return z, np.full(len(z), -np.inf, z.dtype), np.zeros(len(z), z.dtype)
    peak = z.max(axis=1)
    p = np.exp(z - peak[:, None])
    others = np.where(np.arange(z.shape[1]) == z.argmax(axis=1)[:, None], 0, p).sum(axis=1)
    total = p.sum(axis=1)
    return p / total[:, None], peak, np.log1p(others) + 0 * total  # NaN, where the sum is


def soft_reference(z, targets):
    p, peak, log_sum = softmax_reference(z)
    distance = np.where(targets == 0, 0, targets * (peak[:, None] - z)).sum(axis=1)
    rest = 1 - targets.sum(axis=1)
    return distance + log_sum + np.where(rest == 0, 0, peak * rest), p


def labels_reference(z, labels):
    p, peak, log_sum = softmax_reference(z)
    return (peak - z[np.arange(len(z)), labels]) + log_sum, p


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


@kernel_inlined
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


@kernel_inlined
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
