"""Threads that take part in a training step: a pool of the process, woken once for a call.

All of them run the same compiled call, each its share of every operation, and meet in compiled
code in between (`kernels/share.py`): no threading layer of Numba's is involved, so nothing
aborts when two Python threads train two networks, and nothing hangs after a fork. Who finds the
pool busy works alone; the bits are the same.
"""

import contextlib
import ctypes
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from numba import config

from kernels.jit import COMPILES
from mlp.arguments import whole
from mlp.plan import RUNS

SHARED_WORK = 2e7
"""Multiplications and additions of a batch, from which on a second thread pays: waking it takes
as long as some millions of them."""

SHARED_LAYER_WORK = 1.5e6
"""And of those the least for an affine layer on average: the threads meet some five times in
each, whose cost fifty small layers never earn back, however much they are together."""


def shared_batch(work: int, layers: int) -> float:
    """From how many rows on threads share a batch, where a row takes so much in all layers."""
    return max(SHARED_WORK, SHARED_LAYER_WORK * layers) / work


MOST_THREADS = 256

SCHED_GETCPU = getattr(ctypes.CDLL(None), "sched_getcpu", None) if os.name == "posix" else None

FIRST_LOOK, LAST_LOOK = 16, 1024
"""After so many calls it is looked at whether the other way, alone or together, is faster by now;
after twice as many, whenever it is not."""

RECENT = 5
"""A way is judged by its last so many calls: by the second best, since what comes between only
adds, and one may be a stroke of luck."""

HOPELESS = 2
"""A look ends with a call that takes so many times what the faster way does: where a thread has to
wait for a core, five would cost more than is to be gained."""


class Pace:
    """Whether a network's calls are faster alone or together, as they turn out.

    Together is faster where every thread has a core, and far slower where somebody else is on
    it: at each meeting all wait for the one that was sent away.
    """

    def __init__(self) -> None:
        self.recent: dict[bool, deque[float]] = {way: deque(maxlen=RECENT) for way in (True, False)}
        self.usual = {True: math.inf, False: math.inf}
        """What a row takes each way: the second best of the recent calls."""
        self.is_together_faster = True
        self.calls, self.look = 0, FIRST_LOOK

    def choose(self) -> bool:
        """Whether the next call is shared: the faster way, now and then the other."""
        for way, seconds in self.recent.items():
            if len(seconds) < RECENT:
                return way  # not tried often enough to tell
        self.calls += 1
        return self.is_together_faster != (self.calls >= self.look)

    def note(self, together: bool, seconds: float) -> None:
        """How long a row took."""
        recent = self.recent[together]
        recent.append(seconds)
        self.usual[together] = sorted(recent)[1] if len(recent) > 1 else math.inf
        before = self.is_together_faster
        self.is_together_faster = self.usual[True] <= self.usual[False]
        if self.is_together_faster != before:
            self.calls, self.look = 0, FIRST_LOOK
        elif self.calls >= self.look and (
            self.calls >= self.look + RECENT or seconds > HOPELESS * self.usual[before]
        ):
            self.calls, self.look = 0, min(2 * self.look, LAST_LOOK)


def this_core() -> int:
    """The core that this thread is on; -1 where that cannot be told."""
    return int(SCHED_GETCPU()) if SCHED_GETCPU is not None else -1


def settle(thread: int, task: "Task") -> None:
    """Put the thread of this number on a core of its own, where there are enough: not on that of
    the task's first thread, but among those that it may use.

    A thread that is woken by another tends to run where that one is. There the two would take
    turns, and it takes the system long to see that a core lies idle.
    """
    if hasattr(os, "sched_setaffinity"):
        others = sorted(os.sched_getaffinity(task.caller) - {task.core})
        if task.core >= 0 and thread <= len(others):
            with contextlib.suppress(OSError):  # it may just have lost that core
                os.sched_setaffinity(0, {others[thread - 1]})


class Task:
    """One compiled call that threads share."""

    def __init__(self, compiled: Callable[..., float], arguments: tuple[Any, ...], threads: int):
        self.compiled, self.arguments, self.threads = compiled, arguments, threads
        self.core = this_core()
        self.caller = threading.get_native_id()

    def share(self, thread: int) -> float:
        return self.compiled(*self.arguments, thread, self.threads)


class Pool:
    """Threads that wait for tasks; the caller is the first of them."""

    def __init__(self) -> None:
        self.threads: int = min(vars(config)["NUMBA_NUM_THREADS"], MOST_THREADS)
        self.forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        """No thread outlives a fork; in the child others are started when they are needed."""
        self.queues: list[SimpleQueue[Task]] = []
        self.busy = threading.Lock()

    def run(self, compiled: Callable[..., float], arguments: tuple[Any, ...], pace: Pace) -> float:
        """`compiled(*arguments, thread, threads)` by all threads; returns what the first returns.

        The first of the arguments is the state of a network, which counts the calls; the third
        are the rows.
        """
        if self.threads == 1 or not COMPILES or self.busy.locked():
            return compiled(*arguments, 0, 1)
        together = pace.choose()
        start = time.perf_counter()
        if together:
            # An interrupt cannot come between a lock taken like this and what releases it.
            with self.busy:
                start = time.perf_counter()  # it may have been waited for
                total = self.together(Task(compiled, arguments, self.threads))
        else:
            total = compiled(*arguments, 0, 1)
        pace.note(together, (time.perf_counter() - start) / max(len(arguments[2]), 1))
        return total

    def together(self, task: Task) -> float:
        """An interrupt may come between any two lines, but the threads wait for each other: so
        whatever comes, the call is made, and only then the interrupt is passed on.
        """
        state, interrupt, total = task.arguments[0], None, 0.0
        runs = state[RUNS]
        while state[RUNS] == runs:
            try:
                self.grow(task.threads - 1)
                for queue in self.queues[: task.threads - 1]:
                    queue.put(task)
                total = task.share(0)
            except BaseException as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt
        return total

    def grow(self, workers: int) -> None:
        while len(self.queues) < workers:
            queue: SimpleQueue[Task] = SimpleQueue()
            thread = len(self.queues) + 1
            threading.Thread(
                target=work, args=(queue, thread), name=f"backproof-{thread}", daemon=True
            ).start()
            self.queues.append(queue)


def work(queue: "SimpleQueue[Task]", thread: int) -> None:
    """Do one's share of each task, once, however often it was put."""
    done, first = None, -1
    while True:
        task = queue.get()
        if task is not done:
            if task.core != first:
                settle(thread, task)
                first = task.core
            task.share(thread)
            done = task


POOL = Pool()


def get_num_threads() -> int:
    """How many threads share a large batch."""
    return POOL.threads


def set_num_threads(threads: int) -> None:
    """Let so many threads share a large batch, those of other networks included.

    The default is Numba's: NUMBA_NUM_THREADS, or the number of cores that the process may use.
    Results have the same bits for any number.
    """
    POOL.threads = whole("set_num_threads: threads", threads, low=1, high=MOST_THREADS)
