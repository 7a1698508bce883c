"""Slopes: the derivatives of what forward applies, written with forward's own expressions."""

import ast
from typing import Any

from gradcheck.repair.trees import called
from gradcheck.repair.written import written

RULES = {
    "tanh": "(1 - {np}.tanh({v}) ** 2)",
    "sin": "{np}.cos({v})",
    "cos": "(-{np}.sin({v}))",
    "exp": "{np}.exp({v})",
    "log": "(1 / ({v}))",
    "sqrt": "(0.5 / {np}.sqrt({v}))",
    "square": "(2 * ({v}))",
    "maximum": "(({v}) > 0)",
    "abs": "{np}.sign({v})",
    "log1p": "(1 / (1 + {v}))",
    "sinh": "{np}.cosh({v})",
    "arctan": "(1 / (1 + ({v}) ** 2))",
    "sigmoid": "({f} * (1 - {f}))",
}
"""By the name of a function; v is its argument, f its value."""

MOST = 12
"""So many of one forward are tried."""


def slopes_of(forward: Any, numpy: str) -> tuple[str, ...]:
    """Factors that the chain rule may ask for."""
    source = written(forward)
    if source is None:
        return ()
    found: dict[str, None] = {}
    for node in ast.walk(source.node):
        if isinstance(node, ast.Call) and node.args and called(node) in RULES and numpy:
            value = ast.unparse(node.args[0])
            rule = RULES[called(node)]
            found[rule.format(np=numpy, v=value, f=ast.unparse(node))] = None
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            found[f"({ast.unparse(node.right)} * ({ast.unparse(node.left)}))"] = None
    return tuple(found)[:MOST]
