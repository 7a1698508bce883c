"""Edits of loops over time: the gradient that goes from each step to the one before."""

import ast
from collections.abc import Iterator

from gradcheck.repair.edits import Draft, Edit
from gradcheck.repair.flow import names_in
from gradcheck.repair.sites import Site
from gradcheck.repair.trees import binary, parsed

CARRIED = "carry"


def carried(draft: Draft) -> Iterator[Edit]:
    """What each step hands to the one before, added to the gradient that arrives there."""
    if not draft.flow:
        return
    name = CARRIED
    while name in draft.scope.names:
        name += "_"
    loops = [site for site in draft.sites if isinstance(site.node, ast.For)]
    for loop in loops:
        for site in draft.sites:
            kind = draft.scope.of(site.node)
            if kind is None or not is_arriving(draft, site, loop.node):
                continue
            for text in handed_on(draft, loop.node, kind.shape):
                yield carrying(draft, loop, site, name, text)


def is_arriving(draft: Draft, site: Site, loop: ast.For) -> bool:
    """Whether it is the gradient of one step: dy[t]."""
    node = site.node
    if not isinstance(node, ast.Subscript) or not isinstance(node.ctx, ast.Load):
        return False
    is_gradient = ast.unparse(node.value) in draft.flow
    return is_gradient and loop in site.chain and not names_in(loop.target).isdisjoint(
        names_in(node.slice)
    )  # fmt: skip


def handed_on(draft: Draft, loop: ast.For, shape: tuple[int, ...]) -> Iterator[str]:
    """Products of a gradient that the loop computes with weights, of the shape that arrives."""
    known = draft.scope.names
    assigned = [ast.unparse(target) for statement in loop.body if isinstance(statement, ast.Assign)
                for target in statement.targets if isinstance(target, ast.Name)]  # fmt: skip
    for name in assigned:
        if name not in draft.flow or name not in known:
            continue
        inner = known[name].shape
        if inner == shape:
            yield name
        for weights, kind in known.items():
            if weights in draft.flow or not kind.is_floating:
                continue
            if len(kind.shape) == 2 and inner and inner[-1] == kind.shape[1]:
                if (*inner[:-1], kind.shape[0]) == shape:
                    yield f"{name} @ {weights}.T"
                if kind.shape[0] == kind.shape[1]:
                    yield f"{name} @ {weights}"
            elif kind.shape in ((), shape) and inner == shape:
                yield f"{name} * {weights}"


def carrying(draft: Draft, loop: Site, site: Site, name: str, text: str) -> Edit:
    """The loop with a carried gradient: begun with, added, and made anew."""
    begin = ast.parse(f"{name} = 0").body[0]
    again = ast.parse(f"{name} = {text}").body[0]
    node = loop.node
    longer = ast.For(node.target, node.iter, [*node.body, again], node.orelse)
    block = ast.If(ast.Constant(True), [begin, longer], [])
    added = binary(site.node, ast.Add(), parsed(name))
    cost = 3.4 + draft.doubt_of(site)
    besides = f"from {name} = 0 before the loop, and {name} = {text} at the end of each turn"
    return Edit("gradient-stops", cost, ((site, added), (loop, block)), besides=besides)
