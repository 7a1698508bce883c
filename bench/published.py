"""Figures that others have published for small networks, beside ours on one core.

Both are SimpleChains.jl's (https://julialang.org/blog/2022/04/simple-chains, and the README of
https://github.com/PumasAI/SimpleChains.jl). The machines differ: a figure to beat, no duel.
"""

import numpy as np
from numba import njit

from bench.networks import layers
from bench.progress import say
from bench.rows import OURS, Row
from bench.timing import Budget, interleave, timed
from mlp import MLP

EPOCH_SECONDS = 0.6e-3
GRADIENT_SECONDS = 6e-6
ANSWER_SECONDS = 1e-6

ANSWERS = 10_000
"""In one call of the compiled loop."""

SAMPLES = 10_000


def epoch(budget: Budget) -> Row:
    """An epoch of 4-32-16-4, tanh, float32, Adam, the full batch of 10,000."""
    widths = (4, 32, 16, 4)
    row = Row(
        case="epoch with Adam", times={}, goal=EPOCH_SECONDS, group="published",
        description=f"{layers(widths)}, batch {SAMPLES}, tanh, Adam, float32; "
        "SimpleChains.jl 41 µs and PyTorch 1.5 ms on 18 cores",
    )  # fmt: skip
    draw = np.random.default_rng(0)
    x = draw.standard_normal((SAMPLES, 4)).astype(np.float32)
    targets = draw.standard_normal((SAMPLES, 4)).astype(np.float32)
    net = MLP(4, 4, [32, 16], "tanh", criterion="mse", dtype=np.float32, lr=1e-3, optimizer="adam")
    row.times = interleave([timed(OURS, lambda: net.train_step(x, targets))], budget)
    return row


def gradient(budget: Budget) -> Row:
    """Loss and gradient of 24-8-2, tanh, float64, 200 samples, called from Python."""
    draw = np.random.default_rng(0)
    net = MLP(24, 2, [8], "tanh")
    x, labels = draw.standard_normal((200, 24)), draw.integers(0, 2, 200)

    def value_and_gradient():
        net.forward(x)
        net.backward(labels)

    entrants = [
        timed(OURS, value_and_gradient),
        timed(OURS + " train_step", lambda: net.train_step(x, labels)),
        timed(
            OURS + " fit",
            lambda: net.fit(x, labels, epochs=100, batch_size=200, shuffle=False),
            100,
        ),
    ]
    return Row(
        case="value and gradient", times=interleave(entrants, budget), goal=GRADIENT_SECONDS,
        description="24-8-2, batch 200, tanh, float64; SimpleChains.jl 5.66 µs",
        group="published",
        notes=["train_step and fit, which update the parameters too, avoid forward's copies"],
    )  # fmt: skip


def policy(budget: Budget) -> Row:
    """An answer of 4-64-64-2, tanh, float32, to one state, in the user's own compiled loop."""
    net = MLP(4, 2, [64, 64], "tanh", dtype=np.float32)
    forward, params = net.jit()

    @njit
    def play(params, state, output):
        for _ in range(ANSWERS):
            forward(params, state, output)

    state, output = np.ones(4, np.float32), np.empty(2, np.float32)
    entrants = [timed(OURS, lambda: play(params, state, output), ANSWERS)]
    return Row(
        case="answer of a policy", times=interleave(entrants, budget), goal=ANSWER_SECONDS,
        description="4-64-64-2, batch 1, tanh, float32, net.jit() in a compiled loop; our own goal",
        group="published",
    )  # fmt: skip


def measure(budget: Budget) -> list[Row]:
    say("published figures")
    return [epoch(budget), gradient(budget), policy(budget)]
