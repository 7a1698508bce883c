"""The one boundary: a kernel that checks its arguments when Python calls it.

Compiled code reads and writes past the end of an array that is too short without a word.
So a public kernel is a `Kernel`: called from Python it checks count, kind, dtype, shape,
layout, overlap and label range before the compiled loop runs; named inside `@njit` code it
*is* the compiled loop, at no cost and with no check.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kernels.arrays import (
    FLOATS,
    LABELS,
    first_out_of_range,
    fits,
    rank,
    to_floats,
    to_labels,
)
from kernels.jit import direct, jit, jit_inlined

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
    """What is known of a call by the shapes and dtypes of its arrays, once they were checked."""

    sizes: dict[str, int]
    dtype: np.dtype
    given: Sequence[int]  # positions of the outputs that were given
    allocated: Sequence[tuple[int, tuple[int, ...]]]  # position and shape of the others
    narrowed: Sequence[int]  # positions of settings that the dtype may not hold
    is_flat: bool  # whether the compiled loop takes the arrays in their shapes
    entry: Callable  # the compiled loop for arrays of these dtypes; it looks at nothing


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
        self._n_arguments = -1  # until it is bound no number of arguments is right
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
        self._n_arguments = len(self.arguments)
        self._n_inputs = sum(a.role == "input" for a in self.arguments)
        self._n_given = sum(a.role != "output" for a in self.arguments)
        self._inputs = range(self._n_inputs)
        self._hypers = range(self._n_inputs, self._n_given)
        self._arrays = [i for i, a in enumerate(self.arguments) if a.role != "hyper"]
        self._labels = [i for i in self._inputs if self.arguments[i].label_dim]
        self._elementwise = all(self.arguments[i].dims is None for i in self._inputs)
        self._defaults = [a.hyper.default if a.role == "hyper" else None for a in self.arguments]

    # ------------------------------------------------------------------ the checked call

    def __call__(self, *args, **kwargs):
        if kwargs or len(args) > self._n_arguments:
            values = self._arrange(args, kwargs)
        else:
            values = [*args, *self._defaults[len(args) :]]
        for i in self._hypers:
            if values[i] is not self._defaults[i]:
                argument = self.arguments[i]
                values[i] = argument.hyper.check(self._where(argument), values[i])
        layout = self._layouts.get(self._key(values))
        if layout is None:
            if self.variant is not None and self.variant.has_ranks(values):
                return self.variant(*values)
            layout = self._remember(values)
        for i in self._labels:
            self._check_labels(values[i], self.arguments[i], layout)
        for i in layout.narrowed:
            fits(self._where(self.arguments[i]), values[i], layout.dtype)
        for i in layout.given:
            self._check_overlap(i, values)
        for i, shape in layout.allocated:
            values[i] = np.empty(shape, layout.dtype)
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
        if not self.arguments:
            raise TypeError(f"{self.__name__}: no Op declares this kernel yet")
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
        return values

    def _key(self, values):
        """What decides whether the arrays may be passed as they are; None: not at a glance."""
        key = ()
        for value in values:
            if type(value) is np.ndarray and value.flags.carray:
                key += value.shape, value.dtype
            elif value is None:
                key += (None,)  # which outputs are given counts too
            elif type(value) is not float:
                return None
        return key

    def _convert(self, values) -> None:
        """Replace the inputs by C-contiguous, writable arrays of the declared dtypes."""
        for i in self._inputs:
            if values[i] is None:
                raise TypeError(
                    f"{self.__name__}: {self.parameters[i]} is missing, expected "
                    f"({', '.join(self.parameters)})"
                )
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
        """Convert the inputs, check all shapes, and know them the next time."""
        self._convert(values)
        key = self._key(values)
        layout = self._layouts.get(key)
        if layout is None:
            layout = self._derive(values)
            if len(self._layouts) >= KNOWN_LAYOUTS:
                self._layouts.clear()
            self._layouts[key] = layout
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
        given, allocated = [], []
        for i in range(self._n_given, len(self.arguments)):
            dims = self.arguments[i].dims
            shape = common if dims is None else tuple(sizes[d] for d in dims)
            if values[i] is None:
                allocated.append((i, shape))
            else:
                self._check_output(i, values[i], shape, dtype)
                given.append(i)
        is_flat = not self._elementwise or len(common) == 1
        entry = direct(self.jitted, *self.examples(dtype))
        narrowed = self._hypers if dtype == FLOATS[0] else ()
        return Layout(sizes, dtype, given, allocated, narrowed, is_flat, entry)

    def examples(self, dtype) -> list:
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

    def _check_output(self, position, out, shape, dtype) -> None:
        where = self._where(self.arguments[position])
        if type(out) is not np.ndarray:
            raise TypeError(f"{where} is a {type(out).__name__}, expected a plain array of {dtype}")
        if out.dtype != dtype:
            raise TypeError(f"{where} has dtype {out.dtype}, expected {dtype}")
        if out.shape != shape:
            raise ValueError(f"{where} has shape {out.shape}, expected {shape}")
        if not out.flags.writeable:
            raise ValueError(f"{where} is read-only, expected an array to write to")
        if not out.flags.carray:
            raise TypeError(
                f"{where} has strides {out.strides}, expected a C-contiguous, aligned array"
            )

    def _check_overlap(self, position, values) -> None:
        """ValueError if the output shares memory with another array, which it may not be."""
        out = values[position]
        owns = out.flags.owndata
        for i in self._arrays:
            other = values[i]
            if i == position or other is None:
                continue
            if owns and other.flags.owndata and other is not out:
                continue  # memory has one owner; where views lie NumPy has to find out
            if np.may_share_memory(out, other) and not self._may_be_in_place(out, i, other):
                raise ValueError(
                    f"{self._where(self.arguments[position])} overlaps {self.parameters[i]} in "
                    "memory, expected an array of its own"
                )

    def _may_be_in_place(self, out, position, other) -> bool:
        """Whether `other` is an input that an elementwise kernel may overwrite as it reads."""
        return (
            self._elementwise
            and position < self._n_inputs
            and (
                out is other or out.__array_interface__["data"] == other.__array_interface__["data"]
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
