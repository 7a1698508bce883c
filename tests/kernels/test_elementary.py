"""The elementary functions: as accurate as docs/accuracy.md says, right at the ends, vectorised."""

import re
import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest
from llvmlite import binding
from numba import config, njit

from kernels import OPS, elementary, normal
from kernels.bits import evaluate
from kernels.jit import OPTIONS
from kernels.simd import HAS_FMA
from tests.kernels.helpers import settings

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from docs.accuracy import FUNCTIONS, apply, has_wider_type, table  # noqa: E402

INF, NAN = np.inf, np.nan
IS_FUSED = HAS_FMA and not config.DISABLE_JIT

LIMITS = {
    elementary.exp: "-inf:0 inf:inf 0:1 -1e9:0 1e9:inf",
    elementary.exp_nonpositive: "-inf:0 0:1 -1e9:0",
    elementary.expm1: "-inf:-1 inf:inf 0:0 -0:-0 -1e9:-1 1e9:inf",
    elementary.expm1_nonpositive: "-inf:-1 0:0 -0:-0 -1e9:-1",
    elementary.log: "inf:inf 0:-inf -0:-inf 1:0 -1:nan -inf:nan -1e-40:nan",
    elementary.log1p: "inf:inf -1:-inf 0:0 -0:-0 -1.5:nan -inf:nan",
    elementary.tanh: "inf:1 -inf:-1 0:0 -0:-0 1e9:1 -1e9:-1",
    elementary.sigmoid: "inf:1 -inf:0 0:0.5 -0:0.5 1e9:1 -1e9:0",
    elementary.softplus: "inf:inf -inf:0 -1e9:0 1e9:1e9",
    normal.erf: "inf:1 -inf:-1 0:0 -0:-0 1e9:1 -1e9:-1",
    normal.gelu: "inf:inf -inf:0 0:0 -0:-0 1e9:1e9 -1e9:0",
    normal.gelu_slope: "inf:1 -inf:-0 0:0.5 -0:0.5 1e9:1 -1e9:-0",
}
"""What each function gives where it has no neighbour on one side, signs of zeros included."""

each_function = pytest.mark.parametrize("function", FUNCTIONS, ids=[f.name for f in FUNCTIONS])
each_limit = pytest.mark.parametrize("function", LIMITS, ids=[f.__name__ for f in LIMITS])


def values(function, points, dtype):
    """function at each of the points, often enough that the vectorised body runs."""
    with np.errstate(over="ignore"):
        x = np.repeat(np.array(points, dtype), 32)
    y = np.empty_like(x)
    apply(function)(x, y)
    rows = y.reshape(len(points), 32)
    np.testing.assert_array_equal(rows, np.broadcast_to(rows[:, :1], rows.shape))
    return rows[:, 0]


def published(name, dtype):
    """The bound that docs/accuracy.md prints."""
    row = (ROOT / "docs/accuracy.md").read_text().partition(f"| {name} |")[2]
    single, double = row.split("|")[:2]
    return float(single if dtype == np.float32 else double)


@each_function
def test_accuracy_is_what_is_published(function, dtype):
    if dtype == np.float64 and not has_wider_type():
        pytest.skip("no type is wider than float64")
    if IS_FUSED:
        assert function.error(dtype, 30_000) <= published(function.name, dtype)
    else:
        allowed = 8 if function.name == "gelu" else 2
        assert function.error(dtype, 3_000 if config.DISABLE_JIT else 30_000) <= allowed


def test_two_units_are_promised_and_three_for_gelu(dtype):
    for function in FUNCTIONS:
        assert published(function.name, dtype) <= (3 if function.name == "gelu" else 2)


@pytest.mark.compiled
def test_the_published_table_is_what_the_command_prints(request):
    if not request.config.getoption("thorough"):
        pytest.skip("measures for ten seconds: --thorough")
    if not (HAS_FMA and has_wider_type()):
        pytest.skip("the table was measured with fused multiply-adds and 80-bit numbers")
    assert table() in (ROOT / "docs/accuracy.md").read_text()


ORACLES = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "erf": mpmath.erf,
    "gelu": lambda x: x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2,
}


@each_function
def test_the_wider_type_is_right(function):
    """What judges float64 is itself judged by mpmath: to a twentieth of a unit."""
    if not has_wider_type():
        pytest.skip("no type is wider than float64")
    x = function.points(np.float64, 150)
    exact = function.exact(x.astype(np.longdouble))
    with mpmath.workdps(400):
        for xi, yi in zip(x, exact, strict=True):
            fraction, exponent = np.frexp(yi)
            high = float(fraction)
            got = mpmath.ldexp(mpmath.mpf(high) + float(fraction - high), int(exponent))
            truth = ORACLES[function.name](mpmath.mpf(float(xi)))
            assert abs(got - truth) <= abs(truth) * 2.0**-57, xi


@each_limit
def test_limits_and_signed_zeros(function, dtype):
    pairs = np.array([pair.split(":") for pair in LIMITS[function].split()], float)
    got, expected = values(function, pairs[:, 0], dtype), pairs[:, 1].astype(dtype)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, expected)
    is_known = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(got[is_known]), np.signbit(expected[is_known]))


@each_limit
def test_nan_of_any_payload_stays_nan(function, dtype):
    integer = np.uint32 if dtype == np.float32 else np.uint64
    quiet = np.array([np.nan], dtype).view(integer)[0]
    payloads = np.array([0, 1, 255, 2047, 12345], integer) | quiet
    signs = integer(1) << integer(8 * integer().itemsize - 1)
    for bits in (payloads, payloads | signs):
        assert np.isnan(values(function, bits.view(dtype), dtype)).all()


@each_function
def test_never_falls_where_the_function_rises(function, dtype):
    """Between neighbours, only as far as errors of two units make it."""
    low, high = getattr(function, np.dtype(dtype).name)
    lowest = -0.75 if function.name == "gelu" else -20  # below, gelu falls
    x = np.linspace(max(low, lowest), min(high, 9), 500, dtype=dtype)
    y = np.empty_like(x)
    apply(function.compiled)(x, y)
    assert (np.diff(y) >= -4 * np.spacing(abs(y[1:]))).all()


def test_results_are_subnormal_where_they_should_be(dtype):
    """Half of the least normal number and a quarter of it, to a unit of the least number."""
    info = np.finfo(dtype)
    x = np.log(float(info.tiny)) + np.log([0.5, 0.25, 2.0**-10])
    got = values(elementary.exp, x, dtype).astype(float)
    with np.errstate(under="ignore"):
        exact = np.array([float(mpmath.exp(float(dtype(xi)))) for xi in x])
    assert (got > 0).all()
    assert (abs(got - exact) <= float(info.smallest_subnormal)).all()


def test_log_of_subnormals(dtype):
    least = float(np.finfo(dtype).smallest_subnormal)
    x = np.array([least, 3 * least, 1000 * least], dtype)
    exact = [float(mpmath.log(mpmath.mpf(float(xi)))) for xi in x]
    np.testing.assert_allclose(values(elementary.log, x, dtype), exact, rtol=np.finfo(dtype).eps)


@pytest.mark.parametrize("count", range(2, 30))
def test_a_polynomial_has_all_its_terms(count):
    """In integers, where nothing is rounded."""
    coefficients = list(range(1, count + 1))
    got = evaluate(int.__mul__, lambda a, b, c: a * b + c, coefficients, 3)
    assert got == sum(c * 3**k for k, c in enumerate(coefficients))


def test_gelu_far_below(dtype):
    """Relative to itself, to where it is subnormal."""
    x = np.linspace(*((-37.4, -25) if dtype == np.float64 else (-12.8, -8)), 200).astype(dtype)
    got = OPS["gelu"].forward(x)
    with mpmath.workdps(400):
        for xi, yi in zip(x, got, strict=True):
            exact = ORACLES["gelu"](mpmath.mpf(float(xi)))
            assert abs(float(yi) / exact - 1) <= 4 * np.finfo(dtype).eps


# ------------------------------------------------------------------------------ machine code

C_LIBRARY = {
    name + suffix
    for name in [
        "exp",
        "exp2",
        "expm1",
        "log",
        "log2",
        "log1p",
        "tanh",
        "erf",
        "erfc",
        "pow",
        "fma",
        "ldexp",
        "fmax",
        "fmaximum",
    ]
    for suffix in ("", "f")
}

TRANSCENDENTAL = ("elu", "sigmoid", "tanh", "softplus", "gelu", "silu")


def arguments(kernel, op, dtype):
    """One of each argument, of one element."""
    for argument in kernel.arguments:
        if argument.role == "hyper":
            yield settings(op)[argument.name]
        else:
            shape = (1,) if argument.dims is None else (1,) * len(argument.dims)
            yield np.zeros(shape, np.int64 if argument.label_dim else dtype)


def assert_whole_vectors_without_a_call(function, dtype, *arguments):
    """Reads a fresh compilation: what comes from the cache cannot be read."""
    fresh = njit(**OPTIONS)(function)
    fresh(*arguments)
    (code,) = fresh.inspect_asm().values()
    assert not C_LIBRARY & set(re.findall(r"[A-Za-z_]\w*", code))
    if binding.get_process_triple().startswith("x86_64"):
        suffix = "ps" if dtype == np.float32 else "pd"
        assert re.search(rf"\bv?(mul|fn?m(add|sub)\d+){suffix}\b", code)
        other = "pd" if dtype == np.float32 else "ps"
        assert not re.search(rf"\bv?(mul|fn?m(add|sub)\d+){other}\b", code)


@pytest.mark.compiled
@each_function
def test_a_loop_is_whole_vectors(function, dtype):
    loop = apply(function.compiled).py_func
    assert_whole_vectors_without_a_call(loop, dtype, np.ones(1, dtype), np.ones(1, dtype))


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("of", "kernel"),
    [
        pytest.param(op, kernel, id=kernel.__name__)
        for op in OPS.values()
        if op.name in TRANSCENDENTAL or op.name.startswith("softmax")
        for kernel in (op.forward, op.backward)
    ],
)
def test_no_call_and_whole_vectors(of, kernel, dtype):
    assert_whole_vectors_without_a_call(kernel.py_func, dtype, *arguments(kernel, of, dtype))
