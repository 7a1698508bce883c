"""Edits of numbers: exponents, constants that forward has too, comparisons, ranges, indices."""

import ast
from collections.abc import Iterator
from typing import Any

from gradcheck.repair.edits import Draft, Edit
from gradcheck.repair.sites import Site
from gradcheck.repair.trees import binary, called, parsed

COMPARISONS = (ast.Gt, ast.Lt, ast.GtE, ast.LtE)

LARGEST = 1e9
"""Whole numbers below this are written without a point."""

TINY = 1e-2
"""A constant below this is an eps."""


def constants(draft: Draft) -> Iterator[Edit]:
    """Another number in place of one."""
    for site in draft.sites:
        node = site.node
        if not isinstance(node, ast.Constant) or isinstance(node.value, (bool, str, bytes)):
            continue
        if not isinstance(node.value, (int, float)) or isinstance(site.parent, ast.keyword):
            continue
        is_exponent = isinstance(site.parent, ast.BinOp) and isinstance(site.parent.op, ast.Pow)
        for number in others(node.value, draft.numbers, is_exponent):
            slug = slug_of(site, node.value, number)
            yield draft.change(slug, 3, site, parsed(repr(number)))


def others(value: float, known: tuple[float, ...], is_exponent: bool) -> list[float]:
    """Numbers that may be meant: those of forward, the halves and doubles, the neighbours."""
    found: list[float] = [*known, value + 1, value - 1, 2 * value, -value]
    found += [value / 2] if value else []
    found += [1 / value] if value not in (0, 1) else []
    found += [value + 0.5, value - 0.5] if is_exponent else []
    return [tidy(number) for number in dict.fromkeys(found) if number != value]


def tidy(number: float) -> float:
    """A whole number without its point."""
    return int(number) if abs(number) < LARGEST and number == int(number) else number


def slug_of(site: Site, value: float, number: float) -> str:
    parent = site.parent
    if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Pow) and site.field == "right":
        return "power-rule"
    if isinstance(parent, ast.Compare):
        return "region-wrong"
    if 0 < abs(value) < TINY and 0 < abs(number) < TINY:
        return "batchnorm-eps-mismatch"
    if isinstance(parent, ast.Subscript) and ast.unparse(parent.value).endswith(".shape"):
        return "scaled-by-constant"
    if isinstance(parent, (ast.Subscript, ast.Slice)) or called(parent) == "range":
        return "tail-not-computed"
    if isinstance(parent, ast.BinOp) and isinstance(parent.op, (ast.Mult, ast.Div)):
        return "scaled-by-constant"
    return "activation-derivative-formula"


def comparisons(draft: Draft) -> Iterator[Edit]:
    """The other way round."""
    for site in draft.sites:
        node = site.node
        if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], COMPARISONS):
            continue
        for operator in COMPARISONS:
            if not isinstance(node.ops[0], operator):
                changed = ast.Compare(node.left, [operator()], node.comparators)
                yield draft.change("region-wrong", 2, site, changed)


def ranges(draft: Draft) -> Iterator[Edit]:
    """Loops and slices that end too early, begin too late, or run the wrong way."""
    for site in draft.sites:
        node = site.node
        if called(node) == "range":
            yield from loops(draft, site)
        elif isinstance(node, ast.Slice):
            yield from slices(draft, site)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            kind, inner = draft.scope.of(node), draft.scope.of(node.value)
            if kind is not None and inner is not None and kind.shape == inner.shape:
                yield draft.change("permuted", 2.5, site, node.value)
    yield from reversed_arrays(draft)


def loops(draft: Draft, site: Site) -> Iterator[Edit]:
    node = site.node
    wrapped = ast.Call(ast.Name("reversed", ast.Load()), [node], [])
    above = site.above
    if above is not None and called(above.node) == "reversed":
        yield draft.change("layers-out-of-order", 2, above, node)
    elif isinstance(site.parent, (ast.For, ast.comprehension)):
        yield draft.change("layers-out-of-order", 2, site, wrapped)
    for k, bound in enumerate(node.args):
        for step in (1, -1):
            moved = list(node.args)
            moved[k] = shifted(bound, step)
            changed = ast.Call(node.func, moved, [])
            yield draft.change("tail-not-computed", 2, site, changed)
    if len(node.args) == 1:
        later = ast.Call(node.func, [ast.Constant(1), node.args[0]], [])
        yield draft.change("tail-not-computed", 3, site, later)
    elif len(node.args) == 2:
        yield draft.change("tail-not-computed", 2, site, ast.Call(node.func, node.args[1:], []))


def shifted(node: ast.expr, step: int) -> ast.expr:
    """One more or one less, written in the shortest way."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return parsed(repr(node.value + step))
    back: type[ast.operator] = ast.Sub if step > 0 else ast.Add
    if isinstance(node, ast.BinOp) and isinstance(node.op, back):
        last = node.right
        if isinstance(last, ast.Constant) and last.value == 1:
            return node.left
    return binary(node, ast.Add() if step > 0 else ast.Sub(), ast.Constant(1))


def slices(draft: Draft, site: Site) -> Iterator[Edit]:
    node = site.node
    if node.step is not None:
        yield draft.change("permuted", 2, site, ast.Slice(node.lower, node.upper, None))
    if node.upper is not None or node.lower is not None:
        yield draft.change("tail-not-computed", 2, site, ast.Slice(None, None, node.step))
    for name in ("lower", "upper"):
        bound = getattr(node, name)
        if bound is None:
            continue
        for step in (1, -1):
            parts: dict[str, Any] = {"lower": node.lower, "upper": node.upper}
            parts[name] = shifted(bound, step)
            changed = ast.Slice(parts["lower"], parts["upper"], node.step)
            yield draft.change("tail-not-computed", 2, site, changed)
        parts = {"lower": node.lower, "upper": node.upper, name: None}
        yield draft.change("tail-not-computed", 2.5, site, ast.Slice(**parts, step=node.step))


def indices(draft: Draft) -> Iterator[Edit]:
    """A place before or after the one that is read or written."""
    for site in draft.sites:
        node = site.node
        if not isinstance(site.parent, (ast.Subscript, ast.Tuple)) or not isinstance(
            node, (ast.Name, ast.BinOp)
        ):
            continue
        kind = draft.scope.of(node)
        is_index = site.field == "slice" or (site.above is not None and site.above.field == "slice")
        if kind is None or not is_index or kind.shape or kind.dtype != "i":
            continue
        for step in (1, -1):
            yield draft.change("other-layers-values", 2.5, site, shifted(node, step))
            for name, other in draft.scope.names.items():
                if not other.shape and other.dtype == "i" and name != ast.unparse(node):
                    operator: ast.operator = ast.Add() if step > 0 else ast.Sub()
                    farther = binary(node, operator, parsed(name))
                    yield draft.change("other-layers-values", 3, site, farther)


def reversed_arrays(draft: Draft) -> Iterator[Edit]:
    """An array from the end, as a convolution needs its kernel."""
    for site, kind in draft.expressions():
        if not isinstance(site.node, (ast.Name, ast.Attribute)) or not kind.shape:
            continue
        if not kind.is_floating:
            continue
        text = ast.unparse(site.node)
        for axis in range(len(kind.shape)):
            index = ", ".join([":"] * axis + ["::-1"])
            yield draft.change("permuted", 4, site, parsed(f"{text}[{index}]"))
