"""A sweep on a dask cluster: here two processes of this machine, elsewhere any scheduler.

Killed and started again, it goes on where it was.
"""

import sys

from distributed import Client

from mlp.stress.grid import Grid
from mlp.stress.store import read
from mlp.stress.sweep import sweep


def main(path: str = "results.jsonl") -> None:
    """Which initialisation keeps which activation finite, ten layers deep."""
    grid = Grid(init=("he", "xavier", "normal:1"), activation=("relu", "tanh"), depth=(10,),
                width=(16,), lr=(0.01,), seeds=5, passes=10)  # fmt: skip
    with Client(
        processes=True, n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as client:
        print(sweep(grid, path, executor=client.get_executor()))
    _, lines = read(path)
    for init in grid.init:
        for activation in grid.activation:
            exploded = [
                line["result"]["overflow_pass"] is not None
                for line in lines
                if (line["cell"]["init"], line["cell"]["activation"]) == (init, activation)
            ]
            print(f"{init:9} {activation:5} {sum(exploded)} of {len(exploded)} overflow")


if __name__ == "__main__":
    main(*sys.argv[1:])
