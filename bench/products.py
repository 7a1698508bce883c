"""The matrix product beside NumPy's, in the three forms that training needs, at every size."""

from collections.abc import Callable

import numba
import numpy as np

from bench.progress import say
from bench.rows import OURS, Row
from bench.timing import Budget, interleave, timed
from kernels.gemm import matmul_bias, matmul_transpose_a, matmul_transpose_b, product
from kernels.share import ALONE

SIZES = (
    1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 255, 256, 257,
    512, 1000, 1023, 1024, 1025, 2048,
)  # fmt: skip

DTYPES = ("float32", "float64")

FORMS = ("a·b", "aᵀ·b", "a·bᵀ")

GOALS = {256: 0.90, 1024: 0.85}
"""Of the multiply-add ceiling, at these sizes."""


@numba.njit
def matmul_transpose_b_alone(a, b, c):
    matmul_transpose_b(a, b, c, ALONE, product)


def calls(form: str, a, b, bias, ours, numpys) -> tuple[Callable, Callable]:
    """The same product by both; ours adds a bias besides in the first form."""
    if form == "a·b":
        return lambda: matmul_bias(a, b, bias, ours), lambda: np.matmul(a, b, out=numpys)
    if form == "aᵀ·b":
        return lambda: matmul_transpose_a(a, b, ours), lambda: np.matmul(a.T, b, out=numpys)
    return lambda: matmul_transpose_b_alone(a, b, ours), lambda: np.matmul(a, b.T, out=numpys)


def row(form: str, dtype: str, size: int, budget: Budget) -> Row:
    draw = np.random.default_rng(size)
    a, b = (draw.standard_normal((size, size)).astype(dtype) for _ in range(2))
    bias, ours, numpys = np.zeros(size, dtype), np.empty_like(a), np.empty_like(a)
    mine, theirs = calls(form, a, b, bias, ours, numpys)
    mine(), theirs()
    scale = np.sqrt(size) * 30 * np.finfo(dtype).eps * size**0.5
    np.testing.assert_allclose(ours, numpys, rtol=0, atol=scale)
    times = interleave([timed(OURS, mine), timed("NumPy", theirs)], budget)
    return Row(
        case=f"{form} {dtype} {size}", times=times, goal=1, flop=2 * size**3,
        description=f"{size}×{size}", group="products",
    )  # fmt: skip


def measure(budget: Budget, sizes=SIZES) -> list[Row]:
    rows = []
    for size in sizes:
        say(f"products: {size}×{size}")
        rows += [row(form, dtype, size, budget) for dtype in DTYPES for form in FORMS]
    return rows
