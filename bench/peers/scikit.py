"""scikit-learn: `MLPClassifier.partial_fit`, which checks its arguments at every step.

Two classes have one logistic output there in place of two logits: a slightly smaller problem,
with the same gradients in the hidden layers. Its one output stands for the difference of the
two logits, and half of the change of each.
"""

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier

from bench.contender import Contender, UnsupportedError
from bench.networks import Problem
from bench.peers import by_hand

NAME = "scikit-learn"


limit = by_hand.limit


def variants(problem: Problem) -> list[Contender]:
    network = problem.network
    if network.batchnorm:
        raise UnsupportedError("scikit-learn has no batchnorm")
    net = MLPClassifier(
        problem.hidden_widths, activation=network.activation, solver="sgd", alpha=0,
        batch_size=network.batch, learning_rate_init=problem.lr, momentum=0,
        nesterovs_momentum=False, shuffle=False,
    )  # fmt: skip
    x, labels = problem.x, problem.labels
    with sklearn.config_context(assume_finite=True):
        net.partial_fit(x, labels, classes=np.arange(network.widths[-1]))
    is_binary = network.widths[-1] == 2
    weights, biases = problem.weights, problem.biases
    start = [weights[-1], biases[-1]]
    if is_binary:
        weights[-1], biases[-1] = (np.diff(a, axis=-1) for a in start)
    for kept, initial in zip(net.coefs_ + net.intercepts_, weights + biases, strict=True):
        kept[...] = initial

    def run():
        # It need not look for NaN, as nobody else does.
        with sklearn.config_context(assume_finite=True):
            net.partial_fit(x, labels)

    def parameters():
        w, b = ([np.array(a) for a in group] for group in (net.coefs_, net.intercepts_))
        if is_binary:
            for arrays, before in ((w, start[0]), (b, start[1])):
                change = arrays[-1] - np.diff(before, axis=-1)
                arrays[-1] = before + np.concatenate([-change, change], axis=-1)
        return w + b

    caveat = "one logistic output in place of two logits" if is_binary else ""
    return [Contender(NAME, run, parameters, caveat=caveat)]
