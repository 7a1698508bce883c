"""Edits that take something of forward's: a value that it computes, or a derivative of it."""

import ast
from collections.abc import Iterator

from gradcheck.repair.edits import Draft, Edit
from gradcheck.repair.factors import SLOPES, broadcasts, may_grow
from gradcheck.repair.related import (
    looks_like_slope,
    of_values,
    slug_of_factor,
    slugs_of_derivative,
)
from gradcheck.repair.scope import Kind
from gradcheck.repair.sites import Site
from gradcheck.repair.trees import binary, in_comparison, parsed, times

OTHER = "wrong-activation-derivative"

HOLDS = (ast.Name, ast.Attribute, ast.Subscript)
"""What holds a value, and computes none."""


def values(draft: Draft) -> Iterator[Edit]:
    """An expression of forward's in place of one that has the same shape."""
    for site, kind in draft.suspects():
        if not is_factor(draft, site, kind):
            continue
        text = ast.unparse(site.node)
        cost = 2.8 if isinstance(site.node, HOLDS) else 3.5
        cost += 1.0 if in_comparison(site) else 0.0
        for formula in draft.formulas.values:
            if formula.kind == kind and formula.text != text:
                slugs = of_values(draft, site, formula.text)
                more = 0.6 if slugs[0] == "chain-rule-factor-missing" else 0.0
                yield draft.change(slugs[0], cost + more, site, parsed(formula.text), slugs[1:])


def is_factor(draft: Draft, site: Site, kind: Kind) -> bool:
    """Whether it is an array that no gradient flows through: what it is multiplied by."""
    if not kind.is_floating or not kind.shape or isinstance(site.node, ast.Constant):
        return False
    if isinstance(site.parent, ast.Attribute) and site.parent.attr in ("shape", "ndim", "size"):
        return False
    return not draft.flow or not draft.carries(site.node)


def derivatives(draft: Draft) -> Iterator[Edit]:
    """The derivative of one of forward's expressions, as a factor more, or instead of another."""
    for site, kind in draft.suspects():
        if may_grow(draft, site, kind):
            for slope in draft.formulas.derivatives:
                if broadcasts(slope.kind.shape, kind.shape):
                    grown = times(site.node, parsed(slope.text))
                    yield draft.change(slug_of_factor(draft, slope.text), 3.2, site, grown)
        if is_factor(draft, site, kind) and not isinstance(site.node, ast.Subscript):
            text = ast.unparse(site.node)
            for slope in draft.formulas.derivatives:
                if slope.kind.shape == kind.shape:
                    slug, *also = slugs_of_derivative(draft, text, slope.text)
                    yield draft.change(slug, 3.5, site, parsed(slope.text), tuple(also))


def form(node: ast.expr) -> tuple[type, ...]:
    """What is done at its root; below it, too, where that is a difference."""
    if not isinstance(node, ast.BinOp):
        return (type(node),)
    below = form(node.right) if isinstance(node.op, ast.Sub) else ()
    return (type(node.op), *below)


def slopes(draft: Draft) -> Iterator[Edit]:
    """The derivative of another activation in place of one."""
    for site, kind in draft.suspects():
        if not is_factor(draft, site, kind) or not looks_like_slope(draft, site.node):
            continue
        for name in draft.scope.others(kind):
            if name in draft.flow:
                continue
            for slope, needs_numpy in SLOPES:
                if draft.numpy or not needs_numpy:
                    changed = parsed(slope.format(v=name, np=draft.numpy))
                    is_same = form(changed) == form(site.node)
                    slug = "activation-derivative-at-output" if is_same else OTHER
                    yield draft.change(slug, 3.6, site, changed)


def product_terms(draft: Draft) -> Iterator[Edit]:
    """The other half of u'·v + u·v'."""
    for site, kind in draft.suspects():
        if not is_factor(draft, site, kind):
            continue
        for term in draft.formulas.partial:
            if term.kind.shape == kind.shape:
                for operator in (ast.Add(), ast.Sub()):
                    total = binary(site.node, operator, parsed(term.text))
                    yield draft.change("product-rule-term-missing", 3.4, site, total)
