"""backproof: a step is one call of `train_step`, or a turn of a compiled loop: of `fit`, or of one
in which somebody calls a step that is specialized for the network.
"""

import numpy as np
from numba import njit

from bench.contender import Contender
from bench.networks import Problem
from mlp import MLP, set_num_threads

NAME = "backproof"
LOOP_NAME = "backproof loop"


def limit(threads: int) -> None:
    """As many as the process started with, or fewer."""
    set_num_threads(threads)


def build(problem: Problem) -> MLP:
    first, *hiddens, last = problem.network.widths
    weights, biases = iter(problem.weights), iter(problem.biases)
    net = MLP(
        first,
        last,
        hiddens,
        problem.network.activation,
        weight_init_fn=lambda k, m: next(weights),
        bias_init_fn=lambda m: next(biases),
        lr=problem.lr,
        num_bn_layers=len(hiddens) if problem.network.batchnorm else 0,
        dtype=problem.dtype,
    )
    for layer, gamma, beta in zip(net.bn_layers, problem.gammas, problem.betas, strict=True):
        layer.gamma, layer.beta = gamma[None], beta[None]
    return net


def parameters(net: MLP) -> list[np.ndarray]:
    linear, scale = net.linear_layers, net.bn_layers
    views = [layer.W for layer in linear] + [layer.b[0] for layer in linear]
    views += [layer.gamma[0] for layer in scale] + [layer.beta[0] for layer in scale]
    return [np.array(view) for view in views]


def variants(problem: Problem) -> list[Contender]:
    net, x, labels = build(problem), problem.x, problem.labels
    return [Contender(NAME, lambda: net.train_step(x, labels), lambda: parameters(net))]


def loops(problem: Problem, steps: int) -> list[Contender]:
    return [loop_of_fit(problem, steps), loop_of_specialized_steps(problem, steps)]


def loop_of_fit(problem: Problem, steps: int) -> Contender:
    """One epoch whose batches are all the same, as the peers' loops have them."""
    net = build(problem)
    x, labels = np.tile(problem.x, (steps, 1)), np.tile(problem.labels, steps)

    def run():
        net.fit(x, labels, epochs=1, batch_size=len(problem.x), shuffle=False)

    return Contender(LOOP_NAME, run, lambda: parameters(net), steps, variant="fit")


def loop_of_specialized_steps(problem: Problem, steps: int) -> Contender:
    net = build(problem)
    train_step, params = net.jit_train_step(len(problem.x), specialized=True)
    x, labels = np.ascontiguousarray(problem.x), np.asarray(problem.labels, np.int64)

    @njit
    def train(params, x, labels):
        for _ in range(steps):
            train_step(params, x, labels)

    return Contender(
        LOOP_NAME, lambda: train(params, x, labels), lambda: parameters(net), steps,
        variant="jit_train_step(specialized=True)",
    )  # fmt: skip
