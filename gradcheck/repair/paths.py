"""Edits that add a term: another way by which an input reaches the output."""

import ast
from collections.abc import Iterator

from gradcheck.repair.edits import Draft, Edit
from gradcheck.repair.factors import broadcasts
from gradcheck.repair.scope import Kind
from gradcheck.repair.trees import binary, is_term, parsed

SUMS = (ast.Add, ast.Sub)


def paths(draft: Draft) -> Iterator[Edit]:
    """A term more, in every sum through which the gradient flows."""
    for site, kind in draft.suspects():
        is_summed = isinstance(site.parent, ast.BinOp) and isinstance(site.parent.op, SUMS)
        is_whole = is_term(site) and not is_summed
        if not is_whole or not kind.is_floating or not draft.carries(site.node):
            continue
        if not kind.shape or isinstance(site.node, ast.Constant):
            continue
        for text, cost in terms(draft, kind):
            total = binary(site.node, ast.Add(), parsed(text))
            yield draft.change("path-missing", cost, site, total)
            rest = binary(site.node, ast.Sub(), parsed(text))
            yield draft.change("path-missing", cost + 0.4, site, rest)


def terms(draft: Draft, kind: Kind) -> Iterator[tuple[str, float]]:
    """What can be added to an array of that kind: a gradient, or one times what is known."""
    known = {name: other for name, other in draft.scope.names.items() if other.is_floating}
    for name, other in known.items():
        if not draft.carries(parsed(name)):
            continue
        if other.shape == kind.shape:
            yield name, 3.4
        for factor, its in known.items():
            if factor in draft.flow:
                continue
            if other.shape == kind.shape and its.shape and broadcasts(its.shape, kind.shape):
                yield f"{name} * {factor}", 3.8
                yield f"{name} * (1 - {factor})", 4.1
            if is_matrix(other) and is_matrix(its):
                yield from matrices(name, other, factor, its, kind)
        if is_matrix(other) and is_matrix(kind):
            yield from through_two(name, other, known, draft.flow, kind)


def is_matrix(kind: Kind) -> bool:
    return len(kind.shape) == 2


def matrices(
    name: str, one: Kind, factor: str, its: Kind, kind: Kind
) -> Iterator[tuple[str, float]]:
    """Products of a gradient with weights, or of what is multiplied by them with a gradient."""
    (rows, columns), (height, width) = one.shape, its.shape
    if columns == width and kind.shape == (rows, height):
        yield f"{name} @ {factor}.T", 3.6
    if columns == height and kind.shape == (rows, width):
        yield f"{name} @ {factor}", 3.9
    if rows == height and kind.shape == (width, columns):
        yield f"{factor}.T @ {name}", 3.6
    if rows == height and kind.shape == (columns, width):
        yield f"{name}.T @ {factor}", 3.7


def through_two(
    name: str, one: Kind, known: dict[str, Kind], flow: frozenset[str], kind: Kind
) -> Iterator[tuple[str, float]]:
    """A gradient that goes back through two products with weights, one after the other."""
    weights = {w: its for w, its in known.items() if w not in flow and is_matrix(its)}
    for second, its in weights.items():
        for first, other in weights.items():
            is_chained = one.shape[1] == its.shape[1] and its.shape[0] == other.shape[1]
            if first != second and is_chained and kind.shape == (one.shape[0], other.shape[0]):
                yield f"{name} @ {second}.T @ {first}.T", 4.2
