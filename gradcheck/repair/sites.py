"""Sites: the places of a syntax tree that can be edited."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gradcheck.repair.written import Node


@dataclass(frozen=True)
class Site:
    """A node and where it hangs: `parent.field`, or `parent.field[index]`."""

    node: Any
    parent: Any
    field: str
    index: int | None
    statement: ast.AST
    above: "Site | None" = None

    @property
    def chain(self) -> list[ast.AST]:
        """The node, and all that it is inside of."""
        return [self.node, *(self.above.chain if self.above is not None else ())]

    def put(self, node: Any) -> None:
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def sites_of(node: Node) -> Iterator[Site]:
    """All nodes of the body, each with the statement that it belongs to."""
    if isinstance(node, ast.Lambda):
        yield from below(node, "body", node.body, node.body, None)
    else:
        for k, statement in enumerate(node.body):
            yield from below(node, "body", statement, statement, None, k)


def below(
    parent: Any, name: str, node: Any, statement: Any, above: Site | None, index: int | None = None
) -> Iterator[Site]:
    if isinstance(node, ast.stmt):
        statement = node
    site = Site(node, parent, name, index, statement, above)
    yield site
    for inner, value in ast.iter_fields(node):
        if isinstance(value, list):
            for k, part in enumerate(value):
                if isinstance(part, ast.AST):
                    yield from below(node, inner, part, statement, site, k)
        elif isinstance(value, ast.AST):
            yield from below(node, inner, value, statement, site)
