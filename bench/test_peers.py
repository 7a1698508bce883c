"""Ours and each installed peer on the networks of the table, grouped by network.

`python -m bench` shows the same contenders as tables, in interleaved rounds.
"""

import os

import pytest

from bench.contender import UnsupportedError
from bench.field import PEERS, TITLES, load, verify
from bench.networks import STEPS, Problem
from bench.peers import ours

MODULES, MISSING = load()
FOUND = {module.__name__.rpartition(".")[2]: module for module in MODULES} | {"ours": ours}
TITLE = TITLES | {"ours": "backproof"}


@pytest.fixture(autouse=True)
def one_core():
    """XLA has as many threads as there are cores to run on."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.filterwarnings("default")  # a peer's warnings are its own affair
@pytest.mark.parametrize("peer", ["ours", *PEERS])
@pytest.mark.parametrize("name", STEPS)
def test_step_beside_peers(benchmark, name, peer):
    if peer not in FOUND:
        pytest.skip(next(note for note in MISSING if note.startswith(TITLE[peer])))
    problem = Problem(STEPS[name])
    try:
        contender, *others = FOUND[peer].variants(problem)
    except UnsupportedError as reason:
        pytest.skip(str(reason))
    for each in (contender, *others):
        verify(each, problem)
    benchmark.group = f"step {name}: {problem.network.description}"
    benchmark.extra_info.update(
        contender=contender.name, dtype=problem.dtype, flop=problem.network.flop,
        variant=contender.variant, caveat=contender.caveat,
    )  # fmt: skip

    def step():
        contender.run()
        contender.wait()

    benchmark(step)
