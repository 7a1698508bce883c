"""Pairs: the same mistake made twice in one function, each hiding that the other is mended."""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any

from gradcheck.repair.edits import Edit

LIKELY = 2.6
"""Edits up to this cost are made in pairs."""

MOST = 400
"""Pairs that are tried, the likeliest first."""

TOKEN = re.compile(r"\w+|[^\w\s]+")


def in_pairs(edits: Iterable[tuple[Any, Edit]]) -> Iterator[tuple[Any, Edit]]:
    """Two edits that do the same to different expressions; each comes with whose it is."""
    groups: dict[Any, list[tuple[Any, Edit]]] = defaultdict(list)
    for owner, edit in edits:
        if len(edit.changes) == 1 and not edit.is_inserted and edit.cost <= LIKELY:
            groups[id(owner), edit.slug, difference(edit)].append((owner, edit))
    found = [
        (owner, together(one, other))
        for group in groups.values()
        for (owner, one), (_, other) in combinations(group, 2)
        if are_apart(one, other)
    ]
    yield from sorted(found, key=lambda pair: pair[1].cost)[:MOST]


def difference(edit: Edit) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words and signs that go, and those that come."""
    site, node = edit.changes[0]
    before, after = (Counter(TOKEN.findall(ast.unparse(part))) for part in (site.node, node))
    return tuple(sorted((before - after).elements())), tuple(sorted((after - before).elements()))


def are_apart(one: Edit, other: Edit) -> bool:
    """Neither is inside what the other replaces."""
    (first, _), (second, _) = one.changes[0], other.changes[0]
    return all(node is not first.node for node in second.chain) and all(
        node is not second.node for node in first.chain
    )


def together(one: Edit, other: Edit) -> Edit:
    besides = f"and the same in line {other.line}: {other.shown()[1]}"
    return Edit(
        one.slug, one.cost + other.cost, one.changes + other.changes, False, besides, one.also
    )
