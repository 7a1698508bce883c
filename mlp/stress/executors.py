"""Cells on executors: one after another here, in processes, or on whatever is handed in.

A worker that is lost takes a whole process pool down. What was done stays done; the tasks that
were in the pool are run again in a new one, one at a time, so that the one that kills its
worker, if it does so again, is known by name.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from itertools import islice
from multiprocessing.connection import wait as wait_for
from typing import Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

WINDOW = 128
"""Tasks that wait in a foreign executor at a time: enough for its workers, however many, and
few enough that a large grid is never in memory."""

ATTEMPTS = 3
"""How often a task may lose its worker before it is given up."""


class WorkerLost(RuntimeError):  # noqa: N818, it is what happened
    """A task has lost its worker each time that it was run."""


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
    lost : the tasks that a broken pool had taken, and that were run again.
    """

    def __init__(
        self, function: Callable[[Task], Result], jobs: int = 1, executor: Executor | None = None
    ):
        self.function, self.jobs, self.executor = function, jobs, executor
        self.lost: list[Task] = []

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result]]:
        """(task, result) of every task, in the order in which they are done."""
        tasks = iter(tasks)
        if self.executor is None and self.jobs == 1:
            for task in tasks:
                yield task, self.function(task)
            return
        left = yield from self._through(self.executor, tasks)
        while left:
            self.lost += left
            yield from self._one_by_one(left)
            left = yield from self._through(None, tasks)

    def _through(
        self, executor: Executor | None, tasks: Iterator[Task]
    ) -> Generator[tuple[Task, Result], None, list[Task]]:
        """Keep an executor busy until the tasks end or it breaks; returns what it had then."""
        size = 2 * self.jobs if executor is None else WINDOW
        pending: dict[Future[Result], Task] = {}
        with contextlib.ExitStack() as stack:
            pool = executor or stack.enter_context(processes(self.jobs))
            stack.callback(lambda: [future.cancel() for future in pending])
            while True:
                for task in islice(tasks, size - len(pending)):
                    pending[submit(pool, self.function, task)] = task
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

    def _one_by_one(self, tasks: list[Task]) -> Iterator[tuple[Task, Result]]:
        """Each alone in a process, which is a new one wherever the last is lost."""
        waiting, attempts = list(tasks), 0
        while waiting:
            with processes(1) as pool, contextlib.suppress(BrokenExecutor):
                while waiting:
                    result = pool.submit(self.function, waiting[0]).result()
                    yield waiting.pop(0), result
                    attempts = 0
            attempts += 1
            if waiting and attempts == ATTEMPTS:
                raise WorkerLost(
                    f"sweep: the worker was lost {attempts} times in a row by {waiting[0]}"
                )


def submit(pool: Executor, function: Callable[[Task], Result], task: Task) -> Future[Result]:
    """The future of the task; one that has failed already where the pool is broken."""
    try:
        return pool.submit(function, task)
    except BrokenExecutor as error:
        failed: Future[Result] = Future()
        failed.set_exception(error)
        return failed


@contextlib.contextmanager
def processes(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of new processes, which inherit no threads and no locks; waits for what they are
    at when it is left, and starts no more.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=begin_work)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def begin_work() -> None:
    """In a worker: Ctrl-C is its parent's to answer, and without a parent there is no work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent() -> None:
    """Wait for the end of the parent, which may have been killed, and end as well."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)
