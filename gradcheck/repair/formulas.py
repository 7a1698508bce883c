"""Formulas: what forward computes, and its derivatives, in the words of the backward."""

import ast
import builtins
import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.repair.definitions import (
    UNKNOWN,
    Definitions,
    Shortener,
    inlined,
    names_by_value,
    trace_of,
)
from gradcheck.repair.derivatives import derivative, halves
from gradcheck.repair.scope import Kind, Scope, kind_of
from gradcheck.repair.trees import called, is_product
from gradcheck.repair.written import Written

MOST = 40
"""Formulas of each sort."""

LONGEST = 160
"""Characters of a formula: longer ones are nothing that somebody forgot."""

COMPUTING = (ast.BinOp, ast.Call, ast.UnaryOp, ast.Compare, ast.Subscript)

Meant = tuple[ast.expr, Definitions]
"""An expression of forward's, and what its variables mean there."""


@dataclass(frozen=True)
class Formula:
    """An expression of what backward knows, free of the cotangent.

    Attributes
    ----------
    text, kind : as it is written, and what it is.
    """

    text: str
    kind: Kind


@dataclass(frozen=True)
class Formulas:
    """What is known of one forward.

    Attributes
    ----------
    values : expressions that it computes.
    derivatives : of its expressions with respect to their parts.
    partial : one of the two terms of a product's derivative.
    """

    values: tuple[Formula, ...] = ()
    derivatives: tuple[Formula, ...] = ()
    partial: tuple[Formula, ...] = ()


def formulas_of(
    forward: Written | None, arguments: Sequence[str], backward: Written, scope: Scope, numpy: str
) -> Formulas:
    """The formulas of a forward whose arguments are known to backward by these names."""
    if forward is None:
        return Formulas()
    words = Words(forward, arguments, backward, scope)
    derived: list[Meant] = []
    partial: list[Meant] = []
    for part, meanings in words.computed:
        for variable in variables(part):
            slope = derivative(part, variable, numpy)
            if slope is not None and not isinstance(slope, ast.Constant):
                derived.append((slope, meanings))
                partial += [(half, meanings) for half in halves(part, variable, numpy)]
    return Formulas(
        tuple(f for f in words.formulas(words.computed) if not f.text.isidentifier()),
        tuple(words.formulas(derived)),
        tuple(words.formulas(partial)),
    )


def variables(node: ast.expr) -> list[str]:
    """Parts that the derivative may be taken with respect to: names, and what mixes entries."""
    found: dict[str, None] = {}
    functions = {ast.unparse(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)}
    for part in ast.walk(node):
        is_attribute = isinstance(part, ast.Attribute) and ast.unparse(part.value) == "self"
        if isinstance(part, ast.Name) or is_attribute or is_product(part):
            found[ast.unparse(part)] = None
    return [name for name in found if name not in functions and name != "self"]


class Words:
    """Translates forward's expressions into backward's.

    Attributes
    ----------
    computed : forward's expressions, with the meanings of their variables.
    names : of backward's variables and of what forward has kept, by what they stand for.
    """

    def __init__(self, forward: Written, arguments: Sequence[str], backward: Written, scope: Scope):
        node = forward.node
        given = [a.arg for a in node.args.args if a.arg != "self"]
        kept = {n: v for n, v in trace_of(node).meanings.items() if n.startswith("self.")}
        renamed = dict(zip(given, arguments, strict=False)) | held_in(kept, given)
        trace = trace_of(node, {n: ast.parse(o, mode="eval").body for n, o in renamed.items()})
        self.known = backward.function.__globals__ | scope.values
        self.names = names_by_value(backward.node)
        for name in kept:
            if name in scope.values and not isinstance(
                trace.meanings[name], (ast.Name, ast.Constant)
            ):
                self.names.setdefault(ast.unparse(trace.meanings[name]), name)
        self.computed = [
            (part, meanings)
            for whole, meanings in trace.computed
            for part in ast.walk(whole)
            if isinstance(part, COMPUTING)
        ]

    def formulas(self, found: Iterable[Meant]) -> Iterator[Formula]:
        """Those that can be computed in backward, each once."""
        seen: set[str] = set()
        for node, meanings in found:
            text = ast.unparse(Shortener(self.names).visit(copy.deepcopy(inlined(node, meanings))))
            if text in seen or len(text) > LONGEST:
                continue
            seen.add(text)
            kind = self.kind(text)
            if kind is not None and kind.dtype in "fb" and kind.shape:
                yield Formula(text, kind)
            if len(seen) >= MOST:
                return

    def kind(self, text: str) -> Kind | None:
        """What it is, where backward knows all that it needs."""
        if UNKNOWN.id in text:
            return None
        names = {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}
        if any(name not in self.known and not hasattr(builtins, name) for name in names):
            return None
        try:
            with np.errstate(all="ignore"):
                value: Any = eval(compile(text, "<formula>", "eval"), dict(self.known))
        except Exception:  # whatever an expression of theirs raises elsewhere
            return None
        return kind_of(value)


def held_in(kept: Definitions, given: Sequence[str]) -> dict[str, str]:
    """Arguments of forward that it leaves in an attribute, a copy perhaps."""
    found: dict[str, str] = {}
    for name, value in kept.items():
        source = value
        if isinstance(value, ast.Call) and called(value) == "copy":
            source = value.func.value if isinstance(value.func, ast.Attribute) else value
        if isinstance(source, ast.Name) and source.id in given:
            found[source.id] = name
    return found
