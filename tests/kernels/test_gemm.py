"""The matrix product in its three forms and regimes, against NumPy in float64."""

import re
import threading

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import gemm
from kernels.gemm import (
    PACK_COLUMNS,
    THIN_ROWS,
    matmul_bias,
    matmul_bias_floor,
    matmul_transpose_a,
    matmul_transpose_a_onto,
    matmul_transpose_b,
    product,
)
from kernels.jit import OPTIONS
from kernels.panels import (
    BLOCK_BYTES,
    BLOCK_DEPTH,
    BLOCK_ROWS,
    PANEL_BYTES,
    SCRATCH_BYTES,
    block_bytes,
)
from kernels.share import ALONE
from kernels.simd import (
    HAS_MASKS,
    TILE_BYTES,
    TILE_ROWS,
    TILE_VECTORS,
    VECTOR_BYTES,
    second_cache_bytes,
    tile_shape,
    transpose,
)
from kernels.tile import ADD, SET, tile
from tests.conftest import COMPILED


def check_product(n, k, m, dtype, seed=0):
    """All three forms for a (n, k) and b (k, m), within the bound on rounding of a sum."""
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((n, k)).astype(dtype), rng.standard_normal((k, m)).astype(dtype)
    bias = rng.standard_normal(m).astype(dtype)
    dy = rng.standard_normal((n, m)).astype(dtype)
    wide_a, wide_b, wide_dy = (array.astype(np.float64) for array in (a, b, dy))
    start = rng.standard_normal((k, m)).astype(dtype)
    y, dw = wide_a @ wide_b + bias, wide_a.T @ wide_dy
    size_y, size_dw = abs(wide_a) @ abs(wide_b), abs(wide_a.T) @ abs(wide_dy)
    floor = 0.25
    for form, before, arguments, expected, magnitude, terms in (
        (matmul_bias, None, (a, b, bias), y, size_y, k),
        (matmul_bias_floor, None, (a, b, bias, floor), np.maximum(y, floor), size_y, k),
        (matmul_transpose_a, None, (a, dy), dw, size_dw, n),
        (
            matmul_transpose_a_onto,
            start,
            (a, dy, ADD, 0.5, -2.0),
            start / 2 - 2 * dw,
            2 * size_dw,
            n,
        ),
        (matmul_transpose_b, None, (dy, b), wide_dy @ wide_b.T, abs(wide_dy) @ abs(wide_b.T), m),
    ):
        margin = 8
        buffer = np.full(expected.size + 2 * margin, np.nan, dtype)
        out = buffer[margin : expected.size + margin].reshape(expected.shape)
        if before is not None:
            out[:] = before
        rest = () if form in (matmul_bias, matmul_transpose_a) else (ALONE, product)
        form(*arguments, out, *rest)
        # Higham 2002, section 3.5: |error| <= n·u·Σ|a||b|, and 1e-16 for float64 itself.
        allowed = (terms + 2) * np.finfo(dtype).eps * (magnitude + abs(expected)) + 1e-300
        assert (abs(out - expected) <= allowed).all()
        assert np.isnan(buffer[:margin]).all()
        assert np.isnan(buffer[-margin:]).all()


SMALL = st.integers(1, 40 if COMPILED else 12)


@settings(max_examples=80, deadline=None)
@given(n=SMALL, k=SMALL, m=SMALL, is_single=st.booleans(), seed=st.integers(0, 1000))
def test_any_small_shape(n, k, m, is_single, seed):
    check_product(n, k, m, np.float32 if is_single else np.float64, seed)


@pytest.mark.compiled
@pytest.mark.parametrize("n", [1, TILE_ROWS - 1, TILE_ROWS, BLOCK_ROWS + 1, 200])
@pytest.mark.parametrize("k", [1, 127, 129, 257, 300])
@pytest.mark.parametrize(
    "m", [1, 15, 17, BLOCK_BYTES // 8 + 1, BLOCK_BYTES // 4 - 1, PACK_COLUMNS + 37]
)
def test_shapes_at_the_borders_of_blocks(n, k, m, dtype):
    check_product(n, k, m, dtype)


@pytest.mark.parametrize("n", [1, 2, THIN_ROWS])
def test_a_few_rows_beside_what_no_cache_holds(n, dtype, monkeypatch):
    """Where plain Python would take minutes, nothing is held instead."""
    k, m = (303, 517) if n == 1 else (1501, 1499)
    if not COMPILED:
        monkeypatch.setattr(gemm, "ONE_ROW_BYTES", 0)
        monkeypatch.setattr(gemm, "THIN_ROWS_BYTES", 0)
        k, m = 7, 5
    held = gemm.ONE_ROW_BYTES if n == 1 else gemm.THIN_ROWS_BYTES
    assert k * m * np.dtype(dtype).itemsize > held
    check_product(n, k, m, dtype)


def test_nan_and_infinity_reach_only_what_they_touch(dtype):
    n, k, m = 13, 31, 17
    a, b = np.ones((n, k), dtype), np.ones((k, m), dtype)
    a[4, 7], b[9, 11] = np.nan, np.inf
    c = np.empty((n, m), dtype)
    matmul_bias(a, b, np.zeros(m, dtype), c)
    expected = np.full((n, m), float(k))
    expected[:, 11] = np.inf
    expected[4] = np.nan
    np.testing.assert_array_equal(c, expected)


@pytest.mark.compiled
def test_threads_have_their_own_panels():
    """The panels lie on the stack of whoever calls."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((150, 300)), rng.standard_normal((300, 270))
    results = [np.empty((150, 270)) for _ in range(4)]

    def work(out):
        for _ in range(10):
            matmul_bias(a, b, np.zeros(270), out)

    threads = [threading.Thread(target=work, args=(out,)) for out in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for out in results:
        np.testing.assert_array_equal(out, results[0])
    np.testing.assert_allclose(results[0], a @ b, atol=1e-11)


@pytest.mark.parametrize("cache", [2**14, 2**18, 2**19, 2**20, 2**21, 2**25])
def test_blocks_hold_whole_tiles(cache):
    """Else the last panel of a block would be packed beyond the memory for panels."""
    assert block_bytes(cache) % TILE_BYTES == 0
    assert TILE_BYTES <= block_bytes(cache) <= PANEL_BYTES // BLOCK_DEPTH
    assert block_bytes(cache) == TILE_BYTES or BLOCK_DEPTH * block_bytes(cache) <= cache / 4
    # Turned squares of b reach so far beyond the panels, into what a is packed to later.
    assert SCRATCH_BYTES - PANEL_BYTES >= VECTOR_BYTES * TILE_BYTES


@pytest.mark.parametrize(
    ("told", "size"),
    [("1024K\n", 2**20), ("2M\n", 2**21), ("262144", 2**18), ("", 2**20), ("?", 2**20)],
)
def test_the_size_of_the_second_cache(tmp_path, told, size):
    (tmp_path / "size").write_text(told)
    assert second_cache_bytes(tmp_path / "size") == size
    assert second_cache_bytes(tmp_path / "none") == 2**20


def test_the_tile_fits_the_registers():
    for features, registers in (
        ({"avx512f", "avx2", "fma"}, 32), ({"avx2", "fma"}, 16), ({"neon"}, 32), (set(), 16)
    ):  # fmt: skip
        _, rows, vectors = tile_shape(features)
        assert rows * vectors + vectors + 1 <= registers


@pytest.mark.compiled
@pytest.mark.skipif(
    TILE_BYTES // TILE_VECTORS < 32, reason="the count is of x86's fused multiply-add"
)
def test_the_tile_keeps_its_sums_in_registers():
    """One fused multiply-add for each accumulator in the loop, and nothing of it in memory."""

    @numba.njit(**OPTIONS)
    def one(a, b, c, k):
        width = TILE_BYTES // 4
        one, lowest = np.float32(1), np.float32(-np.inf)
        tile(
            a, 0, 1, TILE_ROWS, b, 0, width, k, c, 0, width, TILE_ROWS, width, c, 0, SET,
            one, one, lowest,
        )  # fmt: skip

    one(np.ones(64, np.float32), np.ones(64, np.float32), np.ones(4096, np.float32), 1)
    (assembly,) = one.inspect_asm().values()
    blocks = re.split(r"\n\.LBB\w+:", assembly)
    loops = [block for block in blocks if block.count("vfmadd") == TILE_ROWS * TILE_VECTORS]
    assert len(loops) == 1
    body = loops[0].split("vfmadd")[1:-1]
    assert not any("(%rsp)" in line or "(%rbp)" in line for line in body)


def test_a_square_is_transposed_and_its_missing_rows_repeat(dtype):
    lanes = VECTOR_BYTES // np.dtype(dtype).itemsize
    source = np.arange(lanes * (lanes + 3), dtype=dtype).reshape(lanes, lanes + 3)

    @numba.njit
    def run(source, filled, length, target):
        transpose(source, 2, lanes + 3, filled, length, target, 1, lanes + 1)

    for filled in (1, lanes - 1, lanes):
        for length in (1, lanes - 1, lanes) if HAS_MASKS else (lanes,):
            target = np.full(lanes * (lanes + 1) + 1, np.nan, dtype)
            run(source.reshape(-1), filled, length, target)
            rows = np.minimum(np.arange(lanes), filled - 1)
            expected = source[rows, 2 : lanes + 2].T.copy()
            expected[length:] = 0
            np.testing.assert_array_equal(target[1:].reshape(lanes, lanes + 1)[:, :lanes], expected)
