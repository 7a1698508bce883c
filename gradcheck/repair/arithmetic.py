"""Edits of sums and products: signs, terms, factors, and the order of matrices."""

import ast
from collections.abc import Iterator

from gradcheck.repair.edits import Draft, Edit
from gradcheck.repair.related import looks_like_slope
from gradcheck.repair.scope import Kind
from gradcheck.repair.sites import Site
from gradcheck.repair.trees import (
    REDUCTIONS,
    argument,
    binary,
    called,
    in_product,
    in_slope,
    is_one_less,
    is_product,
    is_term,
    negative,
    times,
    transposed,
)

OF_ARRAY = ("T", "shape", "size", "ndim", "dtype")
"""Attributes before which a transpose changes nothing, or nothing sensible."""


def signs(draft: Draft) -> Iterator[Edit]:
    """A sign too many, one too few, minus where plus is meant."""
    for site, kind in draft.expressions():
        node = site.node
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            yield draft.change("sign-flipped", 1, site, node.operand)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            slug = slug_of_sign(node, kind)
            other: ast.operator = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
            yield draft.change(slug, 1, site, binary(node.left, other, node.right))
            swapped = binary(node.right, ast.Sub(), node.left)
            yield draft.change(slug, 1.1, site, swapped)
        stands_alone = is_term(site) or isinstance(site.parent, ast.Call)
        if kind.is_floating and stands_alone and not isinstance(node, ast.Constant):
            yield draft.change("sign-flipped", 1.2, site, negative(node))
    for site in draft.sites:
        if isinstance(site.node, ast.AugAssign) and isinstance(site.node.op, (ast.Add, ast.Sub)):
            other = ast.Sub() if isinstance(site.node.op, ast.Add) else ast.Add()
            changed = ast.AugAssign(site.node.target, other, site.node.value)
            yield draft.change("sign-flipped", 1, site, changed)


def slug_of_sign(node: ast.BinOp, kind: Kind) -> str:
    """What it means that plus and minus are taken for each other."""
    if not kind.is_floating:
        return "tail-not-computed"
    return "activation-derivative-formula" if is_one_less(node) else "sign-flipped"


def products(draft: Draft) -> Iterator[Edit]:
    """Transposes and the order of a product of matrices."""
    for site, kind in draft.expressions():
        node = site.node
        is_plain = not (isinstance(site.parent, ast.Attribute) and site.parent.attr in OF_ARRAY)
        if is_reduced(site):
            continue  # it is the axis that is another
        if len(kind.shape) == 2 and is_plain:
            slug = "transposed"
            if site.above is not None and is_product(site.above.node):
                slug = "wrong-product" if len(draft.inputs) < 2 else "transposed"
            yield draft.change(slug, 1, site, transposed(node))
        elif len(kind.shape) > 2 and is_plain and not isinstance(site.parent, ast.Subscript):
            yield from axes_swapped(draft, site, len(kind.shape))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            a, b = node.left, node.right
            for left, right in (
                (b, a), (transposed(b), a), (b, transposed(a)), (transposed(b), transposed(a)),
                (transposed(a), transposed(b)),
            ):  # fmt: skip
                yield draft.change("wrong-product", 1.5, site, binary(left, ast.MatMult(), right))


def is_reduced(site: Site) -> bool:
    """Whether it is summed over, or the like: (…).mean(axis=0), np.sum(…, 0)."""
    outer = site.above
    if outer is not None and isinstance(outer.node, ast.Attribute):
        outer = outer.above
    return outer is not None and called(outer.node) in REDUCTIONS and (
        argument(outer.node) is site.node
    )  # fmt: skip


def axes_swapped(draft: Draft, site: Site, count: int) -> Iterator[Edit]:
    """The last two axes exchanged, or two others."""
    node = site.node
    if called(node) in ("transpose", "swapaxes") and isinstance(node.func, ast.Attribute):
        yield draft.change("transposed", 1, site, node.func.value)
    if not isinstance(node, (ast.Name, ast.Call, ast.BinOp, ast.Attribute)):
        return
    for first in range(count):
        for second in range(first + 1, count):
            method = ast.Attribute(node, "swapaxes", ast.Load())
            call = ast.Call(method, [ast.Constant(first), ast.Constant(second)], [])
            is_last = second == count - 1 and first == count - 2
            yield draft.change("transposed", 1.2 if is_last else 3, site, call)


def terms(draft: Draft) -> Iterator[Edit]:
    """A term or a factor too many, and one that divides where it ought to multiply."""
    for site, kind in draft.expressions():
        node = site.node
        if not isinstance(node, ast.BinOp):
            continue
        if isinstance(node.op, (ast.Add, ast.Sub)):
            rest = node.right if isinstance(node.op, ast.Add) else negative(node.right)
            for kept, dropped in ((node.left, node.right), (rest, node.left)):
                slug = slug_of_term(draft, site, kind, kept, dropped)
                yield draft.change(slug, 3, site, kept)
        elif isinstance(node.op, (ast.Mult, ast.Div)):
            yield from factors(draft, site)
        elif isinstance(node.op, ast.Pow):
            yield draft.change("power-rule", 3, site, node.left)
    yield from ones(draft)


def ones(draft: Draft) -> Iterator[Edit]:
    """1 + u or 1 − u, where u alone is written."""
    for site, kind in draft.expressions():
        is_power = isinstance(site.node, ast.BinOp) and isinstance(site.node.op, ast.Pow)
        is_negative = isinstance(site.node, ast.UnaryOp) and isinstance(site.node.op, ast.USub)
        if not kind.is_floating or not (is_power or is_negative) or in_sum(site):
            continue
        if draft.flow and draft.carries(site.node):
            continue
        for operator in (ast.Add(), ast.Sub()):
            more = binary(ast.Constant(1), operator, site.node)
            slugs = ("activation-derivative-formula", "product-rule-term-missing")
            yield draft.change(slugs[0], 3.1, site, more, slugs[1:])


def in_sum(site: Site) -> bool:
    return isinstance(site.parent, ast.BinOp) and isinstance(site.parent.op, (ast.Add, ast.Sub))


def slug_of_term(draft: Draft, site: Site, kind: Kind, kept: ast.expr, dropped: ast.expr) -> str:
    """What it means that a term has to go."""
    if not kind.is_floating:
        return "entries-wrong"
    if in_product(site) and ast.unparse(kept) in draft.inputs:
        return "wrong-weights"
    is_scaled = isinstance(dropped, ast.BinOp) and isinstance(dropped.op, ast.Mult)
    is_decay = is_scaled and any(ast.unparse(part) in draft.inputs for part in parts_of(dropped))
    return "weight-decay-mismatch" if is_decay else "term-without-cotangent"


def parts_of(node: ast.expr) -> tuple[ast.expr, ...]:
    return (node.left, node.right) if isinstance(node, ast.BinOp) else (node,)


def factors(draft: Draft, site: Site) -> Iterator[Edit]:
    node = site.node
    a, b = node.left, node.right
    is_product_of = isinstance(node.op, ast.Mult)
    yield draft.change(slug_of_factor(draft, site, b), 2.5, site, a)
    if is_product_of:
        yield draft.change(slug_of_factor(draft, site, a), 2.5, site, b)
        yield draft.change("chain-rule-factor-missing", 3, site, binary(a, ast.Div(), b))
        yield draft.change("chain-rule-factor-missing", 3.5, site, binary(b, ast.Div(), a))
        yield draft.change("sign-flipped", 5, site, binary(a, ast.Add(), b))
    else:
        yield draft.change("chain-rule-factor-missing", 3, site, times(a, b))
        yield draft.change("chain-rule-factor-missing", 4, site, binary(b, ast.Div(), a))


def slug_of_factor(draft: Draft, site: Site, factor: ast.expr) -> str:
    """What it means that a factor has to go."""
    kind = draft.scope.of(factor)
    if draft.flow and draft.carries(factor) and not isinstance(factor, ast.Compare):
        return "cotangent-nonlinear"
    text = ast.unparse(factor)
    if isinstance(factor, ast.Compare):
        is_of_cotangent = bool(draft.flow) and draft.carries(factor)
        return "cotangent-masked" if is_of_cotangent else "activation-derivative-twice"
    if kind is None or kind.shape:
        is_slope = in_slope(site) or "1 -" in text or looks_like_slope(draft, factor)
        return "activation-derivative-twice" if is_slope else "chain-rule-factor-missing"
    is_count = "shape" in text or "len(" in text or (kind.dtype == "i" and "size" in text)
    if is_count and "shape[" in text and "shape[0]" not in text:
        return "scaled-by-constant"
    if is_count or (isinstance(factor, ast.Name) and kind.dtype == "i"):
        is_divided = isinstance(site.node.op, ast.Div)
        return "divided-by-batch-twice" if is_divided else "scaled-by-batch"
    return "scaled-by-constant"
