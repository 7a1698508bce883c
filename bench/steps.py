"""Training steps of the networks, ours beside every peer's: the table that decides."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bench.contender import Contender
from bench.field import Field, all_finite, assemble, load
from bench.networks import LOOPS, STEPS, Network, layers
from bench.peers import ours
from bench.progress import say
from bench.rows import OURS, Row
from bench.timing import Budget, interleave
from mlp import set_num_threads

LOOP_STEPS = 1000
"""Steps in one call of a compiled loop."""

ONE_THREAD = OURS + ", 1 thread"


def row_of(network: Network, field: Field, budget: Budget, **more) -> Row:
    """Time the field in turns."""
    times = interleave(field.contenders, budget)
    notes = list(field.notes)
    if not all_finite(field.contenders):
        notes.append("training left numbers that are not finite")
    variants = {c.name: c.variant for c in field.contenders if c.variant}
    details = {"case": network.name, "goal": network.goal, "description": network.description}
    details |= {"notes": notes, "variants": variants, "flop": network.flop, "group": "steps"}
    return Row(times=times, **(details | more))


def measure(
    budget: Budget, threads: int = 1, names: Iterable[str] = STEPS, peers: Sequence[str] = ()
) -> list[Row]:
    """A row for each network; for more than one thread, ours with one thread besides."""
    modules, notes = load(peers, threads) if peers else load(threads=threads)
    rows = []
    for name in names:
        network = STEPS[name]
        say(f"steps: {network.name}, {network.description}")
        field = assemble(network, modules)
        field.notes += notes
        if threads > 1:
            field.contenders = [*with_threads(field.contenders[0], threads), *field.contenders[1:]]
        rows.append(row_of(network, field, budget))
    return rows


def with_threads(mine: Contender, threads: int) -> list[Contender]:
    """Ours twice: with all threads, and with one."""

    def use(count):
        return lambda: set_num_threads(count)

    return [replace(mine, prepare=use(threads)), replace(mine, name=ONE_THREAD, prepare=use(1))]


def measure_loops(
    budget: Budget, names: Iterable[str] = LOOPS, steps: int = LOOP_STEPS
) -> list[Row]:
    """Steps inside the compiled loop, beside each peer's step and jax's own compiled loop."""
    modules, notes = load()
    rows = []
    for name in names:
        network, goal = STEPS[name], LOOPS[name]
        say(f"loop: {network.name}, {layers(network.widths)}")
        field = assemble(network, modules, loop_steps=steps)
        field.notes += notes
        rows.append(
            row_of(
                network, field, budget, case=f"{name} in the loop", ours=ours.LOOP_NAME,
                goal=goal, group="loops",
            )
        )  # fmt: skip
    return rows
