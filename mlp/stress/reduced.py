"""A reduced model of a network, in logarithms: of each layer one gain forward, one backward, and
one size of its weights, measured once the pass is over and the weights are updated (`gains.py`).

From there on a pass makes, layer by layer,

    size of the output = gain · size of the input
    gradient below     = gain · gradient
    |dW|               = size of the input · gradient,

an update makes the weights W' = W + lr·dW, and both gains of the layer grow as its weights do.
In a product of L weights the gradient of each is the product of the others, so that with a
gradient at the output that stays as large as it is the exponent of the largest value obeys
e' = (L - 1)·e + c: with three layers it doubles in every pass. With mse the gradient at the output
grows with the output. Outputs that are bounded, by their activation or by batchnorm, stay so:
growing gammas are not in the model, and what they make explode is foreseen late or not at all.
"""

import math

from kernels.jit import jit
from mlp.stress.gains import ALIGNED, BACKWARD, FORWARD, INPUT, NORMALISED, OUTPUT, SIZE
from mlp.stress.statistics import log2_sum


@jit
def foreseen(gains, ceilings, rows, gradient, log2_lr, is_squares, limit, number, last):
    """The pass in which the model reaches the limit, at most `last`, from the end of pass
    `number` on; 0 where it does not. `gains` goes along with the model.
    """
    while number < last:
        number += 1
        before = gains[-1, OUTPUT]
        largest = go_forward(gains, ceilings, math.log2(rows) / 2)
        if is_squares:
            gradient += gains[-1, OUTPUT] - before
            largest = max(largest, 2 * gains[-1, OUTPUT])
        if not max(largest, go_back(gains, gradient, log2_lr)) < limit:
            return number
    return 0


@jit
def go_forward(gains, ceilings, one):
    """Inputs and outputs of the next pass; returns the largest value."""
    size = gains[0, INPUT]
    largest = size
    for layer in range(gains.shape[0]):
        gain = gains[layer]
        gain[INPUT] = size
        if not gain[NORMALISED]:
            gain[OUTPUT] = log2_sum(min(size + gain[FORWARD], ceilings[layer]), one)
        size = gain[OUTPUT]
        largest = max(largest, size)
    return largest


@jit
def go_back(gains, gradient, log2_lr):
    """From the gradient at the output to each layer's, and its update; returns the largest."""
    largest = gradient
    for layer in range(gains.shape[0] - 1, -1, -1):
        gain = gains[layer]
        dw = gain[INPUT] + gradient + gain[ALIGNED]
        largest = max(largest, gradient, dw, gain[SIZE])
        gradient += gain[BACKWARD]
        if gain[SIZE] == -math.inf:
            continue  # weights of zero have no size that could grow
        growth = log2_sum(gain[SIZE], log2_lr + dw) - gain[SIZE]
        gain[SIZE] += growth
        if not gain[NORMALISED]:  # else the output, and so the gradient, does not depend on it
            gain[FORWARD] += growth
            gain[BACKWARD] += growth
    return largest
