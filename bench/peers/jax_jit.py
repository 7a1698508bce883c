"""JAX: the step compiled by XLA, parameters donated; and many steps inside `lax.scan`."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from bench.contender import ALPHA, EPS, Contender
from bench.networks import Problem

NAME = "jax.jit"
LOOP_NAME = "jax lax.scan"

ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}


def normalize(z, gamma, beta, running):
    mean, var = z.mean(axis=0), z.var(axis=0)
    running = [ALPHA * old + (1 - ALPHA) * new for old, new in zip(running, (mean, var))]
    return gamma * (z - mean) * jax.lax.rsqrt(var + EPS) + beta, running


def loss(parameters, running, x, labels, activation):
    """The mean cross-entropy, and the running statistics after this batch."""
    weights, biases, gammas, betas = parameters
    after = []
    for i, (w, b) in enumerate(zip(weights, biases)):
        z = x @ w + b
        if i < len(gammas):
            z, now = normalize(z, gammas[i], betas[i], running[i])
            after.append(now)
        x = ACTIVATIONS[activation](z) if i < len(weights) - 1 else z
    chosen = jnp.take_along_axis(x, labels[:, None], axis=1)[:, 0]
    return (jax.nn.logsumexp(x, axis=1) - chosen).mean(), after


def one_step(state, x, labels, activation, lr):
    parameters, running = state
    slope = jax.grad(loss, has_aux=True)
    gradients, running = slope(parameters, running, x, labels, activation)
    return jax.tree.map(lambda p, g: p - lr * g, parameters, gradients), running


def initial(problem: Problem):
    groups = (problem.weights, problem.biases, problem.gammas, problem.betas)
    parameters = [[jnp.array(a) for a in group] for group in groups]
    running = [[jnp.zeros_like(g), jnp.ones_like(g)] for g in parameters[2]]
    return parameters, running


def contender(problem: Problem, name: str, train, steps: int) -> Contender:
    """`train` takes the state and the batch to the next state."""
    state = initial(problem)
    x, labels = jnp.array(problem.x), jnp.array(problem.labels.astype(np.int32))
    compiled = jax.jit(train, donate_argnums=0).lower(state, x, labels).compile()

    def run():
        nonlocal state
        state = compiled(state, x, labels)

    def parameters():
        return [np.array(a) for group in state[0] for a in group]

    return Contender(name, run, parameters, steps, lambda: jax.block_until_ready(state))


def variants(problem: Problem) -> list[Contender]:
    step = partial(one_step, activation=problem.network.activation, lr=problem.lr)
    return [contender(problem, NAME, step, 1)]


def loops(problem: Problem, steps: int) -> list[Contender]:
    step = partial(one_step, activation=problem.network.activation, lr=problem.lr)

    def train(state, x, labels):
        return jax.lax.scan(lambda s, _: (step(s, x, labels), None), state, length=steps)[0]

    return [contender(problem, LOOP_NAME, train, steps)]
