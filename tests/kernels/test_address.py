"""Calls by address: the same loops, with the same results and errors."""

import numba
import numpy as np
import pytest

from kernels import OPS
from kernels.address import address_of, call
from kernels.jit import jit


@numba.njit
def scaled(loop, x, slope, y):
    call(loop, x, slope, y)


def test_an_address_and_a_name_reach_the_same_loop(dtype, rng):
    op = OPS["leaky_relu"]
    x, by_address, by_name = rng.standard_normal((3, 9)).astype(dtype)
    scaled(address_of(op.forward.jitted, *op.forward.examples(np.dtype(dtype))), x, 0.5, by_address)
    scaled(op.forward.jitted, x, 0.5, by_name)
    assert (by_address == op.forward(x, 0.5)).all()
    assert (by_name == by_address).all()


@jit
def refuse(x):
    if x[0] < 0:
        raise ValueError("negative")


@numba.njit
def pass_on(loop, x):
    call(loop, x)


def test_an_error_is_passed_on():
    loop = address_of(refuse, np.empty(0))
    pass_on(loop, np.ones(1))
    with pytest.raises(ValueError, match="negative"):
        pass_on(loop, -np.ones(1))
