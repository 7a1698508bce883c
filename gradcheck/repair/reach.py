"""Reach: which of the returned gradients an expression has a part in.

What goes into a gradient that is right is hardly to blame; what goes into none that is wrong is
not at all.
"""

import ast
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from gradcheck.repair.flow import assignments, base_of, names_in
from gradcheck.repair.written import Node

SHARED, PARTIAL = 2.0, 0.6
"""What is added to the cost of an edit that reaches right gradients, too, and of one that does
not reach all wrong ones."""

Gradients = frozenset[int]

NOWHERE: Gradients = frozenset()


@dataclass
class Reach:
    """Of one function, for its returned gradients.

    Attributes
    ----------
    elements : of the returned tuple, by `id`; empty where none is written out.
    variables : by name, the gradients that are computed from it.
    statements : by `id`.
    """

    elements: dict[int, Gradients] = field(default_factory=dict)
    variables: dict[str, Gradients] = field(default_factory=dict)
    statements: dict[int, Gradients] = field(default_factory=dict)

    @property
    def is_known(self) -> bool:
        return bool(self.elements)

    def of(self, chain: Sequence[ast.AST]) -> Gradients:
        """Of an expression, given with all that it is inside of, itself first."""
        for node in chain:
            for known in (self.elements, self.statements):
                if id(node) in known:
                    return known[id(node)]
        return frozenset().union(*self.elements.values())


def reach_of(
    node: Node, places: Sequence[int], floating: Sequence[int], kept: dict[str, int]
) -> Reach:
    """Of a function that returns one gradient for each of `places`, or of `floating`.

    Those that it leaves in attributes are `kept`; such a function returns the first one only.
    """
    found = Reach()
    row = returned(node)
    if row is None:
        return found
    orders = [places[:1]] if kept else [places, floating]
    order = next((o for o in orders if len(o) == len(row)), None)
    if order is None:
        return found
    for i, element in zip(order, row, strict=True):
        found.elements[id(element)] = frozenset({i})
    if isinstance(node, ast.FunctionDef):
        follow(found, node, row, kept)
    return found


def returned(node: Node) -> list[ast.expr] | None:
    """The gradients, where they are returned as a tuple at one place."""
    if isinstance(node, ast.Lambda):
        value: ast.expr | None = node.body
    else:
        returns = [part for part in ast.walk(node) if isinstance(part, ast.Return)]
        value = returns[0].value if len(returns) == 1 else None
    if isinstance(value, (ast.Tuple, ast.List)):
        return value.elts
    return None if value is None or isinstance(value, ast.Call) else [value]


def follow(found: Reach, node: ast.FunctionDef, row: list[ast.expr], kept: dict[str, int]) -> None:
    """From what is returned, or kept, back through all assignments."""
    reached: dict[str, set[int]] = defaultdict(set)
    for name, i in kept.items():
        reached[name].add(i)
    for element in row:
        for name in names_in(element):
            reached[name] |= found.elements[id(element)]
    steps = list(assignments(node))
    size = -1
    while size != sum(map(len, reached.values())):
        size = sum(map(len, reached.values()))
        for targets, value in steps:
            here = set().union(*(reached[target] for target in targets))
            for name in names_in(value):
                reached[name] |= here
    found.variables = {name: frozenset(gradients) for name, gradients in reached.items()}
    for statement in node.body:
        of_statement(found, statement)


def of_statement(found: Reach, statement: ast.stmt) -> Gradients:
    """Of a statement, after those inside it."""
    here: set[int] = set()
    for part in ast.iter_child_nodes(statement):
        if isinstance(part, ast.stmt):
            here |= of_statement(found, part)
    for name in written_by(statement):
        here |= found.variables.get(name, NOWHERE)
    if isinstance(statement, ast.Return):
        here |= NOWHERE.union(*found.elements.values())
    found.statements[id(statement)] = frozenset(here)
    return found.statements[id(statement)]


def written_by(statement: ast.stmt) -> set[str]:
    """The variables that a statement itself changes."""
    if isinstance(statement, ast.Assign):
        targets = [t for target in statement.targets for t in getattr(target, "elts", [target])]
        return {base_of(target) for target in targets}
    if isinstance(statement, (ast.AugAssign, ast.AnnAssign, ast.For)):
        return {base_of(statement.target)}
    if isinstance(statement, ast.Expr):
        return {name for targets, _ in assignments(ast.Module([statement], [])) for name in targets}
    return set()


def doubt(gradients: Gradients, wrong: Gradients, right: Gradients) -> float:
    """What is added to the cost of an edit; infinite where it can mend nothing."""
    if gradients.isdisjoint(wrong):
        return float("inf")
    if not gradients.isdisjoint(right):
        return SHARED
    return 0.0 if gradients >= wrong else PARTIAL
