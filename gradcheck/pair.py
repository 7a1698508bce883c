"""Function pairs by name: `python -m gradcheck path.py:relu`.

A pair is declared by a decorator, or found by its names: relu_forward and relu_backward, relu
and relu_backward, or forward and backward in one module.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from gradcheck.check import check
from gradcheck.course import TargetError, theirs
from gradcheck.source import Source
from gradcheck.verdict import Report

Array = np.ndarray
Function = TypeVar("Function", bound=Callable[..., Any])

DECLARED = "__gradcheck_pair__"


@dataclass(frozen=True)
class Pair:
    """What a function declares of itself.

    Attributes
    ----------
    backward : backward(dy, *inputs).
    inputs : arrays, or a function of a random generator that gives them.
    """

    backward: Callable[..., Any]
    inputs: Any = None


def pair(backward: Callable[..., Any], inputs: Any = None) -> Callable[[Function], Function]:
    """Declare the backward of a function, and inputs to check it at.

    >>> import numpy as np
    >>> @pair(backward=lambda dy, x: dy * np.cos(x), inputs=[np.linspace(0.1, 1.0, 3)])
    ... def sine(x):
    ...     return np.sin(x)
    """

    def declare(function: Function) -> Function:
        setattr(function, DECLARED, Pair(backward, inputs))
        return function

    return declare


def check_pair(
    source: Source, shapes: dict[str, tuple[int, ...]], seed: int, budget: float | None
) -> Report:
    """Check the pair that a target names."""
    forward = source.value
    declared = getattr(forward, DECLARED, None) or Pair(partner(source))
    with theirs(source.name, "drawing the inputs"):
        names, inputs = sample(source.name, forward, declared, shapes, seed)
    with source.at_home():
        return check(
            forward,
            declared.backward,
            inputs,
            names,
            seed,
            source.name,
            budget=budget,
        )


def partner(source: Source) -> Callable[..., Any]:
    """The backward, by its name."""
    name = source.attribute
    candidates = [name.replace("forward", "backward")] if "forward" in name else []
    for candidate in (*candidates, f"{name}_backward", f"{name}_grad", f"d{name}"):
        found = getattr(source.module, candidate, None)
        if callable(found):
            return found  # type: ignore[no-any-return]
    raise TargetError(
        f"target {source.name}: no backward stands beside {name!r}: name it {name}_backward, or "
        f"declare it with @gradcheck.pair(backward=…)"
    )


def sample(
    target: str,
    forward: Callable[..., Any],
    declared: Pair,
    shapes: dict[str, tuple[int, ...]],
    seed: int,
) -> tuple[list[str], Sequence[Any]]:
    """The names of the inputs, and what they are."""
    rng = np.random.default_rng(seed)
    if declared.inputs is not None and not shapes:
        inputs = declared.inputs(rng) if callable(declared.inputs) else declared.inputs
        if isinstance(inputs, dict):
            return list(inputs), list(inputs.values())
        return names_of(forward)[: len(inputs)], list(inputs)
    known = names_of(forward)
    unknown = [name for name in shapes if name not in known]
    missing = [name for name in known if name not in shapes]
    if unknown or missing:
        told = f"has no argument {unknown[0]!r}" if unknown else f"needs --shape {missing[0]}=…"
        raise TargetError(f"target {target}: {forward.__name__}({', '.join(known)}) {told}")
    return known, [rng.standard_normal(shapes[name]) for name in known]


def names_of(forward: Callable[..., Any]) -> list[str]:
    """Arguments without a default."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [
        p.name
        for p in inspect.signature(forward).parameters.values()
        if p.kind in kinds and p.default is inspect.Parameter.empty
    ]


def parse_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """x=4,3 is ("x", (4, 3)); x= is a number."""
    name, equals, sizes = text.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(text)
    shape = tuple(int(size) for size in sizes.replace("x", ",").split(",") if size.strip())
    if any(size < 0 for size in shape):
        raise ValueError(text)
    return name, shape
