"""Edits of calls: axes of a sum, sum and mean, functions that ought not to be there."""

import ast
import copy
from collections.abc import Iterator
from typing import Any

from gradcheck.repair.edits import Draft, Edit
from gradcheck.repair.sites import Site
from gradcheck.repair.trees import REDUCTIONS, argument, called, in_slope

TWINS = (("sum", "mean"), ("sin", "cos"), ("sinh", "cosh"), ("maximum", "minimum"),
         ("max", "min"), ("zeros_like", "ones_like"), ("sqrt", "square"), ("tanh", "cosh"),
         ("cumsum", "cumprod"), ("std", "var"), ("log", "log1p"), ("exp", "expm1"))  # fmt: skip
"""Functions that are taken for each other."""

DROPPED = {"clip": "cotangent-clipped", "astype": "reduced-precision", "round": "reduced-precision",
           "float16": "reduced-precision", "float32": "reduced-precision",
           "sign": "cotangent-nonlinear", "abs": "cotangent-nonlinear"}  # fmt: skip
"""Functions whose argument is meant, and what that mistake is called."""

OF_COTANGENT = {"maximum": "cotangent-masked", "minimum": "cotangent-masked",
                "where": "cotangent-masked", "ones_like": "cotangent-ignored",
                "zeros_like": "gradient-stops"}  # fmt: skip
"""What it is called that such a function of dy stands where dy is meant."""

KNOWN = ("exp", "tanh", "sigmoid", "sin", "cos", "log", "sqrt", "square", "power", "where",
         "maximum", "minimum", "softmax", "relu", "multiply")  # fmt: skip
"""Functions of which it is clear what it means that they are applied."""

CURVED = ("tanh", "sigmoid", "exp", "log", "sqrt", "square", "sin", "cos", "softmax")
"""Functions that are not linear."""

BOUNDED = ("tanh", "arctan", "sigmoid")
"""Those that clip what is large, though softly."""

AXES = (0, 1, -1, None, 2, 3, (0, 1), (0, 2), (1, 2), (0, 1, 2), (0, 2, 3))


def sums(draft: Draft) -> Iterator[Edit]:
    """Another axis of a reduction, with its axes kept or not."""
    for site in draft.sites:
        node = site.node
        if called(node) not in REDUCTIONS:
            continue
        taken = argument(node)
        kind = draft.scope.of(taken) if taken is not None else None
        count = len(kind.shape) if kind is not None else 2
        slug = slug_of_axis(site)
        for axis in AXES:
            largest = max(axis) if isinstance(axis, tuple) else axis or 0
            if largest < count:
                yield draft.change(slug, 2, site, with_axis(node, taken, axis, None))
                yield draft.change(slug, 2.5, site, with_axis(node, taken, axis, True))
        yield draft.change(slug, 2.5, site, with_axis(node, taken, "same", True))
        yield draft.change(slug, 2.5, site, with_axis(node, taken, "same", False))
        if called(node) in ("var", "std"):
            for ddof in (0, 1):
                changed = with_keyword(node, "ddof", ast.Constant(ddof))
                yield draft.change("batchnorm-unbiased-variance", 2, site, changed)
    yield from unsummed(draft)


def slug_of_axis(site: Site) -> str:
    """A sum is the gradient of what was broadcast, where it is not part of something else."""
    is_whole = isinstance(site.parent, (ast.stmt, ast.Tuple, ast.List)) or site.above is None
    is_gradient = called(site.node) in ("sum", "mean") and is_whole
    return "bias-wrong-axis" if is_gradient else "statistics-wrong-axis"


def with_axis(node: ast.Call, taken: Any, axis: Any, keepdims: bool | None) -> ast.Call:
    """The call with another axis; "same" leaves it."""
    changed = node
    if axis != "same":
        first = 0 if isinstance(node.func, ast.Attribute) and taken is node.func.value else 1
        value = ast.parse(repr(axis), mode="eval").body
        changed = copy.copy(node)
        changed.args = list(node.args[:first])
        changed = with_keyword(changed, "axis", value)
    if keepdims is not None:
        changed = with_keyword(changed, "keepdims", ast.Constant(keepdims))
    return changed


def with_keyword(node: ast.Call, name: str, value: ast.expr) -> ast.Call:
    """The call with this keyword, in its place where it has one."""
    changed = ast.keyword(name, value)
    keywords = [changed if keyword.arg == name else keyword for keyword in node.keywords]
    if changed not in keywords:
        keywords.append(changed)
    return ast.Call(node.func, node.args, keywords)


def unsummed(draft: Draft) -> Iterator[Edit]:
    """A gradient that has to be summed before it is returned."""
    for site, kind in draft.expressions():
        is_returned = isinstance(site.parent, (ast.Tuple, ast.Return, ast.Assign)) or (
            site.above is None
        )
        if not is_returned or not kind.is_floating or not kind.shape:
            continue
        for axis in [*range(len(kind.shape)), tuple(range(len(kind.shape) - 1))]:
            if axis in ((), (0,)):
                continue
            call = ast.Call(
                ast.Attribute(site.node, "sum", ast.Load()),
                [],
                [ast.keyword("axis", ast.parse(repr(axis), mode="eval").body)],
            )
            yield draft.change("bias-not-summed", 2.5, site, call)
            kept = with_keyword(call, "keepdims", ast.Constant(True))
            yield draft.change("bias-not-summed", 3, site, kept)


def functions(draft: Draft) -> Iterator[Edit]:
    """One function taken for another, or one that ought not to be there."""
    for site in draft.sites:
        node = site.node
        name = called(node)
        if not name:
            continue
        for pair in TWINS:
            if name in pair:
                other = pair[1 - pair.index(name)]
                slug = slug_of_twin(name, other, node)
                yield draft.change(slug, 2, site, renamed(node, other))
        taken = argument(node)
        if taken is not None and alike(draft, site, taken):
            yield draft.change(slug_of_dropped(draft, site, taken), 2.5, site, taken)
        if name == "where" and len(node.args) == 3:
            test, first, second = node.args
            turned = ast.Call(node.func, [test, second, first], [])
            yield draft.change("region-wrong", 2, site, turned)
            yield draft.change("region-wrong", 3, site, first)
            yield draft.change("region-wrong", 3, site, second)


def slug_of_dropped(draft: Draft, site: Site, taken: ast.expr) -> str:
    """What it means that a function has to go."""
    name = called(site.node)
    is_of_cotangent = bool(draft.flow) and draft.carries(taken)
    if name == "clip" and not is_of_cotangent:
        return "probability-clipped"
    if is_of_cotangent and name in OF_COTANGENT:
        return OF_COTANGENT[name]
    if is_of_cotangent and name in BOUNDED:
        return "cotangent-clipped"
    if is_of_cotangent and name in CURVED:
        return "cotangent-nonlinear"
    if name in KNOWN and (in_slope(site) or is_for_slope(draft, site)):
        return "activation-derivative-at-output"
    return DROPPED.get(name, "chain-rule-factor-missing" if name in KNOWN else "entries-wrong")


def is_for_slope(draft: Draft, site: Site) -> bool:
    """Whether a derivative is taken at the variable that the value is assigned to."""
    statement = site.statement
    if not isinstance(statement, ast.Assign) or statement.value is not site.node:
        return False
    name = ast.unparse(statement.targets[0])
    return any(
        isinstance(other.node, (ast.Name, ast.Attribute))
        and in_slope(other)
        and ast.unparse(other.node) == name
        for other in draft.sites
    )


def alike(draft: Draft, site: Site, taken: ast.expr) -> bool:
    """Whether a function keeps the shape of its argument."""
    outer, inner = draft.scope.of(site.node), draft.scope.of(taken)
    return outer is not None and inner is not None and outer.shape == inner.shape


def slug_of_twin(name: str, other: str, node: ast.Call) -> str:
    """What it means that the one function is taken for the other."""
    if {name, other} == {"mean", "sum"} and is_over_samples(node):
        return "divided-by-batch-twice" if other == "sum" else "scaled-by-batch"
    if {name, other} == {"mean", "sum"}:
        return "scaled-by-constant"
    return "wrong-function-derivative"


def is_over_samples(node: ast.Call) -> bool:
    """Whether a reduction goes over axis 0, or over everything."""
    axis = next((k.value for k in node.keywords if k.arg == "axis"), None)
    if axis is None and len(node.args) > (0 if is_method(node) else 1):
        axis = node.args[-1]
    return axis is None or (isinstance(axis, ast.Constant) and axis.value in (0, None))


def is_method(node: ast.Call) -> bool:
    return argument(node) is not None and argument(node) not in node.args


def renamed(node: ast.Call, other: str) -> ast.Call:
    function: ast.expr = (
        ast.Attribute(node.func.value, other, ast.Load())
        if isinstance(node.func, ast.Attribute)
        else ast.Name(other, ast.Load())
    )
    return ast.Call(function, node.args, node.keywords)
