"""Definitions: what the variables of a function stand for."""

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gradcheck.repair.flow import base_of, matched
from gradcheck.repair.written import Node, every_argument

LONGEST = 600
"""Characters of an expression with its definitions put in."""

Definitions = dict[str, ast.expr]

UNKNOWN = ast.Name("<unknown>", ast.Load())
"""Stands for what a loop or a branch has left in a variable."""


def definitions_of(node: Node) -> Definitions:
    """Variables and attributes that are assigned once, and what they are assigned."""
    once = assigned_once(node)
    found: Definitions = {}
    for statement in body_of(node):
        if isinstance(statement, ast.Assign):
            for targets, value in matched(statement.targets, statement.value):
                if len(targets) == 1 and targets <= once and isinstance(value, ast.expr):
                    found[next(iter(targets))] = value
    return found


def assigned_once(node: Node) -> set[str]:
    """Names that mean the same wherever they are read, arguments excluded."""
    stores = Counter(stored(node))
    stores.update(argument.arg for argument in every_argument(node.args))
    return {name for name, count in stores.items() if count == 1}


def body_of(node: Node) -> list[ast.stmt]:
    return [] if isinstance(node, ast.Lambda) else node.body


def stored(node: ast.AST) -> Iterator[str]:
    """Each variable or attribute, as often as it is written to."""
    for part in ast.walk(node):
        if isinstance(getattr(part, "ctx", None), ast.Store):
            name = base_of(part)
            if name and isinstance(part, (ast.Name, ast.Attribute, ast.Subscript)):
                yield name


@dataclass
class Trace:
    """A function followed statement by statement.

    Attributes
    ----------
    meanings : of each variable at the end, in terms of the arguments.
    computed : each expression that is computed once, with the meanings of its variables there.
    """

    meanings: Definitions = field(default_factory=dict)
    computed: list[tuple[ast.expr, Definitions]] = field(default_factory=list)


def trace_of(node: Node, given: Definitions | None = None) -> Trace:
    """Of a function whose arguments stand for what is given."""
    found = Trace(dict(given or {}))
    if isinstance(node, ast.Lambda):
        found.computed.append((node.body, found.meanings))
    for statement in body_of(node):
        value = getattr(statement, "value", None)
        if isinstance(statement, (ast.Assign, ast.Return)) and isinstance(value, ast.expr):
            found.computed.append((value, dict(found.meanings)))
        if isinstance(statement, ast.Assign):
            found.meanings |= dict(assigned(statement, dict(found.meanings)))
        else:
            found.meanings |= {name: UNKNOWN for name in stored(statement)}
    return found


def assigned(statement: ast.Assign, meanings: Definitions) -> Iterator[tuple[str, ast.expr]]:
    """Each variable that a statement assigns, and what it means after."""
    is_partial = any(isinstance(target, ast.Subscript) for target in statement.targets)
    for targets, value in matched(statement.targets, statement.value):
        is_known = len(targets) == 1 and isinstance(value, ast.expr) and not is_partial
        for target in targets:
            yield target, inlined(value, meanings) if is_known else UNKNOWN


def inlined(node: ast.expr, meanings: Definitions) -> ast.expr:
    """The expression with the meanings of its variables; unknown where that gets too long."""
    found: ast.expr = Inliner(meanings).visit(copy.deepcopy(node))
    return found if len(ast.unparse(found)) <= LONGEST else UNKNOWN


class Inliner(ast.NodeTransformer):
    """Puts meanings in the place of variables."""

    def __init__(self, meanings: Definitions):
        self.meanings = meanings

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, (ast.Name, ast.Attribute)):
            meaning = self.meanings.get(ast.unparse(node))
            if meaning is not None:
                return meaning
        return self.generic_visit(node)


def names_by_value(node: Node) -> dict[str, str]:
    """The shortest of the names that are assigned once, by the expression it stands for."""
    once, meanings = assigned_once(node), trace_of(node).meanings
    found: dict[str, str] = {}
    for name in sorted(meanings, key=len):
        if name in once and not isinstance(meanings[name], (ast.Name, ast.Constant)):
            found.setdefault(ast.unparse(meanings[name]), name)
    return found


class Shortener(ast.NodeTransformer):
    """Puts names in the place of the expressions that they stand for."""

    def __init__(self, names: dict[str, str]):
        self.names = names

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.expr):
            name = self.names.get(ast.unparse(node))
            if name is not None:
                return ast.parse(name, mode="eval").body
        return self.generic_visit(node)
