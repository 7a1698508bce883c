"""sweep: every cell of a grid, on any executor, into one file that a killed run goes on with."""

import os
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from mlp.arguments import whole
from mlp.progress import Progress, is_terminal
from mlp.stress.cell import Result, measure
from mlp.stress.executors import Pool
from mlp.stress.grid import LIMIT, Cell, Grid
from mlp.stress.store import Store


@dataclass(frozen=True)
class Swept:
    """What a sweep has done.

    Attributes
    ----------
    path : the file of the results.
    cells, found, run : cells of the grid; those that were in the file already; those run now.
    lost : keys of cells that were run again because a worker was lost.
    """

    path: Path
    cells: int
    found: int
    run: int
    lost: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.cells} cells in {self.path}: {self.run} run"
        if self.found:
            text += f", {self.found} found there"
        if self.lost:
            text += f"; {len(self.lost)} run again, for a worker was lost"
        return text


def sweep(
    grid: Grid,
    out: str | os.PathLike[str],
    *,
    jobs: int = 1,
    executor: Executor | None = None,
    limit: int = LIMIT,
    visible: bool | None = None,
) -> Swept:
    """Run every cell of the grid that is not in the file yet, and write it there.

    The bits of a cell depend on its description alone, not on who runs it, nor when.

    Parameters
    ----------
    grid : Grid
        Which cells.
    out : path
        Of the results, a JSONL file: new, empty, or one to go on with, of the same grid.
    jobs : int
        Processes of this machine; with 1 all is done in this process.
    executor : Executor, optional
        Whose workers to use instead: any of `concurrent.futures`, of dask.distributed
        (`Client.get_executor()`) or of mpi4py (`MPIPoolExecutor`).
    limit : int
        A grid of more cells is refused before anything is run or written.
    visible : bool, optional
        Whether to show how far it is; by default where stderr is a terminal.

    Raises
    ------
    ValueError
        Where the grid is too large, or the file is something else's; nothing is changed then.
    OSError
        Where the file cannot be written.
    WorkerLost
        Where one cell has lost its worker again and again.
    """
    if not isinstance(grid, Grid):
        raise TypeError(f"sweep: grid is {grid!r}, expected a Grid")
    jobs = whole("sweep: jobs", jobs, low=1)
    if executor is not None and not isinstance(executor, Executor):
        raise TypeError(f"sweep: executor is {executor!r}, expected a concurrent.futures.Executor")
    grid.check_count(whole("sweep: limit", limit, low=1))
    pool: Pool[Cell, Result] = Pool(measure, jobs, executor)
    show = is_terminal() if visible is None else visible
    with Store(out, grid) as store, Progress(grid.count, visible=show) as progress:
        found = len(store.done)
        progress.update(found, lambda: "starting")
        for cell, result in pool.run(missing(grid, store)):
            store.add(cell, result)
            progress.update(len(store.done), lambda: title(cell))  # noqa: B023, used at once
        lost = tuple(cell.key for cell in pool.lost)
        return Swept(store.path, grid.count, found, len(store.done) - found, lost)


def missing(grid: Grid, store: Store) -> Iterator[Cell]:
    """The cells that are not in the file; those that are on their way come once all the same."""
    found = frozenset(store.done)
    return (cell for cell in grid if cell.key not in found)


def title(cell: Cell) -> str:
    """A cell in a few words, for the progress bar."""
    parts = [cell.init, cell.activation, f"{cell.depth}×{cell.width}", f"lr {cell.lr:g}"]
    if cell.normalization != "none":
        parts.insert(2, cell.normalization)
    return " ".join(parts)
