"""Edits of statements: what overwrites where it must add, and what ought not to be done."""

import ast
from collections.abc import Iterator

from gradcheck.repair.edits import Draft, Edit
from gradcheck.repair.sites import Site
from gradcheck.repair.trees import parsed

UNCHANGED = (ast.Return, ast.Import, ast.ImportFrom, ast.FunctionDef, ast.Pass, ast.Global)
"""Statements that are not taken out."""


def accumulation(draft: Draft) -> Iterator[Edit]:
    """`=` and `+=` for each other, and additions at indices that come twice."""
    for site in draft.sites:
        node = site.node
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
            if isinstance(target, ast.Subscript):
                yield from at_indices(draft, site, target, node.value)
            if isinstance(target, (ast.Subscript, ast.Name, ast.Attribute)):
                cost = 1.5 if isinstance(target, ast.Subscript) else 3
                changed: ast.stmt = ast.AugAssign(target, ast.Add(), node.value)
                yield draft.change("overwrites-instead-of-accumulating", cost, site, changed)
        elif isinstance(node, ast.AugAssign):
            changed = ast.Assign([node.target], node.value)
            yield draft.change("accumulates-into-stale-buffer", 3, site, changed)
            if isinstance(node.target, ast.Subscript):
                yield from at_indices(draft, site, node.target, node.value)


def at_indices(draft: Draft, site: Site, target: ast.Subscript, value: ast.expr) -> Iterator[Edit]:
    """Added at every index, one that comes twice included."""
    has_slice = any(isinstance(part, ast.Slice) for part in ast.walk(target.slice))
    if not draft.numpy or has_slice or isinstance(target.slice, ast.Constant):
        return  # no index comes twice
    array, index = (read(part) for part in (target.value, target.slice))
    call = ast.Expr(ast.Call(parsed(f"{draft.numpy}.add.at"), [array, index, value], []))
    yield draft.change("overwrites-instead-of-accumulating", 1.6, site, call)


def read(node: ast.expr) -> ast.expr:
    return parsed(ast.unparse(node))


def deletion(draft: Draft) -> Iterator[Edit]:
    """One statement less."""
    for site in draft.sites:
        node = site.node
        if not isinstance(node, ast.stmt) or isinstance(node, UNCHANGED):
            continue
        is_changing = isinstance(node, (ast.AugAssign, ast.Expr))
        slug = (
            "cotangent-modified" if changes(node, draft.cotangents) else "chain-rule-factor-missing"
        )
        yield draft.change(slug, 3 if is_changing else 4, site, ast.Pass())
        if isinstance(node, ast.If):
            always = ast.If(ast.Constant(True), node.body, [])
            yield draft.change("region-wrong", 4, site, always)


def changes(node: ast.stmt, names: tuple[str, ...]) -> bool:
    """Whether a statement changes one of the variables."""
    target = getattr(node, "target", None) or (getattr(node, "targets", None) or [None])[0]
    while isinstance(target, (ast.Subscript, ast.Attribute)):
        target = target.value
    return isinstance(target, ast.Name) and target.id in names
