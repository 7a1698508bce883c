"""Cells on executors: one after another here, in processes, or on whatever is handed in.

A process of our own that is lost costs the cell that it was at a second run, and no other one. An
executor that is handed in may break as a whole: what was done stays done, and what it had then
goes on in processes of our own.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from itertools import chain, islice
from typing import Generic, TypeVar

from mlp.stress.processes import submit, workers

Task = TypeVar("Task")
Result = TypeVar("Result")

WINDOW = 128
"""Tasks that wait in a foreign executor at a time: enough for its workers, however many, and
few enough that a large grid is never in memory."""


class Pool(Generic[Task, Result]):
    """Runs a function over tasks; the results come as they are done.

    Parameters
    ----------
    function : callable
        Of one task; found by its name in the workers.
    jobs : int
        Processes; with 1 all is done in this one.
    executor : Executor, optional
        Whose workers to use instead. It is not shut down. If it breaks, processes of our own
        go on.

    Attributes
    ----------
    lost : the tasks that were run again: whose process was lost, or which an executor that
        broke had taken, as it does not say whose worker it was.
    """

    def __init__(
        self, function: Callable[[Task], Result], jobs: int = 1, executor: Executor | None = None
    ):
        self.function, self.jobs, self.executor = function, jobs, executor
        self.lost: list[Task] = []

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result]]:
        """(task, result) of every task, in the order in which they are done."""
        left = iter(tasks)
        if self.executor is not None:
            had = yield from self._handed_in(self.executor, left)
            if not had:
                return
            self.lost += had
            left = chain(had, left)
        if self.executor is None and self.jobs == 1:
            for task in left:
                yield task, self.function(task)
        else:
            yield from self._in_processes(left)

    def _handed_in(
        self, executor: Executor, tasks: Iterator[Task]
    ) -> Generator[tuple[Task, Result], None, list[Task]]:
        """Keep an executor busy until the tasks end or it breaks; returns what it had then."""
        pending: dict[Future[Result], Task] = {}
        try:
            while True:
                for task in islice(tasks, WINDOW - len(pending)):
                    pending[submit(executor, self.function, task)] = task
                if not pending:
                    return []
                done = wait(pending, return_when=FIRST_COMPLETED).done
                broken = False
                for future in done:
                    if isinstance(future.exception(), BrokenExecutor):
                        broken = True
                    else:
                        yield pending.pop(future), future.result()
                if broken:
                    return list(pending.values())
        finally:
            for future in pending:
                future.cancel()

    def _in_processes(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Result]]:
        with workers(self.function, self.jobs) as every:
            while True:
                for worker in every:
                    worker.fill(tasks)
                pending = [future for worker in every for _, future in worker.queue]
                if not pending:
                    return
                wait(pending, return_when=FIRST_COMPLETED)
                for worker in every:
                    yield from worker.done(self.lost)
