"""How long something of ours has taken, whoever else is busy on the machine."""

import time

PATIENCE = 10
"""A function that sleeps, or waits for somebody, may take so many times as long on the wall."""


class Stopwatch:
    """Counts from when it is made.

    Seconds are those of the processor, so that a check finds the same on a machine that is busy;
    on the wall's clock ten of them count as one.
    """

    def __init__(self) -> None:
        self.processor, self.wall = time.process_time(), time.perf_counter()

    @property
    def seconds(self) -> float:
        waited = time.perf_counter() - self.wall
        return max(time.process_time() - self.processor, waited / PATIENCE)
