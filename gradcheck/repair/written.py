"""Written: a function as its author wrote it, and made anew from an edited syntax tree.

What is made anew shares the globals, the closure and the defaults of the original, which itself
is never changed.
"""

import ast
import copy
import functools
import linecache
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any

Function = Callable[..., Any]
Node = ast.FunctionDef | ast.Lambda

FACTORY = "__factory__"
"""Function that the names of a closure are the arguments of."""

LONGEST = 1_000_000
"""Characters of a file that is worth parsing for one function."""


FILES = 4
"""Whose definitions are kept: one check asks for several functions of the same file."""


@dataclass(frozen=True)
class Written:
    """A plain function with its syntax tree.

    Attributes
    ----------
    function : the innermost function: without `partial`, decorators and compilers around it.
    node : its tree, which may be edited; line numbers are those of the file.
    around : makes of such a function what the caller had: a bound method, a partial function.
    owner : the class that it is defined in, for names that begin with two underscores.
    """

    function: FunctionType
    node: Node
    around: Callable[[Function], Function]
    owner: str = ""

    @property
    def file(self) -> str:
        return self.function.__code__.co_filename

    def made(self, overlay: dict[str, Any] | None = None) -> FunctionType:
        """The function of the tree as it is now; `overlay` hides names of globals and closure.

        Raises
        ------
        SyntaxError, ValueError, TypeError : for a tree that is no function any more.
        """
        overlay = overlay or {}
        old = self.function
        free = old.__code__.co_freevars
        code = compiled(self.node, free, self.file, self.owner)
        cells: dict[str, CellType] = dict(zip(free, old.__closure__ or (), strict=True))
        cells |= {name: CellType(value) for name, value in overlay.items() if name in cells}
        hidden = {name: value for name, value in overlay.items() if name not in free}
        namespace = old.__globals__ | hidden if hidden else old.__globals__
        closure = tuple(cells[name] for name in code.co_freevars)
        made = FunctionType(code, namespace, old.__name__, old.__defaults__, closure)
        made.__kwdefaults__ = old.__kwdefaults__
        return made


def written(function: Any) -> Written | None:
    """The function's source as a tree; None where there is none to be read."""
    plain, around = opened(function)
    if not isinstance(plain, FunctionType):
        return None
    found = node_of(plain)
    if found is None:
        return None
    parts = plain.__qualname__.split(".")
    owner = parts[-2] if len(parts) > 1 and parts[-2] != "<locals>" else ""
    return Written(plain, found, around, owner)


def opened(function: Any) -> tuple[Any, Callable[[Function], Function]]:
    """The plain function inside a method, a partial function, a decorator or a compiled one."""
    if isinstance(function, MethodType):
        plain, around = opened(function.__func__)
        return plain, lambda made: MethodType(around(made), function.__self__)
    if isinstance(function, functools.partial):
        plain, around = opened(function.func)
        return plain, lambda made: functools.partial(
            around(made), *function.args, **function.keywords
        )
    for inside in ("__wrapped__", "py_func"):  # the latter is how Numba calls it
        if isinstance(getattr(function, inside, None), FunctionType):
            return opened(getattr(function, inside))
    if not isinstance(function, FunctionType) and not isinstance(function, type):
        call = vars(type(function)).get("__call__")
        if isinstance(call, FunctionType):
            return call, lambda made: MethodType(made, function)
    return function, lambda made: made


def node_of(function: FunctionType) -> Node | None:
    """The definition that the function was compiled from.

    Several may begin in one line: the one whose code is the same is meant.
    """
    candidates = list(definitions(function))
    alike = [node for node in candidates if is_code_of(node, function)]
    if len(alike) > 1:
        alike = [node for node in alike if column_of(node) == column(function)] or alike
    if not alike:
        return None
    node = alike[0]
    bare(node)
    return node


def definitions(function: FunctionType) -> Iterator[Node]:
    """Functions of its name in the line of the file at which it begins."""
    code = function.__code__
    text = "".join(linecache.getlines(code.co_filename, function.__globals__))
    if not text or len(text) > LONGEST:
        return
    for node in functions_in(text):
        if isinstance(node, ast.Lambda) and code.co_name == "<lambda>":
            if node.lineno == code.co_firstlineno:
                yield copy.deepcopy(node)  # it is going to be edited
        elif isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first == code.co_firstlineno:
                yield copy.deepcopy(node)


@functools.lru_cache(maxsize=FILES)
def functions_in(text: str) -> tuple[Node, ...]:
    """All definitions in the text of a file; none where that is no Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return ()
    return tuple(n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.Lambda)))


def bare(node: Node) -> None:
    """Without decorators, annotations and defaults: the original has them."""
    arguments = node.args
    arguments.defaults = []
    arguments.kw_defaults = [None] * len(arguments.kwonlyargs)
    for argument in every_argument(arguments):
        argument.annotation = None
    if isinstance(node, ast.FunctionDef):
        node.decorator_list, node.returns = [], None


def every_argument(arguments: ast.arguments) -> Iterator[ast.arg]:
    yield from arguments.posonlyargs
    yield from arguments.args
    yield from arguments.kwonlyargs
    for argument in (arguments.vararg, arguments.kwarg):
        if argument is not None:
            yield argument


def is_code_of(node: Node, function: FunctionType) -> bool:
    """Whether the tree compiles to code with the same names and numbers.

    Instructions may differ: how a call is compiled depends on what the module imports.
    """
    code = function.__code__
    try:
        found = compiled(node, code.co_freevars, code.co_filename, "")
    except (SyntaxError, ValueError, LookupError):
        return False
    return parts_of(found) == parts_of(code)


def parts_of(code: CodeType) -> tuple[Any, ...]:
    constants = [repr(value) for value in code.co_consts if not isinstance(value, CodeType)]
    return code.co_varnames, code.co_freevars, code.co_names, constants


def column_of(node: Node) -> int:
    """Where the first instruction of a body comes from."""
    return node.body.col_offset if isinstance(node, ast.Lambda) else node.col_offset


def column(function: FunctionType) -> int:
    """The least column of the function's instructions in its first line; 0 where not kept."""
    code = function.__code__
    if not hasattr(code, "co_positions"):
        return 0
    places = [
        start
        for line, _, start, _ in code.co_positions()
        if line == code.co_firstlineno and start is not None
    ]
    inside = [start for start in places if start > 0]
    return min(inside, default=0)


def compiled(node: Node, free: tuple[str, ...], file: str, owner: str) -> CodeType:
    """The code of one function, with these names free."""
    definition: ast.stmt = node if isinstance(node, ast.FunctionDef) else ast.Expr(node)
    ast.copy_location(definition, node)
    if owner:
        definition = around_statement(f"class {owner}: pass", definition)
    module = ast.Module(
        [around_statement(f"def {FACTORY}({', '.join(free)}): pass", definition)], []
    )
    name = node.name if isinstance(node, ast.FunctionDef) else "<lambda>"
    return code_named(name, compile(module, file, "exec", dont_inherit=True))


def around_statement(header: str, body: ast.stmt) -> ast.stmt:
    """A block with one statement in it."""
    block = ast.parse(header).body[0]
    assert isinstance(block, ast.FunctionDef | ast.ClassDef)
    block.body = [body]
    return block


def code_named(name: str, code: CodeType) -> CodeType:
    """The outermost function of that name inside the factory of compiled code."""
    level = [c for c in code.co_consts if isinstance(c, CodeType)]
    while level:
        level = [c for outer in level for c in outer.co_consts if isinstance(c, CodeType)]
        for found in level:
            if found.co_name == name:
                return found
    raise LookupError(name)
