"""Op: declares an operation once. OPS: the table that tests, gradcheck, bench and docs read.

Names are the schema. An op is two kernels and one line of NumPy's gufunc notation:

    affine_forward(x, w, b, y)                  inputs, then outputs
    affine_backward(dy, x, w, dx, dw, db)       cotangents and saved arrays, then gradients
    "(n,k),(k,m),(m)->(n,m)"                    shapes of x, w, b -> y

`dX` has the shape of `X`. Whatever backward needs besides the inputs is an output of
forward, by the same name. From this, `Op` knows every shape, what to allocate, which
outputs carry a gradient and which inputs get one.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np

from kernels.boundary import Argument, Hyper, Kernel

OPS: dict[str, "Op"] = {}
"""Every operation by name, in the order of declaration."""

SAMPLE_SIZES = MappingProxyType({"n": 5, "k": 3, "m": 7})
"""Distinct primes, so that a transposed array cannot pass for a right one."""

KINK_MARGIN = 0.05
"""Sampled inputs keep this distance from a kink, where one-sided slopes differ."""


@dataclass(frozen=True, eq=False)
class Op:
    """An operation: its kernels, its shapes, its NumPy reference and where it is delicate.

    Parameters
    ----------
    forward, backward : Kernel
        `backward` is None for an op without a gradient, such as an update.
    signature : str
        Shapes of forward's inputs and outputs in gufunc notation; `()->()` is elementwise.
    reference : callable
        The readable NumPy twin of forward: same inputs and settings, returns the outputs.
    hyper : mapping of name to Hyper
        The scalar settings among forward's arguments.
    labels : mapping of name to dimension
        Inputs that hold integer classes, and the dimension that counts the classes.
    domain : mapping of name to (low, high)
        Inputs that are drawn uniformly from an interval instead of from N(0, 1).
    edges : tuple of float
        Inputs of an elementwise op at which a naive formula breaks.
    kinks : tuple of float
        Inputs at which the derivative jumps.
    variant : Op
        The op that takes the call where its inputs have that op's ranks instead.
    """

    forward: Kernel
    backward: Kernel | None
    signature: str
    reference: Callable
    hyper: Mapping[str, Hyper] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    domain: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    edges: tuple[float, ...] = ()
    kinks: tuple[float, ...] = ()
    variant: "Op | None" = None

    def __post_init__(self):
        if self.name in OPS:
            raise ValueError(f"{self.name}: an op of this name is declared already")
        declared = self._declare_forward()
        forward = in_order(self.name, declared.values())
        if self.backward is not None:
            self.backward.bind(in_order(self.name, self._declare_backward(declared)))
        self.forward.bind(forward)
        if self.variant is not None:
            self.forward.variant = self.variant.forward
            self.backward.variant = self.variant.backward
        OPS[self.name] = self

    def _declare_forward(self) -> dict[str, Argument]:
        names = self.forward.parameters
        arrays = [name for name in names if name not in self.hyper]
        inputs, outputs = parse_signature(self.signature)
        if len(arrays) != len(inputs) + len(outputs):
            raise TypeError(
                f"{self.name}: {self.signature!r} declares {len(inputs)} inputs and "
                f"{len(outputs)} outputs, but forward takes {', '.join(arrays)}"
            )
        dims = dict(zip(arrays, inputs + outputs, strict=True))
        elementwise = not any(dims.values())
        return {
            name: Argument(name, "hyper", hyper=self.hyper[name])
            if name in self.hyper
            else Argument(
                name,
                "input" if arrays.index(name) < len(inputs) else "output",
                dims=None if elementwise else dims[name],
                label_dim=self.labels.get(name),
            )
            for name in names
        }

    def _declare_backward(self, declared) -> list[Argument]:
        arguments = []
        for name in self.backward.parameters:
            of = declared.get(name[1:]) if name.startswith("d") else None
            if name in declared:
                saved = declared[name]
                role = "hyper" if saved.role == "hyper" else "input"
                argument = Argument(name, role, saved.dims, saved.hyper, saved.label_dim)
            elif of is not None:
                role = "input" if of.role == "output" else "output"
                argument = Argument(name, role, of.dims)
            else:
                raise TypeError(
                    f"{self.name}: backward's {name} is neither an argument of "
                    "forward nor 'd' and the name of one"
                )
            arguments.append(argument)
        return arguments

    def __reduce__(self):
        return op_named, (self.name,)  # an op is pickled by name, as functions are

    # ------------------------------------------------------------------ what the op knows

    @cached_property
    def name(self) -> str:
        return self.forward.__name__.rpartition("_")[0]

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of forward's array inputs."""
        return tuple(a.name for a in self.forward.arguments if a.role == "input")

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        return tuple(a.name for a in self.forward.arguments if a.role == "output")

    @cached_property
    def cotangents(self) -> tuple[str, ...]:
        """The outputs whose gradient backward takes; the others are only saved for it."""
        names = self.backward.parameters if self.backward else ()
        return tuple(name for name in self.outputs if "d" + name in names)

    @cached_property
    def gradients(self) -> tuple[str, ...]:
        """The inputs that backward gives a gradient for."""
        names = self.backward.parameters if self.backward else ()
        return tuple(name for name in self.inputs if "d" + name in names)

    @cached_property
    def jitted(self) -> tuple[Callable, Callable]:
        """The compiled loops of forward and backward, for compiled code, with no checks."""
        return self.forward.jitted, self.backward.jitted

    @cached_property
    def is_elementwise(self) -> bool:
        return all(a.dims is None for a in self.forward.arguments)

    # ------------------------------------------------------------------ the op as a function

    def value(self, *inputs, **hyper) -> tuple[np.ndarray, ...]:
        """The outputs that carry a gradient (all of them where the op has none)."""
        outputs = self._forward(inputs, hyper)
        return tuple(outputs[name] for name in self.cotangents or self.outputs)

    def vjp(self, cotangents, *inputs, **hyper) -> tuple[np.ndarray, ...]:
        """Vector-Jacobian product: the gradients of sum(cotangent * output) in the inputs.

        Parameters
        ----------
        cotangents : tuple of array
            One for each name in `self.cotangents`.

        Returns
        -------
        tuple of array, one for each name in `self.gradients`.
        """
        if self.backward is None:
            raise TypeError(f"{self.name}: this op has no backward")
        known = dict(zip(self.inputs, inputs, strict=True)) | self._forward(inputs, hyper) | hyper
        known |= {"d" + n: c for n, c in zip(self.cotangents, cotangents, strict=True)}
        taken = [a.name for a in self.backward.arguments if a.role != "output"]
        gradients = self.backward(**{name: known[name] for name in taken if name in known})
        return gradients if isinstance(gradients, tuple) else (gradients,)

    def _forward(self, inputs, hyper) -> dict[str, np.ndarray]:
        outputs = self.forward(**dict(zip(self.inputs, inputs, strict=True)), **hyper)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return dict(zip(self.outputs, outputs, strict=True))

    def sample(self, rng: np.random.Generator, dtype=np.float64, sizes=SAMPLE_SIZES):
        """Random inputs in the op's domain and off its kinks: a dict of name to array."""
        return {
            a.name: self._draw(a, rng, np.dtype(dtype), sizes)
            for a in self.forward.arguments
            if a.role == "input"
        }

    def _draw(self, argument, rng, dtype, sizes) -> np.ndarray:
        dims = ("n", "m") if argument.dims is None else argument.dims
        shape = tuple(sizes[d] for d in dims)
        if argument.label_dim:
            return rng.integers(0, sizes[argument.label_dim], shape)
        if argument.name in self.domain:
            return rng.uniform(*self.domain[argument.name], shape).astype(dtype)
        array = rng.standard_normal(shape)
        for kink in self.kinks:
            side = np.where(array >= kink, 1.0, -1.0)
            array = np.where(abs(array - kink) < KINK_MARGIN, kink + side * KINK_MARGIN, array)
        return array.astype(dtype)


def op_named(name: str) -> Op:
    return OPS[name]


def in_order(name: str, arguments) -> tuple[Argument, ...]:
    """The arguments, if they stand in the order inputs, settings, outputs."""
    arguments = tuple(arguments)
    ranks = [("input", "hyper", "output").index(a.role) for a in arguments]
    if ranks != sorted(ranks):
        raise TypeError(
            f"{name}: arguments are {', '.join(a.name for a in arguments)}, expected "
            "inputs, then settings, then outputs"
        )
    return arguments


def parse_signature(signature: str) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """The dimension names of inputs and outputs: "(n,k),(k)->(n)" gives two lists of tuples."""
    group = r"\(\s*(?:\w+(?:\s*,\s*\w+)*)?\s*\)"
    groups = rf"\s*{group}(?:\s*,\s*{group})*\s*"
    if not re.fullmatch(f"{groups}->{groups}", signature):
        raise ValueError(
            f"signature {signature!r} is not in gufunc notation, expected for "
            "example '(n,k),(k,m)->(n,m)'"
        )
    sides = []
    for side in signature.split("->"):
        sides.append([tuple(re.findall(r"\w+", g)) for g in re.findall(group, side)])
    return sides[0], sides[1]
