"""Edits: changes of a syntax tree that can be made and taken back."""

import ast
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.repair.definitions import Definitions, definitions_of
from gradcheck.repair.flow import flow_of, names_in
from gradcheck.repair.formulas import Formulas
from gradcheck.repair.reach import SHARED
from gradcheck.repair.scope import Kind, Scope
from gradcheck.repair.sites import Site, sites_of
from gradcheck.repair.written import Node

MOST_LETTERS = 160
"""Of a line that is shown."""


@dataclass(frozen=True)
class Edit:
    """A change, the mistake that it would mend, and how unlikely that is.

    Attributes
    ----------
    slug : of the cause in the table.
    cost : edits are tried in the order of these: the smaller, the likelier.
    changes : sites and what is put there.
    is_inserted : a statement comes before the one that stands there.
    besides : what else is changed, as a comment after the line.
    also : slugs that are as true.
    """

    slug: str
    cost: float
    changes: tuple[tuple[Site, Any], ...]
    is_inserted: bool = False
    besides: str = ""
    also: tuple[str, ...] = ()

    @property
    def line(self) -> int:
        return int(self.changes[0][0].statement.lineno)  # type: ignore[attr-defined]

    @contextmanager
    def made(self) -> Iterator[None]:
        """Within, the tree is edited."""
        for site, node in self.changes:
            site.put(placed(node, site.node))
        try:
            yield
        finally:
            for site, _ in self.changes:
                site.put(site.node)

    def shown(self) -> tuple[str, str]:
        """The statement before and after: "" before where one is added, after where one goes."""
        site, new = self.changes[0]
        if self.is_inserted:
            return "", text_of(new.body[0])
        before = text_of(site.statement)
        if site.node is site.statement:
            return before, "" if isinstance(new, ast.Pass) else text_of(new)
        with self.made():
            after = text_of(site.statement)
        return before, f"{after}  # {self.besides}" if self.besides else after


def text_of(statement: ast.AST) -> str:
    """The first line of a statement."""
    line = ast.unparse(statement).split("\n")[0]
    returned = statement.value if isinstance(statement, ast.Return) else None
    if isinstance(returned, ast.Tuple) and len(returned.elts) > 1:
        line = "return " + line.removeprefix("return (").removesuffix(")")
    return line if len(line) <= MOST_LETTERS else line[: MOST_LETTERS - 2] + " …"


@dataclass
class Draft:
    """What the families of edits work on.

    Attributes
    ----------
    node, scope : the function, and what was seen in it.
    numpy : the name by which it knows NumPy; "" where it does not.
    inputs : names of the arguments after the cotangent.
    cotangents : names of the arguments that hold gradients; none in the gradient of a scalar.
    numbers : constants of forward, which backward may have to share.
    doubt : of an expression, what its innocence adds to the cost of edits; infinite where no
        gradient that is wrong depends on it.
    formulas : what forward computes, and its derivatives.
    flow : names of what is computed from the cotangent.
    definitions : what variables stand for that are assigned once.
    """

    node: Node
    scope: Scope
    numpy: str = ""
    inputs: tuple[str, ...] = ()
    cotangents: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()
    doubt: Callable[[Sequence[ast.AST]], float] = lambda chain: 0.0
    formulas: Formulas = field(default_factory=Formulas)
    flow: frozenset[str] = frozenset()
    definitions: Definitions = field(default_factory=dict)
    sites: list[Site] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sites = [site for site in sites_of(self.node) if self.doubt_of(site) < np.inf]
        self.flow = flow_of(self.node, self.cotangents)
        self.definitions = definitions_of(self.node)

    def carries(self, node: ast.AST) -> bool:
        """Whether a gradient flows through it: everything there is linear in the cotangent."""
        return not self.flow or not self.flow.isdisjoint(names_in(node))

    def is_flowing(self, name: str) -> bool:
        """Whether a variable is computed from the cotangent, as far as that is known."""
        return name in self.flow

    def expressions(self) -> Iterator[tuple[Site, Kind]]:
        """Those that had a value which is an array or a number."""
        for site in self.sites:
            kind = self.scope.of(site.node)
            if kind is not None:
                yield site, kind

    def change(
        self, slug: str, cost: float, site: Site, node: Any, also: tuple[str, ...] = ()
    ) -> Edit:
        """One edit in one place."""
        return Edit(slug, cost + self.doubt_of(site), ((site, node),), also=also)

    def doubt_of(self, site: Site) -> float:
        return self.doubt(site.chain)

    def suspects(self) -> Iterator[tuple[Site, Kind]]:
        """Expressions that no right gradient depends on."""
        for site, kind in self.expressions():
            if self.doubt_of(site) < SHARED:
                yield site, kind


def placed(node: Any, old: ast.AST) -> Any:
    """With line numbers, as the compiler wants them."""
    if isinstance(node, ast.AST):
        for part in ast.walk(node):
            if not hasattr(part, "lineno"):
                ast.copy_location(part, old)
    return node
