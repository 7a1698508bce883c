"""Each kernel alone, op × dtype × size, forward and backward; and what compiling it takes."""

import numba
import numpy as np
import pytest

from bench.cases import DTYPES, SIZES, make, verify
from kernels import OPS
from kernels.jit import OPTIONS

DIRECTIONS = [
    (name, direction)
    for name, op in OPS.items()
    for direction in ("forward", "backward")
    if direction == "forward" or op.backward is not None
]


@pytest.mark.benchmark(group="kernels")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "direction"), DIRECTIONS, ids=["-".join(d) for d in DIRECTIONS])
def test_kernel(benchmark, name, direction, dtype, size):
    case = make(name, direction, size, dtype)
    verify(case)
    benchmark.extra_info.update(case.extra_info)
    benchmark(case.run)


@pytest.mark.benchmark(group="compile")
@pytest.mark.parametrize("name", ["affine", "tanh", "batchnorm", "softmax_cross_entropy"])
def test_compile(benchmark, name):
    """From nothing to the first result of a kernel, with no cache."""
    case = make(name, "forward", "small", "float64")
    values = [
        *case.inputs.values(),
        *(h.default for h in case.op.hyper.values()),
        *case.outputs.values(),
    ]
    if case.op.is_elementwise:
        values = [v.ravel() if isinstance(v, np.ndarray) else v for v in values]
    benchmark.extra_info.update(case.extra_info)
    benchmark.pedantic(lambda: numba.njit(**OPTIONS)(case.kernel.py_func)(*values), rounds=1)
