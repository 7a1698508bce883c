"""The one boundary: a kernel that checks its arguments when Python calls it.

Compiled code reads and writes past the end of an array that is too short without a word.
So a public kernel is a `Kernel`: called from Python it checks count, kind, dtype, shape,
layout, overlap and label range before the compiled loop runs; named inside `@njit` code it
*is* the compiled loop, at no cost and with no check.
"""

import inspect
import math
from dataclasses import dataclass

import numpy as np

from kernels.jit import jit

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
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
        if not (math.isfinite(value) and self.low <= value <= self.high):
            bounds = f"in [{self.low:g}, {self.high:g}]" if self.is_bounded else "that is finite"
            raise ValueError(f"{where} is {value!r}, expected a number {bounds}")
        return float(value)

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
    outputs: tuple[tuple[int, tuple[int, ...], np.dtype], ...]  # position, shape, dtype


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

    def __init__(self, function):
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__
        self.__module__ = function.__module__
        self.__wrapped__ = function
        self.py_func = function
        self.jitted = jit(function)
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
        self._defaults = [a.hyper.default if a.role == "hyper" else None
                          for a in self.arguments]

    # ------------------------------------------------------------------ the checked call

    def __call__(self, *args, **kwargs):
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
        for i, shape, dtype in layout.outputs:
            if values[i] is None:
                values[i] = np.empty(shape, dtype)
            else:
                self._check_output(i, values, shape, dtype)
        if self._elementwise:
            self.jitted(*[v.ravel() if type(v) is np.ndarray else v for v in values])
        else:
            self.jitted(*values)
        results = values[self._n_given :]
        return results[0] if len(results) == 1 else tuple(results)

    def has_ranks(self, values) -> bool:
        """Whether the inputs among `values` have the number of dimensions declared here."""
        return all(np.ndim(values[i]) == len(self.arguments[i].dims) for i in self._inputs)

    def _where(self, argument) -> str:
        return f"{self.__name__}: {argument.name}"

    def _arrange(self, args, kwargs) -> list:
        """One value for each argument, None for an output that is to be allocated."""
        names = self.parameters
        if len(args) > len(names):
            raise TypeError(f"{self.__name__}: {len(args)} arguments given, expected at most "
                            f"{len(names)}: {', '.join(names)}")
        values = [*args, *self._defaults[len(args) :]]
        for name, value in kwargs.items():
            if name not in names:
                raise TypeError(f"{self.__name__}: unknown argument {name!r}, expected one of "
                                f"{', '.join(names)}")
            if names.index(name) < len(args):
                raise TypeError(f"{self.__name__}: {name} is given twice")
            values[names.index(name)] = value
        for i in self._inputs:
            if values[i] is None:
                raise TypeError(f"{self.__name__}: {names[i]} is missing, expected "
                                f"({', '.join(names)})")
        for i in self._hypers:
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
                    raise ValueError(f"{self._where(argument)} has shape {values[i].shape}, "
                                     f"expected {common}, the shape of {first}")
            else:
                match_dims(self._where(argument), values[i].shape, argument.dims, sizes)
        outputs = []
        for i in range(self._n_given, len(self.arguments)):
            dims = self.arguments[i].dims
            shape = common if dims is None else tuple(sizes[d] for d in dims)
            outputs.append((i, shape, dtype))
        return Layout(sizes, tuple(outputs))

    def _check_labels(self, labels, argument, layout) -> None:
        end = layout.sizes[argument.label_dim]
        wrong = first_out_of_range(labels, end)
        if wrong >= 0:
            raise ValueError(f"{self._where(argument)}[{wrong}] is {labels[wrong]}, expected a "
                             f"class from 0 to {end - 1}")

    def _check_output(self, position, values, shape, dtype) -> None:
        where, out = self._where(self.arguments[position]), values[position]
        if type(out) is not np.ndarray or out.dtype != dtype:
            got = out.dtype if isinstance(out, np.ndarray) else type(out).__name__
            raise TypeError(f"{where} is {got}, expected an array of {dtype}")
        if out.shape != shape:
            raise ValueError(f"{where} has shape {out.shape}, expected {shape}")
        if not out.flags.writeable:
            raise ValueError(f"{where} is read-only, expected an array to write to")
        if not out.flags.carray:
            raise TypeError(f"{where} has strides {out.strides}, expected a C-contiguous array")
        for i, other in enumerate(values):
            if i == position or not isinstance(other, np.ndarray):
                continue
            if np.may_share_memory(out, other) and not self._may_be_in_place(out, i, other):
                raise ValueError(f"{where} overlaps {self.parameters[i]} in memory, expected an "
                                 "array of its own")

    def _may_be_in_place(self, out, position, other) -> bool:
        """Whether `other` is an input that an elementwise kernel may overwrite as it reads."""
        return (self._elementwise and position < self._n_inputs and
                out.__array_interface__["data"] == other.__array_interface__["data"])


def kernel(function) -> Kernel:
    """Compile `function` and make it safe to call from Python; an `Op` then declares it."""
    return Kernel(function)


# ---------------------------------------------------------------------- arrays from anything


def to_array(where: str, value, kinds: str, expected: str) -> np.ndarray:
    """`value` as a plain array whose dtype kind is among `kinds`; TypeError otherwise."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{where} is a masked array, expected {expected}")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise TypeError(f"{where} is not an array ({error}), expected {expected}") from None
    if array.dtype.kind not in kinds:
        raise TypeError(f"{where} has dtype {array.dtype}, expected {expected}")
    return array


def to_floats(where: str, value, dtype: np.dtype) -> np.ndarray:
    """`value` as a C-contiguous, writable array of `dtype`, copied only where needed.

    A floating array must have the dtype already: narrowing would lose digits unseen.
    Integers, booleans and nested lists of numbers are converted, exactly or not at all.
    """
    array = to_array(where, value, "fiub", f"an array of {dtype}")
    is_given_float = array.dtype.kind == "f" and hasattr(value, "dtype")
    if is_given_float and array.dtype.newbyteorder("=") != dtype:
        raise TypeError(f"{where} has dtype {array.dtype}, expected {dtype}")
    if array.dtype == dtype and array.flags.carray:
        return array
    converted = np.array(array, dtype=dtype, order="C", copy=True, subok=False)
    if array.dtype.kind in "iu" and not np.array_equal(converted.astype(object), array.astype(object)):
        raise ValueError(f"{where} holds integers that {dtype} cannot represent, expected exact "
                         "values")
    return converted


def to_labels(where: str, value, _dtype=None) -> np.ndarray:
    """`value` as a C-contiguous, writable array of int64; only integers and booleans fit."""
    array = np.asarray(value) if not isinstance(value, np.ma.MaskedArray) else value
    if array.size == 0 and not hasattr(value, "dtype"):
        array = array.astype(LABELS)  # an empty list has no dtype of its own
    array = to_array(where, array, "iub", "integer classes")
    if array.dtype == LABELS and array.flags.carray:
        return array
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(LABELS).max:
        raise ValueError(f"{where} holds {array.max()}, expected a class")
    return np.array(array, dtype=LABELS, order="C", copy=True, subok=False)


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

