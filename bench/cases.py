"""Cases from the table of operations: inputs, outputs, the work they are, and the check."""

from dataclasses import dataclass

import numpy as np

from kernels import OPS, Kernel, Op

SIZES = {
    "small": {"n": 32, "k": 64, "m": 64},
    "large": {"n": 256, "k": 256, "m": 256},
}

DTYPES = ("float32", "float64")

FLOP_PER_ELEMENT = {"batchnorm": (7, 11), "batchnorm_inference": (4, 6)}
"""Additions, multiplications and function values for each element, forward and backward; one
for an op that is not listed. The affine map is counted by its products."""

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
        return self.kernel(**self.inputs, **self.outputs)

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
    def flop(self) -> int:
        n, k, m = (SIZES[self.size][d] for d in "nkm")
        is_backward = self.direction == "backward"
        if self.op.name == "affine":
            return (4 * n * k * m + n * m) if is_backward else (2 * n * k * m + n * m)
        return n * m * FLOP_PER_ELEMENT.get(self.op.name, (1, 1))[is_backward]


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

    def objective(changed):
        outputs = as_tuple(op.reference(*(wide | changed).values(), **settings))
        return sum((c * outputs[i]).sum() for c, i in zip(cotangents, positions, strict=True))

    rng, h = np.random.default_rng(1), 1e-6
    for name in op.gradients:
        direction = rng.choice([-1.0, 1.0], wide[name].shape)
        plus, minus = ({name: wide[name] + s * h * direction} for s in (1, -1))
        slope = (objective(plus) - objective(minus)) / (2 * h)
        got = (case.outputs["d" + name].astype(float) * direction).sum()
        scale = np.linalg.norm(case.outputs["d" + name].astype(float))
        assert abs(got - slope) <= 2e-4 * max(scale, 1e-3), f"{op.name}: d{name}"


def as_tuple(value):
    return value if isinstance(value, tuple) else (value,)
