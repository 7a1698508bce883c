"""JAX: the step compiled by XLA, parameters donated; and many steps inside `lax.scan`."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from bench.contender import ALPHA, EPS, Contender
from bench.networks import Problem

NAME = "jax.jit"
LOOP_NAME = "jax lax.scan"

ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}


def limit(threads: int) -> None:
    """XLA takes its threads from the process's affinity, when it is first used."""


def normalize(z, gamma, beta, running):
    mean, var = z.mean(axis=0), z.var(axis=0)
    running = [
        ALPHA * old + (1 - ALPHA) * new for old, new in zip(running, (mean, var), strict=True)
    ]
    return gamma * (z - mean) * jax.lax.rsqrt(var + EPS) + beta, running


def loss(parameters, running, x, labels, activation):
    """The mean cross-entropy, and the running statistics after this batch."""
    weights, biases, gammas, betas = parameters
    after = []
    for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
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


def contender(problem: Problem, name: str, steps: int, is_flat: bool) -> Contender:
    """A step, or a scan over several; the state as a tree of arrays or as one flat vector."""
    step = partial(one_step, activation=problem.network.activation, lr=problem.lr)
    state, unravel = initial(problem), lambda tree: tree
    if is_flat:
        state, unravel = ravel_pytree(state)
    pack = (lambda tree: ravel_pytree(tree)[0]) if is_flat else unravel

    def train(state, x, labels):
        tree = unravel(state)
        if steps == 1:
            return pack(step(tree, x, labels))
        return pack(jax.lax.scan(lambda t, _: (step(t, x, labels), None), tree, length=steps)[0])

    x, labels = jnp.array(problem.x), jnp.array(problem.labels.astype(np.int32))
    compiled = jax.jit(train, donate_argnums=0).lower(state, x, labels).compile()

    def run():
        nonlocal state
        state = compiled(state, x, labels)

    def parameters():
        return [np.array(a) for group in unravel(state)[0] for a in group]

    def wait():
        jax.block_until_ready(state)

    variant = "one vector" if is_flat else "tree of arrays"
    return Contender(name, run, parameters, steps, wait, variant=variant)


def variants(problem: Problem) -> list[Contender]:
    return [contender(problem, NAME, 1, is_flat) for is_flat in (False, True)]


def loops(problem: Problem, steps: int) -> list[Contender]:
    return [contender(problem, LOOP_NAME, steps, is_flat=False)]
