"""What the law tests share: all arguments of an op's two kernels, and how to compare."""

import numpy as np

ULP = {np.dtype(np.float64): 450, np.dtype(np.float32): 4}
"""Units in the last place that a result may be off: 1e-13 relative in float64, 4 in float32."""


def as_tuple(value):
    return value if isinstance(value, tuple) else (value,)


def settings(op):
    return {name: hyper.default for name, hyper in op.hyper.items()}


def reference(op, sample):
    """The reference's outputs, computed in float64 from the very numbers of the sample."""
    wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in sample.values()]
    with np.errstate(all="ignore"):
        return as_tuple(op.reference(*wide, **settings(op)))


def kernel_arguments(op, kernel, sample, rng):
    """Inputs for one of the op's kernels: from the sample, from forward, or random dys."""
    known = sample | dict(zip(op.outputs, as_tuple(op.forward(**sample)), strict=True))
    found = {}
    for argument in kernel.arguments:
        if argument.role != "input":
            continue
        if argument.name in known:
            found[argument.name] = known[argument.name]
        else:
            like = known[argument.name[1:]]
            found[argument.name] = rng.standard_normal(like.shape).astype(like.dtype)
    return found


def kernels_of(op):
    return [kernel for kernel in (op.forward, op.backward) if kernel is not None]


def is_free(kernel, name, axis):
    """Whether this axis's size is nobody else's business: no other input shares its name."""
    dims = {a.name: a.dims for a in kernel.arguments if a.role == "input"}
    if dims[name] is None:
        return False
    return sum(other.count(dims[name][axis]) for other in dims.values()) == 1


def assert_close_in_ulp(got, expected, op):
    """Within ULP of each entry, or, where terms are added up, of the largest entry."""
    dtype, elementwise = got.dtype, op.is_elementwise and len(op.inputs) == 1
    expected = np.asarray(expected, np.float64)
    assert got.shape == expected.shape
    size = abs(expected) if elementwise else np.full(expected.shape, abs(expected).max(initial=0))
    unit = np.spacing(np.maximum(size, np.finfo(dtype).tiny).astype(dtype)).astype(np.float64)
    off = abs(got.astype(np.float64) - expected) / unit
    assert off.max(initial=0) <= ULP[dtype], f"{off.max()} ulp"
