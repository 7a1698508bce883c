"""The one boundary: a kernel that checks its arguments when Python calls it.

Compiled code reads and writes past the end of an array that is too short without a word.
So a public kernel is a `Kernel`: called from Python it checks count, kind, dtype, shape,
layout, overlap and label range before the compiled loop runs; named inside `@njit` code it
*is* the compiled loop, at no cost and with no check.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kernels.jit import direct, jit, jit_inlined

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
FLOAT32_MAX = float(np.finfo(np.float32).max)
LABELS = np.dtype(np.int64)
KNOWN_LAYOUTS = 512
"""How many combinations of shapes and dtypes a kernel remembers as checked."""


@dataclass(frozen=True)
class Hyper:
    """A scalar setting of an op: its default and the closed interval it may lie in."""

    default: float
    low: float = -math.inf
    high: float = math.inf

    def check(self, where: str, value) -> float:
        """`value` as a float; raises unless it is a finite real number in the interval."""
        real = isinstance(value, (int, float, np.integer, np.floating))
        if not real or isinstance(value, bool):
            raise TypeError(f"{where} is {value!r}, expected a real number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not (math.isfinite(number) and self.low <= number <= self.high):
            bounds = f"in [{self.low:g}, {self.high:g}]" if self.is_bounded else "that is finite"
            raise ValueError(f"{where} is {number}, expected a number {bounds}")
        return number

    @property
    def is_bounded(self) -> bool:
        return math.isfinite(self.low) or math.isfinite(self.high)


@dataclass(frozen=True)
class Argument:
    """One argument of a kernel, as its op declares it."""

    name: str
    role: str  # "input", "output" or "hyper"
    dims: tuple[str, ...] | None = None  # None: any shape, the same for every such argument
    hyper: Hyper | None = None
    label_dim: str | None = None  # integer labels in [0, size of this dimension)


@dataclass(frozen=True)
class Layout:
    """What a checked combination of input shapes and dtypes says of the outputs."""

    sizes: dict[str, int]
    dtype: np.dtype
    outputs: tuple[tuple[int, tuple[int, ...]], ...]  # position, shape
    is_flat: bool  # whether the compiled loop takes the arrays in their shapes
    entry: Callable  # the compiled loop for arrays of these dtypes; it looks at nothing


@jit
def first_out_of_range(labels, end):
    """Index of the first label outside [0, end), or -1."""
    for i in range(labels.size):
        if labels[i] < 0 or labels[i] >= end:
            return i
    return -1


class Kernel:
    """A compiled loop that checks its arguments when Python calls it.

    Outputs may be left out, then they are allocated; given, they are overwritten. Either
    way they are returned: one array, or a tuple where there are several.

    Attributes
    ----------
    jitted : the Numba dispatcher, which checks nothing. `@njit` code that names the kernel
        gets this.
    py_func : the plain Python function.
    arguments : what the op declares of each argument, in order.
    """

    def __init__(self, function, compiled=jit):
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__
        self.__module__ = function.__module__
        self.__wrapped__ = function
        self.py_func = function
        self.jitted = compiled(function)
        self.parameters = tuple(inspect.signature(function).parameters)
        self.arguments: tuple[Argument, ...] = ()
        self.variant: Kernel | None = None
        self._layouts: dict[tuple, Layout] = {}

    def __repr__(self):
        return f"<kernel {self.__name__}({', '.join(self.parameters)})>"

    def __reduce__(self):
        return self.__name__  # a kernel is pickled by reference, as functions are

    @property
    def _numba_type_(self):
        return self.jitted._numba_type_

    def bind(self, arguments) -> None:
        """Take the declared arguments from the op; until then the kernel cannot be called.

        They stand in the order inputs, settings, outputs; the op sees to that.
        """
        self.arguments = tuple(arguments)
        self._n_inputs = sum(a.role == "input" for a in self.arguments)
        self._n_given = sum(a.role != "output" for a in self.arguments)
        self._inputs = range(self._n_inputs)
        self._hypers = range(self._n_inputs, self._n_given)
        self._labels = [i for i in self._inputs if self.arguments[i].label_dim]
        self._elementwise = all(self.arguments[i].dims is None for i in self._inputs)
        self._defaults = [a.hyper.default if a.role == "hyper" else None for a in self.arguments]

    # ------------------------------------------------------------------ the checked call

    def __call__(self, *args, **kwargs):
        if not self.arguments:
            raise TypeError(f"{self.__name__}: no Op declares this kernel yet")
        if len(args) == self._n_inputs and not kwargs:
            values = [*args, *self._defaults[self._n_inputs :]]
        else:
            values = self._arrange(args, kwargs)
        layout = self._layouts.get(self._key(values))
        if layout is None:
            if self.variant is not None and self.variant.has_ranks(values):
                return self.variant(*values)
            self._convert(values)
            layout = self._remember(values)
        for i in self._labels:
            self._check_labels(values[i], self.arguments[i], layout)
        if layout.dtype == FLOATS[0]:
            for i in self._hypers:
                fits(self._where(self.arguments[i]), values[i], layout.dtype)
        for i, shape in layout.outputs:
            if values[i] is None:
                values[i] = np.empty(shape, layout.dtype)
            else:
                self._check_output(i, values, shape, layout.dtype)
        if layout.is_flat:
            layout.entry(*values)
        else:
            layout.entry(*[v.ravel() if type(v) is np.ndarray else v for v in values])
        results = values[self._n_given :]
        return results[0] if len(results) == 1 else tuple(results)

    def has_ranks(self, values) -> bool:
        """Whether the inputs among `values` have the number of dimensions declared here."""
        return all(rank(values[i]) == len(self.arguments[i].dims) for i in self._inputs)

    def _where(self, argument) -> str:
        return f"{self.__name__}: {argument.name}"

    def _arrange(self, args, kwargs) -> list:
        """One value for each argument, None for an output that is to be allocated."""
        names = self.parameters
        if len(args) > len(names):
            raise TypeError(
                f"{self.__name__}: {len(args)} arguments given, expected at most "
                f"{len(names)}: {', '.join(names)}"
            )
        values = [*args, *self._defaults[len(args) :]]
        for name, value in kwargs.items():
            if name not in names:
                raise TypeError(
                    f"{self.__name__}: unknown argument {name!r}, expected one of "
                    f"{', '.join(names)}"
                )
            if names.index(name) < len(args):
                raise TypeError(f"{self.__name__}: {name} is given twice")
            values[names.index(name)] = value
        for i in self._inputs:
            if values[i] is None:
                raise TypeError(
                    f"{self.__name__}: {names[i]} is missing, expected ({', '.join(names)})"
                )
        for i in self._hypers:
            if values[i] is not self._defaults[i]:
                argument = self.arguments[i]
                values[i] = argument.hyper.check(self._where(argument), values[i])
        return values

    def _key(self, values):
        """What decides whether the inputs may be passed as they are; None: not at a glance."""
        key = []
        for value in values[: self._n_inputs]:
            if type(value) is not np.ndarray or not value.flags.carray:
                return None
            key.append(value.shape)
            key.append(value.dtype)
        return tuple(key)

    def _convert(self, values) -> None:
        """Replace the inputs by C-contiguous, writable arrays of the declared dtypes."""
        dtype = self._dtype(values)
        for i in self._inputs:
            argument = self.arguments[i]
            convert = to_labels if argument.label_dim else to_floats
            values[i] = convert(self._where(argument), values[i], dtype)

    def _dtype(self, values) -> np.dtype:
        """The dtype of the call: that of its first floating array, float64 if there is none."""
        for i in self._inputs:
            dtype = getattr(values[i], "dtype", None)
            if not self.arguments[i].label_dim and isinstance(dtype, np.dtype):
                native = dtype.newbyteorder("=")
                if native in FLOATS:
                    return native
        return FLOATS[1]

    def _remember(self, values) -> Layout:
        layout = self._derive(values)
        if len(self._layouts) >= KNOWN_LAYOUTS:
            self._layouts.clear()
        self._layouts[self._key(values)] = layout
        return layout

    def _derive(self, values) -> Layout:
        """Check the shapes of the inputs against the signature; derive those of the outputs."""
        sizes: dict[str, int] = {}
        common = values[self._inputs[0]].shape
        dtype = self._dtype(values)
        for i in self._inputs:
            argument = self.arguments[i]
            if argument.dims is None:
                if values[i].shape != common:
                    first = self.arguments[self._inputs[0]].name
                    raise ValueError(
                        f"{self._where(argument)} has shape {values[i].shape}, "
                        f"expected {common}, the shape of {first}"
                    )
            else:
                match_dims(self._where(argument), values[i].shape, argument.dims, sizes)
        outputs = []
        for i in range(self._n_given, len(self.arguments)):
            dims = self.arguments[i].dims
            shape = common if dims is None else tuple(sizes[d] for d in dims)
            outputs.append((i, shape))
        is_flat = not self._elementwise or len(common) == 1
        entry = direct(self.jitted, *self._examples(dtype))
        return Layout(sizes, dtype, tuple(outputs), is_flat, entry)

    def _examples(self, dtype) -> list:
        """Arguments of the types that the compiled loop is called with."""
        return [
            0.0
            if argument.role == "hyper"
            else np.empty(
                (0,) * (1 if argument.dims is None else len(argument.dims)),
                LABELS if argument.label_dim else dtype,
            )
            for argument in self.arguments
        ]

    def _check_labels(self, labels, argument, layout) -> None:
        end = layout.sizes[argument.label_dim]
        wrong = first_out_of_range(labels, end)
        if wrong >= 0:
            raise ValueError(
                f"{self._where(argument)}[{wrong}] is {labels[wrong]}, expected a "
                f"class from 0 to {end - 1}"
            )

    def _check_output(self, position, values, shape, dtype) -> None:
        out = values[position]
        is_right = type(out) is np.ndarray and out.dtype == dtype and out.shape == shape
        if not (is_right and out.flags.carray):
            self._refuse_output(position, out, shape, dtype)
        owns = out.flags.owndata
        for i, other in enumerate(values):
            if i == position or type(other) is not np.ndarray:
                continue
            if owns and other.flags.owndata and other is not out:
                continue  # memory is owned by one array; of views NumPy must look where they lie
            if np.may_share_memory(out, other) and not self._may_be_in_place(out, i, other):
                raise ValueError(
                    f"{self._where(self.arguments[position])} overlaps {self.parameters[i]} in "
                    "memory, expected an array of its own"
                )

    def _refuse_output(self, position, out, shape, dtype) -> None:
        """Say what is wrong with an output that the compiled loop could not write to."""
        where = self._where(self.arguments[position])
        if type(out) is not np.ndarray:
            raise TypeError(f"{where} is a {type(out).__name__}, expected a plain array of {dtype}")
        if out.dtype != dtype:
            raise TypeError(f"{where} has dtype {out.dtype}, expected {dtype}")
        if out.shape != shape:
            raise ValueError(f"{where} has shape {out.shape}, expected {shape}")
        if not out.flags.writeable:
            raise ValueError(f"{where} is read-only, expected an array to write to")
        raise TypeError(
            f"{where} has strides {out.strides}, expected a C-contiguous, aligned array"
        )

    def _may_be_in_place(self, out, position, other) -> bool:
        """Whether `other` is an input that an elementwise kernel may overwrite as it reads."""
        return (
            self._elementwise
            and position < self._n_inputs
            and (
                out is other
                or out.__array_interface__["data"] == other.__array_interface__["data"]
            )
        )


def kernel(function) -> Kernel:
    """Compile `function` and make it safe to call from Python; an `Op` then declares it."""
    return Kernel(function)


def kernel_inlined(function) -> Kernel:
    """A kernel whose lines become those of the compiled code that names its `jitted`.

    For those that only pass their arguments on; and for those whose outputs are mostly their
    inputs, so that the compiler sees that they are: a loop over arrays that overlap for all it
    knows is not vectorised.
    """
    return Kernel(function, jit_inlined)


# ---------------------------------------------------------------------- arrays from anything


def to_array(where: str, value, kinds: str, expected: str) -> np.ndarray:
    """`value` as a plain array whose dtype kind is among `kinds`; TypeError otherwise."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{where} is a masked array, expected {expected}")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise TypeError(f"{where} is not an array ({error}), expected {expected}") from None
    if array.size == 0 and not hasattr(value, "dtype"):
        array = array.astype(int)  # an empty list has no dtype of its own
    if array.dtype.kind not in kinds:
        raise TypeError(f"{where} has dtype {array.dtype}, expected {expected}")
    return array


def to_floats(where: str, value, dtype: np.dtype) -> np.ndarray:
    """`value` as a C-contiguous, writable array of `dtype`, copied only where needed.

    A floating array must have the dtype already: narrowing would lose digits unseen.
    Integers, booleans and nested lists of numbers are converted: integers exactly or not at
    all, and nothing finite to infinity.
    """
    if type(value) is np.ndarray and value.dtype == dtype and value.flags.carray:
        return value
    array = to_array(where, value, "fiub", f"an array of {dtype}")
    is_given_float = array.dtype.kind == "f" and hasattr(value, "dtype")
    if is_given_float and array.dtype.newbyteorder("=") != dtype:
        raise TypeError(f"{where} has dtype {array.dtype}, expected {dtype}")
    if array.dtype == dtype and array.flags.carray:
        return array
    return cast(where, array, dtype)


def cast(where: str, array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """A C-contiguous copy in `dtype`; ValueError where an integer or a magnitude is lost."""
    with np.errstate(over="ignore"):
        converted = np.array(array, dtype=dtype, order="C", copy=True, subok=False)
    if array.dtype.kind in "iu":
        # Only integers of more bits than the mantissa can be lost; they are compared as such.
        limit = 2 ** (np.finfo(dtype).nmant + 1)
        if np.iinfo(array.dtype).max <= limit:
            return converted
        large = (array > limit) | (array < -limit if array.dtype.kind == "i" else False)
        lost = any(int(c) != int(a) for c, a in zip(converted[large], array[large], strict=True))
    else:
        lost = not np.array_equal(np.isfinite(converted), np.isfinite(array))
    if lost:
        raise ValueError(
            f"{where} holds numbers that {dtype} cannot represent, expected ones it can"
        )
    return converted


def to_labels(where: str, value, _dtype=None) -> np.ndarray:
    """`value` as a C-contiguous, writable array of int64; only integers and booleans fit."""
    if type(value) is np.ndarray and value.dtype == LABELS and value.flags.carray:
        return value
    array = to_array(where, value, "iub", "integer classes")
    if array.dtype == LABELS and array.flags.carray:
        return array
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(LABELS).max:
        raise ValueError(f"{where} holds {array.max()}, expected a class")
    return np.array(array, dtype=LABELS, order="C", copy=True, subok=False)


def rank(value) -> int:
    """The number of dimensions; -1 of what is no array, such as rows of unequal length."""
    if type(value) is np.ndarray:
        return value.ndim
    try:
        return np.ndim(value)
    except ValueError:
        return -1


def fits(where: str, setting: float, dtype: np.dtype) -> float:
    """`setting`, which is finite, if it is so in `dtype` too."""
    if dtype == FLOATS[0] and abs(setting) > FLOAT32_MAX:
        raise ValueError(f"{where} is {setting:g}, expected a number that float32 can hold")
    return setting


def match_dims(where: str, shape, dims, sizes: dict[str, int]) -> None:
    """Bind the names in `dims` to the sizes in `shape`; ValueError where they disagree."""
    fits = len(shape) == len(dims)
    if fits:
        fits = all(sizes.get(name, size) == size for name, size in zip(dims, shape, strict=True))
    if not fits:
        known = ", ".join(f"{d}={sizes[d]}" for d in dims if d in sizes)
        suffix = f" with {known}" if known else ""
        comma = "," if len(dims) == 1 else ""
        raise ValueError(f"{where} has shape {shape}, expected ({', '.join(dims)}{comma}){suffix}")
    sizes.update(zip(dims, shape, strict=True))
