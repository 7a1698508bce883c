"""Edits of names: another value of the same shape, gradients returned in each other's place."""

import ast
from collections.abc import Iterator
from itertools import combinations

from gradcheck.repair.edits import Draft, Edit
from gradcheck.repair.factors import broadcasts
from gradcheck.repair.related import of_gradients, of_values
from gradcheck.repair.scope import Kind
from gradcheck.repair.sites import Site
from gradcheck.repair.trees import binary, in_comparison, in_slope, parsed


def replaced(draft: Draft) -> Iterator[Edit]:
    """One variable in place of another of the same shape."""
    for site, kind in draft.expressions():
        if not isinstance(site.node, (ast.Name, ast.Attribute)) or not kind.is_floating:
            continue
        text = ast.unparse(site.node)
        if text.endswith(".T"):
            continue
        for other in draft.scope.others(kind, text):
            cost = 2 if draft.carries(site.node) == draft.carries(parsed(other)) else 3.5
            slug, *also = slugs_of(draft, site, text, other)
            yield draft.change(slug, cost, site, parsed(other), tuple(also))
        yield from of_other_shape(draft, site, kind)
        if not draft.is_flowing(text) and not in_comparison(site):
            if kind.shape:
                complement = binary(ast.Constant(1), ast.Sub(), site.node)
                yield draft.change("other-layers-values", 2.1, site, complement)
            square = binary(site.node, ast.Pow(), ast.Constant(2))
            slug = "activation-derivative-formula" if in_slope(site) else "power-rule"
            yield draft.change(slug, 2.1, site, square)
        if len(kind.shape) == 2 and kind.shape[0] != kind.shape[1]:
            turned = type(kind)(kind.shape[::-1], kind.dtype)
            for other in draft.scope.others(turned, text):
                yield draft.change("wrong-weights", 3, site, parsed(f"{other}.T"))


def of_other_shape(draft: Draft, site: Site, kind: Kind) -> Iterator[Edit]:
    """A factor that is broadcast where another is."""
    parent = site.parent
    if not isinstance(parent, ast.BinOp) or not isinstance(parent.op, (ast.Mult, ast.Div)):
        return
    product = draft.scope.of(parent)
    if product is None or draft.is_flowing(ast.unparse(site.node)):
        return
    for name, other in draft.scope.names.items():
        is_another = other.is_floating and other.shape != kind.shape and name not in draft.flow
        if is_another and broadcasts(other.shape, product.shape):
            yield draft.change("other-layers-values", 3.1, site, parsed(name))


def expressions(draft: Draft) -> Iterator[Edit]:
    """A variable in place of a whole expression of its shape."""
    for site, kind in draft.suspects():
        if isinstance(site.node, (ast.Name, ast.Attribute, ast.Constant)) or not kind.shape:
            continue
        if not kind.is_floating:
            continue
        for other in draft.scope.others(kind):
            slug, *also = slugs_of(draft, site, ast.unparse(site.node), other)
            cost = 3.2 if in_slope(site) else 4.2
            yield draft.change(slug, cost, site, parsed(other), tuple(also))


def slugs_of(draft: Draft, site: Site, wrong: str, right: str) -> tuple[str, ...]:
    """What it means that this name stands where another belongs."""
    if isinstance(site.parent, ast.Compare) and draft.is_flowing(wrong):
        return ("cotangent-masked",)
    if draft.is_flowing(wrong) and draft.is_flowing(right):
        return of_gradients(draft, wrong, right)
    if draft.flow and draft.carries(site.node):
        return ("other-layers-values",)
    return of_values(draft, site, right)


def swapped(draft: Draft) -> Iterator[Edit]:
    """Two elements of a row in each other's place: of what is returned, or handed on."""
    for site in draft.sites:
        node = site.node
        is_returned = isinstance(site.parent, (ast.Return, ast.Lambda))
        is_handed_on = isinstance(site.parent, (ast.Call, ast.Assign)) and site.field != "targets"
        if not isinstance(node, (ast.Tuple, ast.List)) or not (is_returned or is_handed_on):
            continue
        for i, j in combinations(range(len(node.elts)), 2):
            kinds = [draft.scope.of(node.elts[k]) for k in (i, j)]
            if is_handed_on and (None in kinds or kinds[0] != kinds[1]):
                continue
            elements = list(node.elts)
            elements[i], elements[j] = elements[j], elements[i]
            row = type(node)(elements, ast.Load())
            yield draft.change("swapped-gradients", 1 if is_returned else 1.6, site, row)
