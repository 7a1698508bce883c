"""Edits that add: a factor of the chain rule, a size to divide by."""

import ast
from collections.abc import Iterator

from gradcheck.repair.edits import Draft, Edit
from gradcheck.repair.scope import Kind
from gradcheck.repair.sites import Site
from gradcheck.repair.trees import binary, parsed, times

SLOPES = (
    ("({v} > 0)", False),
    ("(1 - {v} ** 2)", False),
    ("({v} * (1 - {v}))", False),
    ("(1 - {np}.tanh({v}) ** 2)", True),
    ("{np}.cos({v})", True),
    ("{np}.exp({v})", True),
    ("(2 * {v})", False),
    ("(1 - {v})", False),
)
"""Derivatives of activations, by value or by argument; whether NumPy is needed."""

ALIKE = ("T", "shape", "ndim", "size", "dtype", "copy", "astype", "reshape")
"""Attributes of an array before which a factor is the same as behind them, or is none."""


BATCH = ("scaled-by-batch", "divided-by-batch-twice")
"""What it is called that a division by the number of samples is missing, or too much."""


def added(draft: Draft) -> Iterator[Edit]:
    """Factors at every place through which the gradient flows."""
    for site, kind in draft.suspects():
        if may_grow(draft, site, kind):
            yield from with_size(draft, site)
            for text, slug, cost in fitting(draft, kind):
                yield draft.change(slug, cost, site, times(site.node, parsed(text)))
            for name, other in draft.scope.names.items():
                if other.is_floating and broadcasts(other.shape, kind.shape):
                    quotient = binary(site.node, ast.Div(), parsed(name))
                    yield draft.change("chain-rule-factor-missing", 4.5, site, quotient)
    yield from before_all(draft)


def may_grow(draft: Draft, site: Site, kind: Kind) -> bool:
    """A place where a product ends: its own factors need no further ones."""
    if not kind.is_floating or not draft.carries(site.node):
        return False
    parent = site.parent
    if isinstance(site.node, (ast.Constant, ast.UnaryOp)) or isinstance(parent, ast.UnaryOp):
        return False
    if isinstance(parent, ast.BinOp) and isinstance(parent.op, (ast.Mult, ast.Div)):
        return False
    return not (isinstance(parent, ast.Attribute) and parent.attr in ALIKE)


def fitting(draft: Draft, kind: Kind) -> Iterator[tuple[str, str, float]]:
    """Factors that leave the shape as it is, the slug and the cost of each."""
    for name, other in draft.scope.names.items():
        if not other.is_floating or not broadcasts(other.shape, kind.shape):
            continue
        if name in draft.flow:
            continue
        slug = "batchnorm-gamma-missing" if "gamma" in name else "chain-rule-factor-missing"
        yield name, slug, 3.3
        if other.shape == kind.shape and kind.shape:
            for slope, needs_numpy in SLOPES:
                if not needs_numpy or draft.numpy:
                    text = slope.format(v=name, np=draft.numpy)
                    yield text, "activation-derivative-missing", 3.6


def broadcasts(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether an array of the one shape can be multiplied into the other."""
    if len(shape) > len(whole):
        return False
    pairs = zip(shape[::-1], whole[::-1], strict=False)
    return all(size in (1, other) for size, other in pairs)


def with_size(draft: Draft, site: Site) -> Iterator[Edit]:
    """Divided by a number of samples, multiplied by it, doubled, halved."""
    node = site.node
    for number in (2, 0.5):
        doubled = times(parsed(repr(number)), node)
        yield draft.change("scaled-by-constant", 2.4, site, doubled)
    for text, axis in sizes(draft):
        cost = 2.5 if axis == 0 else 4
        quotient = binary(node, ast.Div(), parsed(text))
        missing, twice = BATCH if axis == 0 else ("scaled-by-constant",) * 2
        yield draft.change(missing, cost, site, quotient)
        yield draft.change(twice, cost, site, times(node, parsed(text)))
        if draft.numpy:
            root = parsed(f"{draft.numpy}.sqrt({text})")
            root_of = binary(node, ast.Div(), root)
            yield draft.change("scaled-by-constant", cost + 1, site, root_of)


def sizes(draft: Draft) -> Iterator[tuple[str, int]]:
    """Sizes of the arguments along their first axes, each number once."""
    seen = {1}
    for axis in (0, 1):
        for name in (*draft.cotangents, *draft.inputs):
            known = draft.scope.names.get(name)
            if known is None or len(known.shape) <= axis or known.shape[axis] in seen:
                continue
            seen.add(known.shape[axis])
            yield f"{name}.shape[{axis}]", axis


def before_all(draft: Draft) -> Iterator[Edit]:
    """A cotangent times a factor before anything else is done, for every place that reads it."""
    for name in draft.cotangents:
        known = draft.scope.names.get(name)
        reads = [s for s in draft.sites if isinstance(s.node, ast.Name)
                 and s.node.id == name and isinstance(s.node.ctx, ast.Load)]  # fmt: skip
        if known is None or len(reads) < 2:
            continue
        first = draft.sites[0]
        for text, slug, cost in fitting(draft, known):
            factor = times(ast.Name(name, ast.Load()), parsed(text))
            if isinstance(first.node, ast.expr):
                yield Edit(slug, cost + 0.5, tuple((site, factor) for site in reads))
                continue
            statement = ast.Assign([ast.Name(name, ast.Store())], factor)
            block = ast.If(ast.Constant(True), [statement, first.node], [])
            yield Edit(slug, cost + 0.5, ((first, block),), is_inserted=True)
