"""Where we win and where we do not: sixty networks, width by batch."""

from bench.field import assemble, load
from bench.networks import grid
from bench.progress import say
from bench.rows import Row
from bench.steps import row_of
from bench.timing import Budget

PEERS = ("torch_eager", "jax_jit", "by_hand")
"""The peers whose fixed costs allow sixty networks: compiling each with torch.compile would
take longer than everything else, and scikit-learn has not been the best anywhere."""


def measure(budget: Budget, most: int | None = None) -> list[Row]:
    """A row for each point, or for the first `most` of them."""
    modules, notes = load(PEERS)
    rows = []
    for network in grid()[:most]:
        say(f"grid: width {network.widths[0]}, {network.description}")
        field = assemble(network, modules)
        field.notes += notes
        rows.append(row_of(network, field, budget, group="grid"))
    return rows
