"""Functions that workers find by name."""

import os
from pathlib import Path


def double(task):
    return 2 * task[0]


def dies_once(task):
    """Number 3 takes its worker with it, the first time that it is run."""
    number, folder = task
    with Path(folder, str(number)).open("a") as runs:
        runs.write("run\n")
    if number == 3 and Path(folder, "3").read_text().count("run") == 1:
        os._exit(1)
    return 2 * number


def dies_always(task):
    if task[0] == 3:
        os._exit(1)
    return 2 * task[0]


def fails(task):
    raise ZeroDivisionError(f"task {task[0]}")
