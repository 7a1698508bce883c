"""Cases from the table of operations: inputs, outputs, the work they are, and the check."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gradcheck.numeric import directional_derivative
from kernels import OPS, Kernel, Op

SIZES = {
    "small": {"n": 32, "k": 64, "m": 64},
    "large": {"n": 256, "k": 256, "m": 256},
}

DTYPES = ("float32", "float64")

RTOL = {"float32": 1e-4, "float64": 1e-11}


@dataclass(frozen=True)
class Case:
    """One kernel with its arguments: calling `run` does the work once, into `outputs`."""

    op: Op
    kernel: Kernel
    size: str
    dtype: str
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]

    def run(self):
        """The compiled loop alone."""
        self.kernel.jitted(*self.values)

    def call(self):
        """Through the boundary, outputs given."""
        return self.kernel(*self.arguments)

    @cached_property
    def arguments(self) -> list:
        settings = {name: hyper.default for name, hyper in self.op.hyper.items()}
        known = {**self.inputs, **self.outputs, **settings}
        return [known[name] for name in self.kernel.parameters]

    @cached_property
    def values(self) -> list:
        """The arguments as the compiled loop takes them: elementwise ones one-dimensional."""
        if not self.op.is_elementwise:
            return self.arguments
        return [v.ravel() if isinstance(v, np.ndarray) else v for v in self.arguments]

    @property
    def direction(self) -> str:
        return "backward" if self.kernel is self.op.backward else "forward"

    @property
    def extra_info(self) -> dict:
        arrays = {**self.inputs, **self.outputs}
        return {
            "op": self.op.name,
            "direction": self.direction,
            "dtype": self.dtype,
            "shape": {name: list(array.shape) for name, array in arrays.items()},
            "flop": self.flop,
            "bytes": sum(array.nbytes for array in arrays.values()),
        }

    @property
    def flop(self) -> int | None:
        """Multiplications and additions of the products; of other ops bytes tell more."""
        if self.op.name != "affine":
            return None
        n, k, m = (SIZES[self.size][d] for d in "nkm")
        return (4 if self.direction == "backward" else 2) * n * k * m + n * m


def make(name: str, direction: str, size: str, dtype: str) -> Case:
    """A case with seeded inputs."""
    op = OPS[name]
    kernel = op.forward if direction == "forward" else op.backward
    rng = np.random.default_rng(0)
    known = op.sample(rng, np.dtype(dtype), SIZES[size])
    known |= dict(zip(op.outputs, as_tuple(op.forward(**known)), strict=True))
    for argument in kernel.arguments:
        of = argument.name[1:]
        if argument.name not in known and argument.role == "input":
            known[argument.name] = rng.standard_normal(known[of].shape).astype(dtype)
    inputs = {a.name: known[a.name] for a in kernel.arguments if a.role == "input"}
    names = [a.name for a in kernel.arguments if a.role == "output"]
    outputs = dict(zip(names, as_tuple(kernel(**inputs)), strict=True))
    return Case(op, kernel, size, dtype, inputs, {k: np.empty_like(v) for k, v in outputs.items()})


def verify(case: Case) -> None:
    """Before it is timed: forward against the reference, backward against its differences."""
    case.run()
    op = case.op
    settings = {name: hyper.default for name, hyper in op.hyper.items()}
    sample = {n: a.astype(float) if a.dtype.kind == "f" else a for n, a in case.inputs.items()}
    if case.direction == "forward":
        for got, expected in zip(
            case.outputs.values(), as_tuple(op.reference(*sample.values(), **settings)), strict=True
        ):
            scale = abs(expected).max()
            np.testing.assert_allclose(got, expected, rtol=0, atol=RTOL[case.dtype] * scale)
        return
    inputs = make(op.name, "forward", case.size, case.dtype).inputs
    wide = {n: a.astype(float) if a.dtype.kind == "f" else a for n, a in inputs.items()}
    cotangents = [sample["d" + name] for name in op.cotangents]
    positions = [op.outputs.index(name) for name in op.cotangents]

    rng = np.random.default_rng(1)
    for name in op.gradients:
        direction = rng.choice([-1.0, 1.0], wide[name].shape)

        def along(t, name=name, direction=direction):
            moved = wide | {name: wide[name] + t * direction}
            outputs = as_tuple(op.reference(*moved.values(), **settings))
            return np.concatenate([outputs[i].ravel() for i in positions])

        weights = np.concatenate([c.ravel() for c in cotangents])
        estimate = directional_derivative(along, weights, (1.0,))
        gradient = case.outputs["d" + name].astype(float)
        off = abs((gradient * direction).sum() - estimate.value)
        rounding = RTOL[case.dtype] * np.linalg.norm(gradient) * np.sqrt(gradient.size)
        assert off <= estimate.error_bar + rounding, f"{op.name}: d{name}"


def as_tuple(value):
    return value if isinstance(value, tuple) else (value,)
