"""Who takes part: finds the contenders that are installed, proves each equal, picks its best."""

import importlib
from dataclasses import dataclass, field
from types import ModuleType

import numpy as np

from bench.contender import Contender, UnsupportedError
from bench.networks import Network, Problem
from bench.peers import by_hand, ours
from bench.timing import Budget, interleave

PEERS = ("torch_eager", "torch_compiled", "jax_jit", "by_hand", "scikit")
NEEDS = {"torch_eager": "torch", "torch_compiled": "torch", "jax_jit": "jax", "scikit": "sklearn"}
CHECKED_LOOP = 3
"""Steps in the loops that are compared with the reference."""

CHOOSING = Budget(seconds=0.3, most=7, least=3)


@dataclass
class Field:
    """The contenders for one network, ours first, and what a reader must know of absent ones."""

    contenders: list[Contender]
    notes: list[str] = field(default_factory=list)


def load(only: tuple[str, ...] = PEERS) -> tuple[list[ModuleType], list[str]]:
    """The peers that can be imported, and a note for each that cannot."""
    found, notes = [], []
    for name in only:
        try:
            found.append(importlib.import_module(f"bench.peers.{name}"))
        except ModuleNotFoundError as error:
            notes.append(f"{name.replace('_', ' ')} is left out: {error.name} is not installed")
    return found, notes


def reference(problem: Problem, steps: int = 1) -> list[np.ndarray]:
    """The parameters after some steps, in float64, by NumPy."""
    exact = by_hand.ByHand(problem, np.float64)
    for _ in range(steps):
        exact.step()
    return exact.parameters()


def verify(contender: Contender, problem: Problem) -> None:
    """Let a fresh contender take its steps and compare how far every parameter has moved.

    Raises
    ------
    AssertionError, if it differs by more than float32's rounding, which many layers enlarge.
    """
    contender.run()
    contender.wait()
    start, got = problem.parameters, contender.parameters()
    expected = reference(problem, contender.steps)
    assert len(got) == len(expected), f"{contender.name} gives {len(got)} parameters"
    for i, (before, after, truth) in enumerate(zip(start, got, expected, strict=True)):
        moved = truth - before
        off = abs(after - truth).max()
        rounding = 4 * contender.steps * np.finfo(np.float32).eps * abs(before).max()
        allowed = 1e-3 * abs(moved).max() + rounding
        assert off <= allowed, (
            f"{contender.name} on {problem.network.name}: parameter {i} is off by {off:.2g}, "
            f"allowed {allowed:.2g} of a change of {abs(moved).max():.2g}"
        )


def fastest(variants: list[Contender], budget: Budget = CHOOSING) -> Contender:
    """The quickest of a library's own variants: a peer is measured at its best."""
    if len(variants) == 1:
        return variants[0]
    named = [Contender(str(i), v.run, v.parameters, v.steps, v.wait) for i, v in enumerate(variants)]
    taken = interleave(named, budget)
    return variants[min(range(len(variants)), key=lambda i: taken[str(i)].median)]


def enter(peer: ModuleType, problem: Problem) -> Contender:
    """One library's best contender for a problem, every variant proved equal first."""
    variants = peer.variants(problem)
    for variant in variants:
        verify(variant, problem)
    return fastest(variants)


def enter_loop(peer: ModuleType, problem: Problem, steps: int) -> Contender:
    """The same for `steps` steps in the library's own compiled loop."""
    for short in peer.loops(problem, CHECKED_LOOP):
        verify(short, problem)
    return fastest(peer.loops(problem, steps))


def assemble(network: Network, peers: list[ModuleType], loop_steps: int = 0) -> Field:
    """Ours and the peers that have such a network; with `loop_steps` their loops besides."""
    problem, result = Problem(network), Field([])
    for peer in (ours, *peers):
        entries = [lambda peer=peer: enter(peer, problem)]
        if loop_steps and hasattr(peer, "loops"):
            entries.append(lambda peer=peer: enter_loop(peer, problem, loop_steps))
        for make in entries:
            try:
                contender = make()
            except UnsupportedError as reason:
                result.notes.append(f"{network.name}: {reason}")
                continue
            result.contenders.append(contender)
            if contender.note:
                result.notes.append(f"{network.name}: {contender.name}: {contender.note}")
    return result
