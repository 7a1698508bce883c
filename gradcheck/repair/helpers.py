"""Helpers: functions of the user's that a backward calls, and what of the gradient they get."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gradcheck.repair.flow import flow_of, names_in
from gradcheck.repair.scope import contents
from gradcheck.repair.sites import sites_of
from gradcheck.repair.written import Written, written


@dataclass(frozen=True)
class Helper:
    """A function that is called by its name.

    Attributes
    ----------
    gradients : the positions of arguments through which the gradient flows.
    chains : its calls, each with all that it is inside of.
    """

    name: str
    source: Written
    gradients: tuple[int, ...]
    chains: tuple[list[ast.AST], ...]


def helpers(source: Written, cotangents: tuple[str, ...]) -> Iterator[Helper]:
    """Those of its globals and its closure, each once."""
    flow = flow_of(source.node, cotangents)
    calls: dict[str, set[int]] = {}
    chains: dict[str, list[list[ast.AST]]] = {}
    for site in sites_of(source.node):
        node = site.node
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            chains.setdefault(node.func.id, []).append(site.chain)
            places = calls.setdefault(node.func.id, set())
            places |= {k for k, a in enumerate(node.args) if not flow.isdisjoint(names_in(a))}
    for name, gradients in calls.items():
        inner = written(value_of(source, name))
        if inner is not None:
            yield Helper(name, inner, tuple(sorted(gradients)), tuple(chains[name]))


def value_of(source: Written, name: str) -> Any:
    """What a name means in the function, where it is no argument."""
    function = source.function
    free = function.__code__.co_freevars
    if name in free and function.__closure__ is not None:
        return contents(function.__closure__[free.index(name)])
    return function.__globals__.get(name)
