"""Who takes part: finds the contenders that are installed, proves each equal, picks its best."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import ModuleType

import numpy as np

from bench.contender import Contender, UnsupportedError
from bench.networks import Network, Problem
from bench.peers import by_hand, ours
from bench.timing import Budget, interleave

TITLES = {
    "torch_eager": "PyTorch",
    "torch_compiled": "torch.compile",
    "jax_jit": "jax.jit",
    "by_hand": "NumPy",
    "scikit": "scikit-learn",
}
PEERS = tuple(TITLES)

CHECKED_LOOP = 3
"""Steps in the loops that are compared with the reference."""

TOLERANCE = 4e-3
"""In a wide network some unit is so near its kink that rounding decides on which side it falls.
One of 128 × 2048 moves the first layer's gradient by three thousandths. Most agree to 1e-5."""

CHOOSING = Budget(seconds=0.3, most=7, least=3)


@dataclass
class Field:
    """The contenders for one network, ours first, and what a reader must know of the rest."""

    contenders: list[Contender]
    notes: list[str] = field(default_factory=list)


def load(only: Sequence[str] = PEERS, threads: int = 1) -> tuple[list[ModuleType], list[str]]:
    """The peers that can be imported, held to so many threads; a note for each other one."""
    found, notes = [], []
    for name in only:
        try:
            peer = importlib.import_module(f"bench.peers.{name}")
        except ModuleNotFoundError as error:
            notes.append(f"{TITLES[name]} is left out: {error.name} is not installed")
            continue
        peer.limit(threads)
        found.append(peer)
    ours.limit(threads)
    return found, notes


@lru_cache(maxsize=4)
def reference(problem: Problem, steps: int) -> list[np.ndarray]:
    """The parameters after some steps, by NumPy in float64."""
    network = by_hand.ByHand(problem, np.float64)
    for _ in range(steps):
        network.step()
    return network.parameters()


class DifferentError(Exception):
    """A contender computes something else."""


def verify(contender: Contender, problem: Problem) -> None:
    """Let a fresh contender take its steps and compare how far every parameter has moved.

    What is right is what NumPy finds in float64. A weight matrix or vector, each as a whole,
    may be off by `TOLERANCE` of its change and by the spacing of float32 where it lies.

    Raises
    ------
    DifferentError, if it differs by more.
    """
    contender.run()
    contender.wait()
    got, expected = contender.parameters(), reference(problem, contender.steps)
    for i, (start, after, truth) in enumerate(zip(problem.parameters, got, expected, strict=True)):
        change, off = np.linalg.norm(truth - start), np.linalg.norm(after - truth)
        spacing = np.finfo(np.float32).eps * np.linalg.norm(start)
        allowed = TOLERANCE * change + contender.steps * spacing
        if not off <= allowed:
            raise DifferentError(
                f"{contender.name} on {problem.network.name}: parameter {i} is off by {off:.2g}, "
                f"allowed {allowed:.2g} of a change of {change:.2g}"
            )


def fastest(variants: Sequence[Contender], budget: Budget = CHOOSING) -> Contender:
    """The quickest of a library's own variants: a peer is measured at its best."""
    if len(variants) == 1:
        return variants[0]
    taken = interleave([replace(v, name=str(i)) for i, v in enumerate(variants)], budget)
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


def assemble(network: Network, peers: Sequence[ModuleType], loop_steps: int = 0) -> Field:
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
                result.notes.append(str(reason))
                continue
            except DifferentError as difference:
                if peer is ours:
                    raise
                result.notes.append(f"left out: {difference}")
                continue
            result.contenders.append(contender)
            if contender.caveat:
                result.notes.append(f"{contender.name}: {contender.caveat}")
    return result


def all_finite(contenders: Sequence[Contender]) -> bool:
    """Whether training left numbers: arithmetic on NaN is timed as something else."""
    return all(np.isfinite(p).all() for c in contenders for p in c.parameters())
