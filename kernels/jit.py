"""The one jit decorator: every Numba option of this library is chosen here, with its reason."""

from typing import Any

import numba
import numpy as np

from kernels.cache import use_cache

FASTMATH = {"reassoc", "nsz", "contract", "arcp", "afn"}
"""Sums may be reordered and multiplies fused with adds, which is what lets loops vectorise.
`nnan` and `ninf` stay out: under them the compiler may assume that no NaN and no infinity
ever occurs, and then `isnan(nan)` is False and an explosion cannot be seen."""

OPTIONS = {
    "fastmath": FASTMATH,
    # 1/0 is inf, as in NumPy; the branch that would raise also keeps loops from vectorising.
    "error_model": "numpy",
    # Kernels touch no Python object, so callers' threads may run beside each other.
    "nogil": True,
}


COMPILES: bool = not numba.config.DISABLE_JIT
"""Under NUMBA_DISABLE_JIT functions stay plain Python."""


def jit(function):
    """Compile `function` in nopython mode with the library's options and its disk cache.

    Under NUMBA_DISABLE_JIT it stays plain Python, as silent about NaN and inf as compiled
    code is.
    """
    return compiled(function, OPTIONS)


def jit_inlined(function):
    """Like `jit`, but for functions that compiled code calls: their lines become the caller's.

    A function of its own is optimised once more with each function above it, and so, level
    upon level, is everything below. Inlined ones are compiled once, with what calls them; but
    copying the lines takes Numba some time, so small ones called from many places are not.
    """
    return compiled(function, OPTIONS | {"inline": "always"})


def jit_as_written(function):
    """Like `jit`, but every operation is done in the order in which it stands.

    For the few lines that exist to keep digits: reordering, (a - b) + c as a + (c - b), is
    what loses them. They become part of their caller however long they are, for a loop with
    a call in it is not vectorised.
    """
    return compiled(function, OPTIONS | {"fastmath": False, "forceinline": True})


def jit_unrolled(function, is_cached=True):
    """Like `jit`, for code whose loops turn out to have constant lengths of a few turns: it becomes
    part of its caller, and the loops become straight lines.

    Sums are not reordered: they would become vectors with most of their lanes empty. Functions
    made of constants that are not in the source have to be compiled anew by every process.
    """
    options = OPTIONS | {"fastmath": FASTMATH - {"reassoc"}, "forceinline": True}
    return compiled(function, options, is_cached)


def direct(function: Any, *examples: Any) -> Any:
    """What `function` compiles to for arguments of the examples' types, called without a look.

    A dispatcher looks up the type of each argument at every call, which takes as long as a
    short step. This does not: an argument of another dtype, layout or rank is misread without
    a word. So it is only for arrays that are the library's own or have just been checked.
    """
    if not COMPILES:
        return function
    return compiled_for(function, *examples).entry_point


def compiled_for(function: Any, *examples: Any) -> Any:
    """What Numba knows of `function`, compiled for arguments of the examples' types."""
    kinds = tuple(numba.typeof(example) for example in examples)
    function.compile(kinds)
    return function.overloads[kinds]


def compiled(function, options, is_cached=True):
    if not COMPILES:
        return np.errstate(all="ignore")(function)
    dispatcher = numba.njit(**options)(function)
    if is_cached:
        use_cache(dispatcher)
    return dispatcher
