"""Scope: what each expression of a function was when it ran, so that edits can fit in shape."""

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.repair.written import Node, Written, every_argument

RECORDER = "__gradcheck_seen__"


@dataclass(frozen=True)
class Kind:
    """An array or a number: its shape, and the kind of its dtype ("f", "i", "b")."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def is_floating(self) -> bool:
        return self.dtype == "f"


@dataclass
class Scope:
    """What was seen in one call.

    Attributes
    ----------
    kinds : of each expression, by `id` of its node.
    names : of each variable, and of each attribute such as "self.w".
    values : what each variable held first, of whatever kind.
    """

    kinds: dict[int, Kind] = field(default_factory=dict)
    names: dict[str, Kind] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def of(self, node: ast.AST) -> Kind | None:
        return self.kinds.get(id(node))

    def others(self, kind: Kind, but: str = "") -> Iterator[str]:
        """Names of floating arrays of the same shape."""
        for name, other in self.names.items():
            if name != but and other.is_floating and other.shape == kind.shape:
                yield name


def kind_of(value: Any) -> Kind | None:
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "fiub":
        return Kind(value.shape, value.dtype.kind.replace("u", "i"))
    if isinstance(value, bool):
        return Kind((), "b")
    if isinstance(value, (int, float)):
        return Kind((), "f" if isinstance(value, float) else "i")
    return None


def observed(source: Written, call: Callable[[Any], Any]) -> Scope:
    """The scope of one call: `call` is given an instrumented function and calls it."""
    scope = Scope()
    nodes = list(ast.walk(source.node))
    twin = copy.deepcopy(source.node)
    keys = {id(other): id(node) for node, other in zip(nodes, ast.walk(twin), strict=True)}

    def seen(key: int, name: str, value: Any) -> Any:
        if name == "self":
            for attribute, held in vars(value).items() if hasattr(value, "__dict__") else ():
                seen(0, f"self.{attribute}", held)
        if name:
            scope.values.setdefault(name, value)
        kind = kind_of(value)
        if kind is not None:
            scope.kinds.setdefault(key, kind)
            if name and not is_blank(name, value):
                scope.names.setdefault(name, kind)
        return value

    marked = Written(source.function, instrumented(twin, keys), source.around, source.owner)
    for name, cell in zip(
        source.function.__code__.co_freevars, source.function.__closure__ or (), strict=True
    ):
        seen(0, name, contents(cell))
    call(marked.made({RECORDER: seen}))
    for node in nodes:  # constants need no looking at
        if isinstance(node, ast.Constant) and (kind := kind_of(node.value)):
            scope.kinds[id(node)] = kind
    return scope


def is_blank(name: str, value: Any) -> bool:
    """Whether it is an attribute that holds zeros, as what is not yet computed does."""
    is_held = name.startswith("self.") and isinstance(value, np.ndarray)
    return is_held and value.dtype.kind == "f" and not value.any()


def contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return None


def instrumented(node: Node, keys: dict[int, int]) -> Node:
    """The tree with a call of the recorder around every expression that has a value."""
    names = [argument.arg for argument in every_argument(node.args)]
    arguments = [recorded(0, name, ast.Name(name, ast.Load())) for name in names]
    marker = Marker(keys)
    if isinstance(node, ast.Lambda):
        body = marker.visit(node.body)
        row = ast.Tuple([*arguments, body], ast.Load())
        node.body = ast.Subscript(row, ast.Constant(len(arguments)), ast.Load())
    else:
        body = [marker.visit(statement) for statement in node.body]
        flat = [s for found in body for s in (found if isinstance(found, list) else [found])]
        node.body = [*(ast.Expr(argument) for argument in arguments), *flat]
    ast.fix_missing_locations(node)
    return node


def recorded(key: int, name: str, value: ast.expr) -> ast.Call:
    arguments: list[ast.expr] = [ast.Constant(key), ast.Constant(name), value]
    return ast.Call(ast.Name(RECORDER, ast.Load()), arguments, [])


class Marker(ast.NodeTransformer):
    """Wraps expressions; leaves alone what is called, assigned to or formatted."""

    WRAPPED = (ast.BinOp, ast.UnaryOp, ast.Call, ast.Compare, ast.Name, ast.Attribute,
               ast.Subscript, ast.IfExp, ast.BoolOp)  # fmt: skip

    def __init__(self, keys: dict[int, int]):
        self.keys = keys

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, (ast.JoinedStr, ast.FunctionDef, ast.ClassDef, ast.Lambda)):
            return node
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node.func.value = self.visit(node.func.value)
            self.visit_given(node)
        elif isinstance(node, ast.Call):
            self.visit_given(node)
        else:
            self.generic_visit(node)
        is_read = isinstance(getattr(node, "ctx", None) or ast.Load(), ast.Load)
        if isinstance(node, ast.expr) and isinstance(node, self.WRAPPED) and is_read:
            name = ast.unparse(node) if is_variable(node) else ""
            return recorded(self.keys[id(node)], name, node)
        if isinstance(node, ast.Assign):
            return [node, *stores_of(node)]
        return node

    def visit_given(self, node: ast.Call) -> None:
        node.args = [self.visit(argument) for argument in node.args]
        for keyword in node.keywords:
            keyword.value = self.visit(keyword.value)


def is_variable(node: ast.AST) -> bool:
    """A name, or an attribute that holds an array of its own, such as self.x."""
    if isinstance(node, ast.Attribute):
        return isinstance(node.value, ast.Name) and node.attr not in ("T", "size", "ndim")
    return isinstance(node, ast.Name)


def stores_of(node: ast.Assign) -> Iterator[ast.stmt]:
    """Statements that note what was assigned, whether it is read later or not."""
    for target in node.targets:
        for name in ast.walk(target):
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                read = ast.Name(name.id, ast.Load())
                yield ast.copy_location(ast.Expr(recorded(0, name.id, read)), node)
