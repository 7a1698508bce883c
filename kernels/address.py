"""Compiled functions by their addresses: each is compiled once, and only if it is needed.

A function that names another is compiled, and optimised, together with it and with everything
below. One that gets an address at run time knows nothing of what lies there. Addresses are good
for the life of the process, so they are never kept: whoever calls puts them in a table of its
own first.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from kernels.jit import COMPILES, compiled_for, jit

PLAIN: list[Callable[..., None]] = [lambda *arguments: None]
"""Plain Python functions, whose address is their place here; none has the address 0."""


def address_of(function: Any, *examples: Any) -> int:
    """Where the code of `function` for arguments of the examples' types lies in this process.

    It returns nothing.
    """
    if not COMPILES:
        if function not in PLAIN:
            PLAIN.append(function)
        return PLAIN.index(function)
    result = compiled_for(function, *examples)
    return int(result.library.get_pointer_to_function(result.fndesc.llvm_func_name))


@intrinsic
def _call(typing_context, function, *arguments):
    kinds = tuple(types.unliteral(argument) for argument in arguments)
    if isinstance(function, types.Dispatcher):
        kinds = function.get_call_type(typing_context, kinds, {}).args
    elif not isinstance(function, types.Integer):
        return None

    def codegen(context, builder, signature, args):
        values = cgutils.unpack_tuple(builder, args[1], len(kinds))
        if isinstance(function, types.Dispatcher):
            loop = context.get_function(function, types.none(*kinds))
            context.add_linking_libs(loop.libs)
            return loop(builder, values)
        kind = context.call_conv.get_function_type(types.none, kinds)
        place = builder.inttoptr(args[0], kind.as_pointer())
        status, _ = context.call_conv.call_function(builder, place, types.none, kinds, values)
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return types.none(function, types.Tuple(kinds)), codegen


@intrinsic
def _process(typing_context):
    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(ir.VoidType(), ())
        helper = cgutils.get_or_insert_function(builder.module, kind, LIBRARY_FUNCTION)
        return builder.ptrtoint(helper, ir.IntType(64))

    return types.int64(), codegen


LIBRARY_FUNCTION = "numba_gil_ensure"
"""A function of Numba's own shared library, which every process loads at another place."""


def _plain_process():
    return id(PLAIN)


process: Callable[..., Any] = _plain_process if config.DISABLE_JIT else _process
"""process(): a number, in compiled code, that another process does not have, but for a fork:
addresses that came with another number are not to be called."""


@jit
def this_process():
    """`process()` for Python."""
    return process()


def _plain_call(function, *arguments):
    (function if callable(function) else PLAIN[function])(*arguments)


call: Callable[..., Any] = _plain_call if config.DISABLE_JIT else _call
"""call(function, *arguments): `function(*arguments)`, for an address or a compiled function that
is named. Their types must be those that the address was made for: nothing can check them."""
