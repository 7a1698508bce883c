"""Flow: which variables of a backward are computed from the cotangent.

A backward is linear in it. So factors that are missing belong to what it flows through, and are
themselves free of it.
"""

import ast
from collections.abc import Iterator

from gradcheck.repair.written import Node


def flow_of(node: Node, cotangents: tuple[str, ...]) -> frozenset[str]:
    """The names that depend on the cotangents, these included."""
    found = set(cotangents)
    if not found or isinstance(node, ast.Lambda):
        return frozenset(found)
    steps = list(assignments(node))
    while True:
        size = len(found)
        for targets, value in steps:
            if not found.isdisjoint(names_in(value)):
                found |= targets
        if len(found) == size:
            return frozenset(found)


def assignments(node: ast.AST) -> Iterator[tuple[set[str], ast.AST]]:
    """What is written to, and what it is computed from."""
    for part in ast.walk(node):
        if isinstance(part, ast.Assign):
            yield from matched(part.targets, part.value)
        elif isinstance(part, (ast.AugAssign, ast.AnnAssign, ast.For, ast.comprehension)):
            value = part.iter if isinstance(part, (ast.For, ast.comprehension)) else part.value
            if value is not None:
                yield {base_of(part.target)}, value
        elif isinstance(part, ast.Expr) and isinstance(part.value, ast.Call):
            call = part.value  # np.add.at(dx, index, dy), dxs.append(dx)
            if call.args:
                yield {base_of(call.args[0])}, call
            if isinstance(call.func, ast.Attribute):
                yield {base_of(call.func.value)}, call


def matched(targets: list[ast.expr], value: ast.expr) -> Iterator[tuple[set[str], ast.expr]]:
    """Elements of a tuple one by one, where both sides are written out."""
    for target in targets:
        if not isinstance(target, (ast.Tuple, ast.List)):
            yield {base_of(target)}, value
        elif isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts):
            for one, part in zip(target.elts, value.elts, strict=True):
                yield {base_of(one)}, part
        else:
            yield {base_of(one) for one in target.elts}, value


def base_of(target: ast.AST) -> str:
    """The variable that is written to: dx of dx[k], self.dw of self.dw[k]."""
    while isinstance(target, (ast.Subscript, ast.Starred)):
        target = target.value
    return ast.unparse(target) if isinstance(target, (ast.Name, ast.Attribute)) else ""


def names_in(node: ast.AST) -> set[str]:
    """Variables and attributes that are read, but for sizes: a shape carries no gradient."""
    found: set[str] = set()
    level = [node]
    while level:
        part = level.pop()
        if isinstance(part, ast.Attribute):
            if part.attr in ("shape", "size", "ndim", "dtype"):
                continue
            found.add(ast.unparse(part))
        elif isinstance(part, ast.Name):
            found.add(part.id)
        elif isinstance(part, ast.Call) and is_of_size(part):
            continue
        level.extend(ast.iter_child_nodes(part))
    return found


def is_of_size(node: ast.Call) -> bool:
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("len", "range", "zeros_like", "empty_like", "ones_like", "shape", "enumerate")
