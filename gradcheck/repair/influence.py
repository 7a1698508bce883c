"""Influence: which gradients change when what a statement computes is moved a little.

It tells what `reach` reads in the source where that cannot be read: gradients that are left in the
attributes of other objects, or in lists.
"""

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from gradcheck.repair.reach import Gradients
from gradcheck.repair.sites import Site, sites_of
from gradcheck.repair.written import Written

MOVER = "__gradcheck_moved__"

MOVED = 1e-3
"""Relative to each entry: as far as values are moved, each by another factor."""

CHANGED = 1e-9
"""Relative to the largest entry of a gradient: what more than rounding changes."""

MOST = 60
"""Expressions that are moved, each in a call of its own."""

Influence = dict[int, Gradients]


def influence_of(
    source: Written, gradients: Callable[[Any], list[Any] | None], names: Sequence[int]
) -> Influence:
    """By `id` of an expression that is assigned or returned, the gradients that depend on it.

    `gradients` gives those of an edited function, of which `names` are looked at.
    """
    before = gradients(source.made())
    if before is None:
        return {}
    found: Influence = {}
    for site in list(values(source))[:MOST]:
        moved = ast.Call(ast.Name(MOVER, ast.Load()), [site.node], [])
        site.put(ast.fix_missing_locations(ast.copy_location(moved, site.node)))
        try:
            after = gradients(source.made({MOVER: moved_value}))
        except (SyntaxError, ValueError, TypeError, LookupError):
            after = None
        finally:
            site.put(site.node)
        if after is not None:
            found[id(site.node)] = frozenset(i for i in names if differ(before[i], after[i]))
    return {key: reached for key, reached in found.items() if reached}


def values(source: Written) -> Iterator[Site]:
    """What is assigned or returned; of rows that are written out, each element."""
    for site in sites_of(source.node):
        parent = site.parent
        is_value = site.field == "value" and isinstance(
            parent, (ast.Assign, ast.AugAssign, ast.Return)
        )
        above = site.above
        is_element = (
            isinstance(parent, (ast.Tuple, ast.List))
            and above is not None
            and above.field == "value"
            and isinstance(above.parent, (ast.Assign, ast.Return))
        )
        if isinstance(site.node, (ast.Tuple, ast.List, ast.Constant)):
            continue
        if is_value or is_element:
            yield site


def moved_value(value: Any) -> Any:
    """A floating array or number with every entry a little off; anything else as it is."""
    if isinstance(value, float):
        return value * (1 + MOVED)
    if not isinstance(value, (np.ndarray, np.generic)) or value.dtype.kind != "f":
        return value
    factors = 1 + MOVED * np.random.default_rng(0).uniform(0.5, 1.0, value.shape)
    return (value * factors).astype(value.dtype)


def differ(one: Any, other: Any) -> bool:
    if one is None or other is None or one.shape != other.shape:
        return one is not other
    scale = float(abs(np.nan_to_num(one)).max(initial=0))
    return not np.allclose(one, other, rtol=0, atol=CHANGED * scale, equal_nan=True)
