"""Edits that add a term: another way by which an input reaches the output."""

import ast
from collections.abc import Iterator

import numpy as np

from gradcheck.repair.edits import Draft, Edit
from gradcheck.repair.factors import broadcasts
from gradcheck.repair.scope import Kind
from gradcheck.repair.trees import binary, is_term, parsed

SUMS = (ast.Add, ast.Sub)

ALSO = ("product-rule-term-missing",)
"""What a missing term is called as well: half of u'·v + u·v'."""


def paths(draft: Draft) -> Iterator[Edit]:
    """A term more, in every sum through which the gradient flows."""
    for site, kind in draft.suspects():
        is_summed = isinstance(site.parent, ast.BinOp) and isinstance(site.parent.op, SUMS)
        is_whole = is_term(site) and not is_summed
        if not is_whole or not kind.is_floating or not draft.carries(site.node):
            continue
        if not kind.shape or isinstance(site.node, ast.Constant):
            continue
        for text, cost in (*terms(draft, kind), *broadcast(draft, kind), *decays(draft, kind)):
            total = binary(site.node, ast.Add(), parsed(text))
            yield draft.change("path-missing", cost, site, total, ALSO)
            rest = binary(site.node, ast.Sub(), parsed(text))
            yield draft.change("path-missing", cost + 0.4, site, rest, ALSO)


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


def broadcast(draft: Draft, kind: Kind) -> Iterator[tuple[str, float]]:
    """Products of a gradient and a value that fill the shape together, one with a new axis."""
    if len(kind.shape) < 2 or not draft.flow:
        return
    known = [(name, its) for name, its in draft.scope.names.items() if its.is_floating]
    flowing = [part for name, its in known if name in draft.flow for part in laid(name, its, kind)]
    others = [
        part for name, its in known if name not in draft.flow for part in laid(name, its, kind)
    ]
    for name, shape in flowing:
        for factor, its in others:
            is_new = kind.shape not in (shape, its) or "None" in name + factor
            if is_new and np.broadcast_shapes(shape, its) == kind.shape:
                yield f"{name} * {factor}", 4.2


def laid(name: str, its: Kind, kind: Kind) -> Iterator[tuple[str, tuple[int, ...]]]:
    """An array as it is, and with one new axis, where it can be broadcast to the shape."""
    if its.shape and broadcasts(its.shape, kind.shape):
        yield name, its.shape
    if its.shape and len(its.shape) == len(kind.shape) - 1:
        for axis in range(len(kind.shape)):
            shape = (*its.shape[:axis], 1, *its.shape[axis:])
            if broadcasts(shape, kind.shape):
                index = [":"] * len(its.shape)
                index.insert(axis, "None")
                yield f"{name}[{', '.join(index)}]", shape


def decays(draft: Draft, kind: Kind) -> Iterator[tuple[str, float]]:
    """Terms of a penalty in a loss: a value, divided by a number of samples."""
    if draft.flow:
        return
    counts = [n for n, its in draft.scope.names.items() if its.dtype == "i" and not its.shape]
    for name in draft.scope.others(kind):
        for count in counts:
            yield f"{name} / {count}", 4.1
            yield f"2 * {name} / {count}", 4.2
