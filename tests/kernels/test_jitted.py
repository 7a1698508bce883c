"""Kernels inside the user's own compiled code, and the options that they are compiled with."""

import re
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

import kernels
from kernels.jit import FASTMATH, OPTIONS
from kernels.views import matrix, vector
from tests.kernels.helpers import as_tuple, kernel_arguments, kernels_of, settings

ROOT = Path(__file__).parents[2]


@numba.njit
def two_layers(x, w, b, z, y):
    kernels.affine_forward(x, w, b, z)
    kernels.tanh_forward(z.reshape(-1), y.reshape(-1))


relu_forward = kernels.relu_forward


@numba.njit
def by_global_name(x, y):
    relu_forward(x.reshape(-1), y.reshape(-1))


def test_kernels_run_inside_njit(rng, dtype):
    x, w, b = (rng.standard_normal(s).astype(dtype) for s in ((4, 3), (3, 5), (5,)))
    z, y = np.empty((4, 5), dtype), np.empty((4, 5), dtype)
    two_layers(x, w, b, z, y)
    np.testing.assert_array_equal(z, kernels.affine_forward(x, w, b))
    np.testing.assert_array_equal(y, kernels.tanh_forward(z))
    by_global_name(z, y)
    np.testing.assert_array_equal(y, np.maximum(z, 0))


def test_views_lie_where_they_should():
    flat = np.arange(20.0)

    @numba.njit
    def write(flat):
        matrix(flat, 3, 2, 4)[1, 2] = -1
        vector(flat, 15, 3)[2] = -2
        return matrix(flat, 3, 2, 4).shape, vector(flat, 15, 3).size

    assert write(flat) == ((2, 4), 3)
    assert np.flatnonzero(flat < 0).tolist() == [3 + 4 + 2, 17]


def test_nan_and_inf_stay_visible():
    assert not {"nnan", "ninf", "fast"} & FASTMATH
    assert OPTIONS["fastmath"] is FASTMATH


def test_options_are_chosen_in_one_place():
    """No other file calls Numba's decorators, so none can set other options."""
    pattern = re.compile(
        r"numba\.(n?jit|(gu)?vectorize|stencil|cfunc)|from numba import .*jit|fastmath"
    )
    for folder in ("kernels", "mlp"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name != "jit.py":
                assert not pattern.search(path.read_text()), path


@pytest.mark.compiled
def test_no_nan_assumption_reaches_the_compiler():
    x = np.ones(3)
    kernels.relu_forward(x)
    function = kernels.relu_forward.jitted
    fresh = numba.njit(**OPTIONS)(function.py_func)
    fresh(x, np.empty(3))
    for code in fresh.inspect_llvm().values():
        assert " nnan" not in code
        assert " ninf" not in code
        assert " fast " not in code


@pytest.mark.compiled
def test_kernels_allocate_nothing(op, rng):
    """Numba's own counter of allocations stays where it was."""
    _nrt_python.memsys_enable_stats()
    sample = op.sample(rng)
    for kernel in kernels_of(op):
        known = kernel_arguments(op, kernel, sample, rng) | settings(op)
        names = [a.name for a in kernel.arguments if a.role == "output"]
        known |= dict(
            zip(names, as_tuple(kernel(**kernel_arguments(op, kernel, sample, rng))), strict=True)
        )
        values = [known[name] for name in kernel.parameters]
        if op.is_elementwise:
            values = [v.ravel() if isinstance(v, np.ndarray) else v for v in values]
        kernel.jitted(*values)
        before = rtsys.get_allocation_stats().alloc
        kernel.jitted(*values)
        # One record for each array that is handed over from Python, and no more.
        arrays = sum(isinstance(value, np.ndarray) for value in values)
        assert rtsys.get_allocation_stats().alloc - before == arrays
