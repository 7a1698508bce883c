"""What takes part in a comparison: ours and each peer, behind one small interface."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

EPS = 1e-8
"""Batchnorm's epsilon, ours, for everybody."""

ALPHA = 0.9
"""The weight of the old running statistics, ours, for everybody."""


def nothing() -> None:
    """Nobody to wait for."""


class UnsupportedError(Exception):
    """Says why a contender has no such network."""


@dataclass
class Contender:
    """One library with a network, ready to train.

    Attributes
    ----------
    run : trains `steps` steps of plain gradient descent on the problem's batch.
    parameters : copies of the parameters now, in the order of `Problem.parameters`.
    wait : returns when what `run` began is done, for a library that works asynchronously.
    prepare : called before each turn, for settings that contenders do not share.
    variant : which of the library's ways it is.
    caveat : where its work is not quite the others'.
    """

    name: str
    run: Callable[[], object]
    parameters: Callable[[], list[np.ndarray]]
    steps: int = 1
    wait: Callable[[], object] = nothing
    prepare: Callable[[], object] = nothing
    variant: str = ""
    caveat: str = ""
