"""Trees: small expressions put together, and what an expression is part of."""

import ast
import functools

from gradcheck.repair.sites import Site

PRODUCTS = ("dot", "matmul", "einsum", "tensordot", "outer", "inner")

REDUCTIONS = ("sum", "mean", "max", "min", "var", "std", "prod")


@functools.lru_cache(maxsize=4096)
def parsed(text: str) -> ast.expr:
    """The tree of an expression; edits put it in many places, and none changes it."""
    return ast.parse(text, mode="eval").body


def binary(left: ast.expr, operator: ast.operator, right: ast.expr) -> ast.BinOp:
    return ast.BinOp(left, operator, right)


def times(left: ast.expr, right: ast.expr) -> ast.BinOp:
    return binary(left, ast.Mult(), right)


def negative(node: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.USub(), node)


def transposed(node: ast.expr) -> ast.expr:
    """Its transpose; of a transpose, what was transposed."""
    if isinstance(node, ast.Attribute) and node.attr == "T":
        return node.value
    return ast.Attribute(node, "T", ast.Load())


def called(node: ast.AST) -> str:
    """The last name of the function that is called, "" for no call."""
    if not isinstance(node, ast.Call):
        return ""
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def argument(node: ast.Call) -> ast.expr | None:
    """What a function is mainly applied to: the array before the dot, or the first argument."""
    function = node.func
    is_method = isinstance(function, ast.Attribute) and not (
        isinstance(function.value, ast.Name) and function.value.id in ("np", "numpy", "math")
    )
    if is_method:
        return function.value  # type: ignore[attr-defined, no-any-return]
    return node.args[0] if node.args and not isinstance(node.args[0], ast.Starred) else None


def is_product(node: ast.AST) -> bool:
    """A product of matrices, in whatever way it is written."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.MatMult)
    return called(node) in PRODUCTS


def in_product(site: Site) -> bool:
    """Whether it is a factor of a product of matrices, transposed or not."""
    above = site.above
    while above is not None and (
        (isinstance(above.node, ast.Attribute) and above.node.attr == "T")
        or called(above.node) in ("transpose", "swapaxes")
    ):
        above = above.above
    return above is not None and is_product(above.node)


def in_slope(site: Site) -> bool:
    """Whether it is inside what looks like the derivative of an activation."""
    above, depth = site.above, 0
    while above is not None and isinstance(above.node, ast.expr) and depth < 4:
        if isinstance(above.node, ast.Compare) or is_one_less(above.node):
            return True
        if called(above.node) in SLOPES:
            return True
        if is_product(above.node):
            return False
        above, depth = above.above, depth + 1
    return False


def in_comparison(site: Site) -> bool:
    """Whether it is inside a condition, where much that is wrong makes no difference."""
    return any(isinstance(node, ast.Compare) for node in site.chain)


SLOPES = ("tanh", "exp", "sigmoid", "cos", "sin", "cosh", "where", "erf")


def is_one_less(node: ast.AST) -> bool:
    """1 - …"""
    return (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Sub)
        and isinstance(node.left, ast.Constant)
        and node.left.value == 1
    )


def is_term(site: Site) -> bool:
    """Stands alone: a value that is assigned or returned, an argument, an element."""
    return (
        isinstance(site.parent, (ast.stmt, ast.Tuple, ast.List, ast.keyword)) or site.above is None
    )
