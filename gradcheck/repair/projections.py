"""Edits that add what couples entries: the sum of a softmax, the means of a normalisation."""

import ast
from collections.abc import Iterator

from gradcheck.repair.edits import Draft, Edit
from gradcheck.repair.scope import Kind
from gradcheck.repair.sites import Site
from gradcheck.repair.trees import binary, parsed, times


def softmax(draft: Draft) -> Iterator[Edit]:
    """p·(d − Σ p·d), where p·d is written, or p·(1 − p)·d."""
    for site, kind in draft.suspects():
        node = site.node
        if not is_product(node) or not kind.shape or is_product(site.parent):
            continue
        factors = factors_of(node)
        for gradient in [f for f in factors if draft.carries(f)]:
            known = [f for f in factors if f is not gradient]
            for p in [f for f in known if isinstance(f, (ast.Name, ast.Attribute))]:
                if not has_shape(draft, p, kind) or not has_shape(draft, gradient, kind):
                    continue
                rest = [f for f in known if f is not p and not is_one_less(f, p)]
                for axis in axes(kind):
                    centred = without_sum(gradient, p, axis)
                    changed = joined([p, centred, *rest])
                    yield draft.change("softmax-jacobian-diagonal", 3.3, site, changed)


def is_product(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult)


def factors_of(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [*factors_of(node.left), *factors_of(node.right)]
    return [node]


def is_one_less(node: ast.expr, p: ast.expr) -> bool:
    """1 − p"""
    return ast.unparse(node).replace("1.0", "1") == f"1 - {ast.unparse(p)}"


def has_shape(draft: Draft, node: ast.expr, kind: Kind) -> bool:
    known = draft.scope.of(node)
    return known is not None and known.shape == kind.shape


def axes(kind: Kind) -> list[int]:
    """The last one first: there the classes are."""
    return list(range(-1, -len(kind.shape) - 1, -1))


def without_sum(gradient: ast.expr, p: ast.expr, axis: int) -> ast.expr:
    """D − Σ d·p"""
    text = f"({ast.unparse(times(gradient, p))}).sum(axis={axis}, keepdims=True)"
    return binary(gradient, ast.Sub(), parsed(text))


def joined(factors: list[ast.expr]) -> ast.expr:
    found = factors[0]
    for factor in factors[1:]:
        found = times(found, factor)
    return found


def means(draft: Draft) -> Iterator[Edit]:
    """d − mean(d), and d − x̂·mean(d·x̂)."""
    for site, kind in draft.suspects():
        if not draft.flow or not kind.is_floating or not kind.shape or not draft.carries(site.node):
            continue
        if not isinstance(site.node, (ast.Name, ast.BinOp, ast.Attribute)) or in_sum(site):
            continue
        text = ast.unparse(site.node)
        for axis in axes(kind):
            mean = parsed(f"({text}).mean(axis={axis}, keepdims=True)")
            less = binary(site.node, ast.Sub(), mean)
            yield draft.change("batchnorm-mean-term-missing", 4, site, less)
            for name in normalised(draft, kind):
                term = parsed(f"{name} * ({text} * {name}).mean(axis={axis}, keepdims=True)")
                less = binary(site.node, ast.Sub(), term)
                yield draft.change("batchnorm-variance-term-missing", 4.1, site, less)


def normalised(draft: Draft, kind: Kind) -> Iterator[str]:
    """What may be x̂: variables of the shape, and products that forward computes."""
    yield from (name for name in draft.scope.others(kind) if name not in draft.flow)
    for formula in draft.formulas.values:
        node = parsed(formula.text)
        is_scaled = isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div))
        if is_scaled and formula.kind == kind:
            yield f"({formula.text})"


def in_sum(site: Site) -> bool:
    """Whether it is a term of a longer sum, which is tried as a whole."""
    parent = site.parent
    return isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Add) and (
        isinstance(site.node, ast.BinOp)
    )  # fmt: skip
