"""A process that works through tasks in their order, and a new one in its place where it is lost.

One process to a pool: a process pool of Python's that loses one worker takes all the others down,
and does not say whose task it was.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing.connection import wait as wait_for
from typing import Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

QUEUED = 2
"""Tasks that a process has: the one it is at, and the next, so that it never waits."""

ATTEMPTS = 3
"""How often a task may lose its process before it is given up."""


class WorkerLost(RuntimeError):  # noqa: N818, it is what happened
    """A task has lost its worker each time that it was run."""


class Worker(Generic[Task, Result]):
    """One process, which runs a function over the tasks that it is given, in their order.

    So where it is lost, the oldest task that is not done was its last. Only that one is run
    again: by the new process, first.

    Attributes
    ----------
    queue : (task, future) of what is not done, the oldest first.
    """

    def __init__(self, function: Callable[[Task], Result]):
        self.function = function
        self.queue: deque[tuple[Task, Future[Result]]] = deque()
        self.pool = new_process()
        self.attempts = 0

    def fill(self, tasks: Iterator[Task]) -> None:
        """Put tasks at the end of the queue until it is full or they end."""
        for task in islice(tasks, QUEUED - len(self.queue)):
            self.queue.append((task, submit(self.pool, self.function, task)))

    def done(self, lost: list[Task]) -> Iterator[tuple[Task, Result]]:
        """(task, result) of what is done by now; a task whose process was lost joins `lost`."""
        while self.queue and self.queue[0][1].done():
            task, future = self.queue[0]
            if isinstance(future.exception(), BrokenExecutor):
                lost.append(task)
                self._begin_again()
            else:
                self.queue.popleft()
                self.attempts = 0
                yield task, future.result()

    def _begin_again(self) -> None:
        self.attempts += 1
        if self.attempts == ATTEMPTS:
            raise WorkerLost(
                f"sweep: the worker was lost {ATTEMPTS} times in a row by {self.queue[0][0]}"
            )
        self.pool.shutdown()
        self.pool = new_process()
        tasks = [task for task, _ in self.queue]
        self.queue.clear()
        self.fill(iter(tasks))

    def end(self) -> None:
        """Wait for the task that it is at, and start no more."""
        self.pool.shutdown(wait=True, cancel_futures=True)


def submit(pool: Executor, function: Callable[[Task], Result], task: Task) -> Future[Result]:
    """The future of the task; one that has failed already where the pool is broken."""
    try:
        return pool.submit(function, task)
    except BrokenExecutor as error:
        failed: Future[Result] = Future()
        failed.set_exception(error)
        return failed


@contextlib.contextmanager
def workers(function: Callable[[Task], Result], count: int) -> Iterator[list[Worker[Task, Result]]]:
    """So many of them, which are ended when they are left."""
    every: list[Worker[Task, Result]] = [Worker(function) for _ in range(count)]
    try:
        yield every
    finally:
        for worker in every:
            worker.end()


def new_process() -> ProcessPoolExecutor:
    """A pool of one process, which inherits no threads and no locks."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, mp_context=context, initializer=begin_work)


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
