"""Views into a flat array, made inside compiled code at the cost of one addition.

They check nothing and do not keep the flat array alive: whoever made the plan knows that
they lie inside, and the caller holds the array. (Slicing and reshaping in Numba would count
references, raise formatted errors, and compile code for both.)
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array


def _view_codegen(dimensions):
    def codegen(context, builder, signature, args):
        flat_type, view_type = signature.args[0], signature.return_type
        flat = context.make_array(flat_type)(context, builder, args[0])
        view = context.make_array(view_type)(context, builder)
        itemsize = context.get_constant(
            types.intp, context.get_abi_sizeof(context.get_data_type(flat_type.dtype))
        )
        shape = [
            context.cast(builder, args[2 + d], signature.args[2 + d], types.intp)
            for d in range(dimensions)
        ]
        strides = [itemsize]
        if dimensions == 2:
            strides.insert(0, builder.mul(shape[1], itemsize))
        start = context.cast(builder, args[1], signature.args[1], types.intp)
        populate_array(
            view,
            data=cgutils.gep(builder, flat.data, start),
            shape=shape,
            strides=strides,
            itemsize=itemsize,
            meminfo=None,
            parent=None,
        )
        return view._getvalue()

    return codegen


@intrinsic
def _vector(typing_context, flat, start, size):
    view = types.Array(flat.dtype, 1, "C")
    return view(flat, start, size), _view_codegen(1)


@intrinsic
def _matrix(typing_context, flat, start, rows, columns):
    view = types.Array(flat.dtype, 2, "C")
    return view(flat, start, rows, columns), _view_codegen(2)


def _plain_vector(flat, start, size):
    return flat[start : start + size]


def _plain_matrix(flat, start, rows, columns):
    return flat[start : start + rows * columns].reshape(rows, columns)


vector: Callable[..., Any] = _plain_vector if config.DISABLE_JIT else _vector
"""vector(flat, start, size): `size` elements of `flat` from `start`."""

matrix: Callable[..., Any] = _plain_matrix if config.DISABLE_JIT else _matrix
"""matrix(flat, start, rows, columns): rows·columns elements of `flat` from `start`."""


@intrinsic
def _flat(typing_context, array):
    view = types.Array(array.dtype, 1, "C")

    def codegen(context, builder, signature, args):
        source = context.make_array(signature.args[0])(context, builder, args[0])
        target = context.make_array(view)(context, builder)
        populate_array(
            target,
            data=source.data,
            shape=[source.nitems],
            strides=[source.itemsize],
            itemsize=source.itemsize,
            meminfo=None,
            parent=None,
        )
        return target._getvalue()

    return view(array), codegen


def _plain_flat(array):
    return array.reshape(-1)


flat: Callable[..., Any] = _plain_flat if config.DISABLE_JIT else _flat
"""flat(array): all elements of a C-contiguous array as one dimension."""


@intrinsic
def _floats(typing_context, words, start, like):
    view = types.Array(like.dtype, 1, "C")

    def codegen(context, builder, signature, args):
        source = context.make_array(signature.args[0])(context, builder, args[0])
        target = context.make_array(view)(context, builder)
        element = context.get_data_type(like.dtype)
        itemsize = context.get_constant(types.intp, context.get_abi_sizeof(element))
        start = context.cast(builder, args[1], signature.args[1], types.intp)
        size = builder.mul(builder.sub(source.nitems, start), source.itemsize)
        populate_array(
            target,
            data=builder.bitcast(cgutils.gep(builder, source.data, start), element.as_pointer()),
            shape=[builder.sdiv(size, itemsize)],
            strides=[itemsize],
            itemsize=itemsize,
            meminfo=None,
            parent=None,
        )
        return target._getvalue()

    return view(words, start, like), codegen


def _plain_floats(words, start, like):
    return words[start:].view(like.dtype)


floats: Callable[..., Any] = _plain_floats if config.DISABLE_JIT else _floats
"""floats(words, start, like): the bytes of an int64 array from `start` on, as the dtype of
`like`."""


@intrinsic
def _words(typing_context, array):
    view = types.Array(types.int64, 1, "C")

    def codegen(context, builder, signature, args):
        source = context.make_array(signature.args[0])(context, builder, args[0])
        target = context.make_array(view)(context, builder)
        itemsize = context.get_constant(types.intp, 8)
        populate_array(
            target,
            data=builder.bitcast(source.data, context.get_data_type(types.int64).as_pointer()),
            shape=[builder.sdiv(builder.mul(source.nitems, source.itemsize), itemsize)],
            strides=[itemsize],
            itemsize=itemsize,
            meminfo=None,
            parent=None,
        )
        return target._getvalue()

    return view(array), codegen


def _plain_words(array):
    padded = np.zeros(-(-array.nbytes // 8), np.int64)
    padded.view(array.dtype)[: array.size] = array.reshape(-1)
    return padded


words: Callable[..., Any] = _plain_words if config.DISABLE_JIT else _words
"""words(array): the bytes of a C-contiguous array, to be read, as int64; `floats` undoes it."""
