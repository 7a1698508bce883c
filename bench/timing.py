"""Interleaved timing: contenders take turns, so that what disturbs one disturbs all."""

import gc
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.contender import Contender

ROUND_SECONDS = 0.01
"""A turn: long beside the clock's resolution, short beside the machine's moods."""


class Clock:
    """Which clock turns are timed by.

    Seconds that pass, in a table that anyone is to read. On a machine that others use at the
    same time, one may ask for the processor's seconds instead: of all threads of this process,
    without those in which another process had the core. They hide waiting, so never use them
    for more than one thread.
    """

    read = staticmethod(time.perf_counter)

    @classmethod
    def count_processor_seconds(cls) -> None:
        cls.read = staticmethod(time.process_time)


@dataclass(frozen=True)
class Budget:
    """How long one comparison may take: rounds, and the seconds that end them early.

    `pause` seconds go before each turn: threads of a pool spin for a while after their work,
    and would take a core from whoever is next.
    """

    seconds: float = 6.0
    most: int = 101
    least: int = 5
    pause: float = 0.0


QUICK = Budget(seconds=0.05, most=3, least=1)


@dataclass(frozen=True)
class Timing:
    """Seconds of one step: the median over rounds and the quartiles around it."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Timing":
        low, median, high = (float(q) for q in np.quantile(seconds, [0.25, 0.5, 0.75]))
        return cls(median, low, high, len(seconds))


def batch_seconds(contender: Contender, calls: int) -> float:
    """Seconds that `calls` calls take, until the last one is done."""
    run, clock = contender.run, Clock.read
    contender.prepare()
    repeat = range(calls)
    start = clock()
    for _ in repeat:
        run()
    contender.wait()
    return clock() - start


def calls_per_round(contender: Contender, seconds: float = ROUND_SECONDS) -> int:
    """How many calls fill a turn, after a first one that may compile."""
    batch_seconds(contender, 1)
    calls = 1
    while (taken := batch_seconds(contender, calls)) < seconds / 4:
        calls = max(2 * calls, math.ceil(calls * min(50, seconds / 2 / max(taken, 1e-7))))
    return max(1, round(calls * seconds / taken))


def interleave(contenders: Sequence[Contender], budget: Budget) -> dict[str, Timing]:
    """Time the contenders in turns; name to seconds of one step."""
    calls = {c.name: calls_per_round(c) for c in contenders}
    seconds: dict[str, list[float]] = {c.name: [] for c in contenders}
    order, draw = list(contenders), random.Random(0)
    end = time.perf_counter() + budget.seconds
    gc.collect()
    gc.disable()
    try:
        for done in range(budget.most):
            if done >= budget.least and time.perf_counter() > end:
                break
            draw.shuffle(order)  # nobody always follows the same predecessor
            for c in order:
                time.sleep(budget.pause)
                if calls[c.name] > 1 or budget.pause:
                    batch_seconds(c, 1)  # the caches are still the predecessor's
                seconds[c.name].append(batch_seconds(c, calls[c.name]) / calls[c.name] / c.steps)
    finally:
        gc.enable()
    return {name: Timing.of(values) for name, values in seconds.items()}


def timed(name: str, run: Callable[[], object], steps: int = 1) -> Contender:
    """A function that trains nothing, as something to be timed."""
    return Contender(name, run, list, steps)
