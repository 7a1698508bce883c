"""Related: how one value in a backward is made of another, and so what their exchange means."""

import ast

from gradcheck.repair.edits import Draft
from gradcheck.repair.sites import Site
from gradcheck.repair.trees import called, in_product, in_slope, is_one_less, is_product

CHOOSING = ("where", "maximum", "minimum", "clip", "tril", "triu", "relu")
"""Functions that are another one on each part of the domain."""

SLOPES = ("cos", "sin", "exp", "sign", "cosh", "sinh")

FACTORS = (ast.Mult, ast.Div)


def of_gradients(draft: Draft, wrong: str, right: str) -> tuple[str, ...]:
    """What it means that one gradient on the way stands where another belongs."""
    for product, start, slug in (
        (right, wrong, "activation-derivative-missing"),
        (wrong, right, "activation-derivative-twice"),
    ):
        step = factor_between(draft, product, start)
        if step is not None:
            is_slope = looks_like_slope(draft, step) or is_sum(step)
            return slug if is_slope else slug_of_scale(draft, step), "wrong-delta"
    return ("wrong-delta",)


def is_sum(node: ast.expr) -> bool:
    """As the derivative of a product is."""
    return isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub))


def factor_between(draft: Draft, product: str, start: str) -> ast.expr | None:
    """What a variable is multiplied by, where another is defined as such a product."""
    value = draft.definitions.get(product)
    if not isinstance(value, ast.BinOp) or not isinstance(value.op, FACTORS):
        return None
    for one, other in ((value.left, value.right), (value.right, value.left)):
        if ast.unparse(one) == start:
            return other
    return None


def slug_of_scale(draft: Draft, factor: ast.expr) -> str:
    kind = draft.scope.of(factor)
    is_number = kind is not None and not kind.shape
    return "scaled-by-constant" if is_number else "chain-rule-factor-missing"


def looks_like_slope(draft: Draft, node: ast.expr, depth: int = 3) -> bool:
    """Whether it is written as derivatives of activations are: 1 - y², s·(1 - s), z > 0."""
    if isinstance(node, (ast.Name, ast.Attribute)) and depth:
        value = draft.definitions.get(ast.unparse(node))
        return value is not None and looks_like_slope(draft, value, depth - 1)
    if isinstance(node, ast.Call) and called(node) == "astype":
        return any(isinstance(part, ast.Compare) for part in ast.walk(node))
    if is_product(node):
        return False
    is_written_so = is_one_less(node) or isinstance(node, ast.Compare) or called(node) in SLOPES
    parts = (node.left, node.right) if isinstance(node, ast.BinOp) else ()
    return is_written_so or any(looks_like_slope(draft, part, 0) for part in parts)


def of_values(draft: Draft, site: Site, right: str) -> tuple[str, ...]:
    """What it means that a value which holds no gradient stands where another belongs."""
    wrong = site.node
    text = ast.unparse(wrong)
    if is_from_outside(draft, wrong):
        return ("stale-cache",)
    if in_product(site) and (right in draft.inputs or is_on_the_right(site)):
        return ("wrong-weights",)
    through = made_of(draft, right, text)
    if in_slope(site):
        is_related = through is not None or made_of(draft, text, right) is not None
        at_output = ("activation-derivative-at-output",)
        return at_output if is_related else ("other-layers-values", *at_output)
    if through is not None and called(through) in CHOOSING:
        found = ("region-wrong", "other-layers-values")
        return found[::-1] if right.isidentifier() else found
    if is_product_with(through, text):
        return "chain-rule-factor-missing", "other-layers-values"
    is_held = isinstance(wrong, (ast.Name, ast.Attribute, ast.Subscript))
    return ("other-layers-values",) if is_held else ("wrong-function-derivative",)


def is_on_the_right(site: Site) -> bool:
    """Whether it is the second factor of a product, as the weights are of a gradient."""
    above: Site | None = site
    while above is not None and isinstance(above.parent, ast.Attribute):
        above = above.above
    return above is not None and isinstance(above.parent, ast.BinOp) and above.field == "right"


def slugs_of_derivative(draft: Draft, wrong: str, right: str) -> tuple[str, ...]:
    """What it means that forward's derivative belongs where something else stands."""
    node = ast.parse(right, mode="eval").body
    if is_sum(node) and wrong in (ast.unparse(node.left), ast.unparse(node.right)):  # type: ignore
        return "path-missing", "product-rule-term-missing"
    if is_product_with(node, wrong):
        return ("chain-rule-factor-missing",)
    return ("activation-derivative-formula",)


def slug_of_factor(draft: Draft, right: str) -> str:
    """What it means that one of forward's derivatives is missing as a factor."""
    node = ast.parse(right, mode="eval").body
    has_function = any(isinstance(part, ast.Call) for part in ast.walk(node))
    is_slope = has_function or looks_like_slope(draft, node)
    return "activation-derivative-missing" if is_slope else "chain-rule-factor-missing"


def is_product_with(node: ast.expr | None, factor: str) -> bool:
    return (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, FACTORS)
        and factor in (ast.unparse(node.left), ast.unparse(node.right))
    )


def made_of(draft: Draft, whole: str, part: str) -> ast.expr | None:
    """The expression behind `whole`, where it is made of `part` entry by entry."""
    value = draft.definitions.get(whole) or ast.parse(whole, mode="eval").body
    level: list[ast.AST] = [value]
    while level:
        node = level.pop()
        if isinstance(node, ast.expr) and ast.unparse(node) == part:
            return value if node is not value else None
        if isinstance(node, ast.expr) and is_product(node):
            continue
        level.extend(ast.iter_child_nodes(node))
    return None


def is_from_outside(draft: Draft, node: ast.expr) -> bool:
    """Whether it is read from a container that is no argument and no variable of backward."""
    if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Constant):
        return False
    base = node.value
    return isinstance(base, ast.Name) and base.id not in draft.scope.names and (
        base.id not in draft.definitions
    )  # fmt: skip
