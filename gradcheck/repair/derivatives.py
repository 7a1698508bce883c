"""Derivatives: of an expression with respect to a part of it, entry by entry."""

import ast

from gradcheck.repair.trees import binary, called, parsed

RULES = {
    "tanh": "1 - {np}.tanh({v}) ** 2",
    "sin": "{np}.cos({v})",
    "cos": "-{np}.sin({v})",
    "exp": "{np}.exp({v})",
    "expm1": "{np}.exp({v})",
    "log": "1 / ({v})",
    "log1p": "1 / (1 + ({v}))",
    "sqrt": "0.5 / {np}.sqrt({v})",
    "square": "2 * ({v})",
    "abs": "{np}.sign({v})",
    "absolute": "{np}.sign({v})",
    "sinh": "{np}.cosh({v})",
    "cosh": "{np}.sinh({v})",
    "arctan": "1 / (1 + ({v}) ** 2)",
    "sigmoid": "{f} * (1 - {f})",
    "expit": "{f} * (1 - {f})",
    "softplus": "1 / (1 + {np}.exp(-({v})))",
    "relu": "(({v}) > 0)",
}
"""By the name of a function of one argument; v is the argument, f the value."""

CLOSED = {"maximum": ast.Gt, "minimum": ast.Lt}
"""Functions of two arguments that give one of them, and when the first."""


class NotElementwiseError(Exception):
    """Raised inside: an entry of the value depends on several of the part, or is not known to."""


def derivative(node: ast.expr, part: str, numpy: str) -> ast.expr | None:
    """With respect to all that is written as `part`; None where there is no simple one."""
    try:
        return rule(node, part, numpy)
    except NotElementwiseError:
        return None


def rule(node: ast.expr, part: str, numpy: str) -> ast.expr | None:
    """The derivative; None stands for zero."""
    if ast.unparse(node) == part:
        return ast.Constant(1)
    if not depends(node, part):
        return None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return negated(rule(node.operand, part, numpy))
    if isinstance(node, ast.BinOp):
        return of_operator(node, part, numpy)
    if isinstance(node, ast.Call):
        return of_call(node, part, numpy)
    if isinstance(node, ast.Subscript) and is_of_new_axes(node.slice):
        return rule(node.value, part, numpy)
    raise NotElementwiseError


def depends(node: ast.AST, part: str) -> bool:
    return any(isinstance(n, ast.expr) and ast.unparse(n) == part for n in ast.walk(node))


def is_of_new_axes(index: ast.expr) -> bool:
    return all(isinstance(n, ast.Slice) or (isinstance(n, ast.Constant) and n.value is None)
               for n in getattr(index, "elts", [index]))  # fmt: skip


def of_operator(node: ast.BinOp, part: str, numpy: str) -> ast.expr | None:
    a, b = node.left, node.right
    if isinstance(node.op, ast.Pow):
        if depends(b, part):
            raise NotElementwiseError
        return product(of_power(a, b), rule(a, part, numpy))
    da, db = rule(a, part, numpy), rule(b, part, numpy)
    if isinstance(node.op, ast.Add):
        return total(da, db)
    if isinstance(node.op, ast.Sub):
        return total(da, negated(db))
    if isinstance(node.op, ast.Mult):
        return total(product(da, b), product(a, db))
    if isinstance(node.op, ast.Div):
        below = None if db is None else negated(
            binary(product(a, db) or a, ast.Div(), binary(b, ast.Pow(), ast.Constant(2)))
        )  # fmt: skip
        return total(None if da is None else binary(da, ast.Div(), b), below)
    raise NotElementwiseError


def halves(node: ast.expr, part: str, numpy: str) -> list[ast.expr]:
    """u'·v and u·v' of a product where both factors vary; else nothing."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Mult):
        return []
    try:
        slopes = [rule(factor, part, numpy) for factor in (node.left, node.right)]
    except NotElementwiseError:
        return []
    both = (product(slopes[0], node.right), product(node.left, slopes[1]))
    found = [half for half in both if half is not None]
    return found if len(found) == len(both) else []


def of_power(base: ast.expr, exponent: ast.expr) -> ast.expr:
    if isinstance(exponent, ast.Constant) and isinstance(exponent.value, (int, float)):
        lower = exponent.value - 1
        power = base if lower == 1 else binary(base, ast.Pow(), parsed(repr(lower)))
        return binary(parsed(repr(exponent.value)), ast.Mult(), power)
    return binary(
        exponent, ast.Mult(), binary(base, ast.Pow(), binary(exponent, ast.Sub(), ast.Constant(1)))
    )


def of_call(node: ast.Call, part: str, numpy: str) -> ast.expr | None:
    name, given = called(node), node.args
    if node.keywords:
        raise NotElementwiseError
    if name == "where" and len(given) == 3 and not depends(given[0], part):
        first, second = (rule(g, part, numpy) or ast.Constant(0) for g in given[1:])
        return ast.Call(node.func, [given[0], first, second], [])
    if name in CLOSED and len(given) == 2:
        test = ast.Compare(given[0], [CLOSED[name]()], [given[1]])
        other = ast.Compare(given[1], [CLOSED[name]()], [given[0]])
        slopes = [rule(g, part, numpy) for g in given]
        return total(product(test, slopes[0]), product(other, slopes[1]))
    if name not in RULES or len(given) != 1 or not numpy:
        raise NotElementwiseError
    text = RULES[name].format(np=numpy, v=ast.unparse(given[0]), f=ast.unparse(node))
    return product(parsed(text), rule(given[0], part, numpy))


def product(a: ast.expr | None, b: ast.expr | None) -> ast.expr | None:
    if a is None or b is None:
        return None
    for one, other in ((a, b), (b, a)):
        if is_one(one):
            return other
        if isinstance(one, ast.UnaryOp) and is_one(one.operand):
            return negated(other)
    return binary(a, ast.Mult(), b)


def total(a: ast.expr | None, b: ast.expr | None) -> ast.expr | None:
    if a is None:
        return b
    if isinstance(b, ast.UnaryOp) and isinstance(b.op, ast.USub):
        return binary(a, ast.Sub(), b.operand)
    return a if b is None else binary(a, ast.Add(), b)


def negated(node: ast.expr | None) -> ast.expr | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return node.operand
    return None if node is None else ast.UnaryOp(ast.USub(), node)


def is_one(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == 1
