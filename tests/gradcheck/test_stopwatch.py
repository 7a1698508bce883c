"""The processor's time counts; waiting counts for a tenth."""

import time

from gradcheck.stopwatch import PATIENCE, Stopwatch


def test_work_counts_in_full():
    watch, until = Stopwatch(), time.process_time() + 0.05
    while time.process_time() < until:
        pass
    assert watch.seconds >= 0.05


def test_waiting_counts_for_a_part():
    watch = Stopwatch()
    time.sleep(0.2)
    assert 0.2 / PATIENCE <= watch.seconds < 0.15
