"""Propose: the edits of one function, the likeliest first."""

import ast
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, FunctionType, ModuleType
from typing import Any

from gradcheck.repair import (
    arithmetic,
    calls,
    factors,
    forwards,
    names,
    numbers,
    paths,
    projections,
    recurrence,
    statements,
)
from gradcheck.repair.edits import Draft, Edit
from gradcheck.repair.formulas import Formulas, formulas_of
from gradcheck.repair.scope import Scope
from gradcheck.repair.written import Written, written

Family = Callable[[Draft], Iterator[Edit]]
Doubt = Callable[[Sequence[ast.AST]], float]

FAMILIES: tuple[Family, ...] = (
    arithmetic.signs,
    arithmetic.products,
    arithmetic.terms,
    names.replaced,
    names.swapped,
    names.expressions,
    calls.sums,
    calls.functions,
    numbers.constants,
    numbers.comparisons,
    numbers.ranges,
    numbers.indices,
    statements.accumulation,
    statements.deletion,
    factors.added,
    paths.paths,
    forwards.values,
    forwards.derivatives,
    forwards.slopes,
    forwards.product_terms,
    projections.softmax,
    projections.means,
    recurrence.carried,
)


def proposed(
    source: Written,
    scope: Scope,
    cotangents: tuple[str, ...],
    parameters: tuple[str, ...],
    forward: Any,
    doubt: Doubt,
    is_own: bool = True,
) -> list[Edit]:
    """All edits of a function, in the order of their costs; `is_own` is forward's own backward."""
    numpy = numpy_of(source.function)
    known = () if is_method(source) else arguments_of(source)[len(cotangents) :]
    draft = Draft(
        source.node,
        scope,
        numpy,
        tuple(name for name in (*arguments_of(source), *parameters) if name not in cotangents),
        cotangents,
        numbers_of(forward),
        doubt,
        formulas_of(written(forward), known, source, scope, numpy) if is_own else Formulas(),
    )
    edits = [edit for family in FAMILIES for edit in family(draft)]
    return sorted(edits, key=lambda edit: edit.cost)


def is_method(source: Written) -> bool:
    """Whether what forward was given is in attributes, and none of the arguments."""
    return [argument.arg for argument in source.node.args.args[:1]] == ["self"]


def arguments_of(source: Written) -> list[str]:
    """The names of its arguments, without the object of a method."""
    names = [argument.arg for argument in source.node.args.args]
    return names[1:] if names[:1] == ["self"] else names


def numpy_of(function: FunctionType) -> str:
    """The name under which the function's module knows NumPy."""
    for name, value in function.__globals__.items():
        if isinstance(value, ModuleType) and value.__name__ == "numpy":
            return name
    return ""


def numbers_of(function: Any) -> tuple[float, ...]:
    """The numbers written down in a function."""
    code = getattr(function, "__code__", None)
    found: list[float] = []
    level = [code] if isinstance(code, CodeType) else []
    while level:
        for value in level.pop().co_consts:
            if isinstance(value, CodeType):
                level.append(value)
            elif isinstance(value, (int, float)) and not isinstance(value, bool):
                found.append(value)
    return tuple(dict.fromkeys(found))
