"""What a search leaves as it was, what it can read, and when it does not begin."""

import functools
import linecache
import time

import numba
import numpy as np
import pytest

from gradcheck import check, check_gradient
from gradcheck.diagnose.causes import CAUSES
from gradcheck.repair import search
from gradcheck.repair.meanings import MEANINGS
from gradcheck.repair.propose import proposed
from gradcheck.repair.search import repair
from tests.gradcheck.repair.composites import functions, inputs

CALLS: list[int] = []


@pytest.fixture
def searches(monkeypatch):
    """How often a search was made."""
    made = []
    original = repair

    def counted(evidence):
        made.append(original(evidence))
        return made[-1]

    monkeypatch.setattr("gradcheck.examine.repair", counted)
    return made


@pytest.fixture
def arrays():
    rng = np.random.default_rng(3)
    return rng.standard_normal((4, 3)), rng.standard_normal((3, 3))


def product(x, w):
    return x @ w


def transposed(dy, x, w):
    return dy @ w, x.T @ dy


def slope(dy, y):
    return dy * (1 + y**2)


def through_helper(dy, x):
    y = np.tanh(x)
    return (slope(dy, y),)


KEPT: dict[str, np.ndarray] = {}


def keeping(x, w):
    KEPT.setdefault("y", np.tanh(x @ w))
    return np.tanh(x @ w)


def from_kept(dy, x, w):
    y = KEPT["y"]
    dz = dy * (1 - y**2)
    return dz @ w.T, x.T @ dz


def doubled(function):
    @functools.wraps(function)
    def inner(*arguments):
        return tuple(2 * gradient for gradient in function(*arguments))

    return inner


def passed_on(function):
    @functools.wraps(function)
    def inner(*arguments):
        return function(*arguments)

    return inner


def counted(dy, x, w):
    CALLS.append(1)
    dy *= 1.0
    return dy @ w, x.T @ dy


class Affine:
    def __init__(self, w):
        self.w, self.log = w, []

    def forward(self, x):
        self.x = x
        self.log.append(len(x))
        return x @ self.w

    def backward(self, dy, x):
        self.dw = x.T @ dy
        return (dy @ self.w,)


def fix_of(report):
    found = [cause.fix for cause in report.causes if cause.fix is not None]
    return found[0] if found else None


def test_a_right_pair_is_not_searched(arrays, searches):
    assert check(product, lambda dy, x, w: (dy @ w.T, x.T @ dy), arrays)
    assert searches == []


def test_a_function(arrays):
    fix = fix_of(check(product, transposed, arrays))
    assert fix.after == "return dy @ w.T, x.T @ dy"
    assert fix.file == __file__
    assert fix.line == transposed.__code__.co_firstlineno + 1


def test_a_lambda_among_others_in_its_line(arrays):
    right, wrong = (lambda dy, x, w: (dy @ w.T, x.T @ dy)), (lambda dy, x, w: (dy @ w, x.T @ dy))
    assert check(product, right, arrays)
    assert fix_of(check(product, wrong, arrays)).after == "(dy @ w.T, x.T @ dy)"


def test_a_closure_with_defaults(arrays):
    x, w = arrays
    scale = 3.0

    def backward(dy, x, shift=2.0):
        return (-scale * dy @ w.T + 0 * shift,)

    fix = fix_of(check(lambda x: 3.0 * x @ w, backward, [x]))
    assert fix.after == "return (scale * dy @ w.T + 0 * shift,)"


def test_a_partial_function(arrays):
    x, w = arrays
    backward = functools.partial(lambda dy, x, w: (dy @ w,), w=w)
    assert fix_of(check(lambda x: x @ w, backward, [x])).after == "(dy @ w.T,)"


def test_a_decorator_that_passes_on_is_looked_through(arrays):
    assert fix_of(check(product, passed_on(transposed), arrays)) is not None


def test_a_decorator_that_does_more_is_left_alone(arrays):
    report = check(product, doubled(transposed), arrays)
    assert report.verdict == "fail"
    assert fix_of(report) is None


def test_a_helper_is_mended_where_it_stands():
    x = np.random.default_rng(0).standard_normal((3, 4))
    original = slope.__code__
    fix = fix_of(check(np.tanh, through_helper, [x]))
    assert fix.line == original.co_firstlineno + 1
    assert fix.before == "return dy * (1 + y ** 2)"
    assert fix.after == "return dy * (1 - y ** 2)"
    assert slope.__code__ is original
    assert through_helper.__globals__["slope"] is slope


def test_a_method_and_its_object_stay_as_they_were(arrays):
    x, w = arrays
    layer = Affine(w)
    before, method = w.copy(), Affine.backward
    fix = fix_of(check(layer.forward, layer.backward, [x]))
    assert fix.after == "return (dy @ self.w.T,)"
    assert Affine.backward is method
    np.testing.assert_array_equal(layer.w, before)


def test_the_gradient_of_a_scalar(arrays):
    x, _ = arrays
    report = check_gradient(lambda x: (x**3).sum(), lambda x: (3 * x,), [x])
    assert fix_of(report).after == "(3 * x ** 2,)"


def test_arrays_and_random_numbers_stay_as_they_were(arrays):
    copies = [a.copy() for a in arrays]
    np.random.seed(1)  # noqa: NPY002
    check(product, counted, arrays)
    drawn = np.random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert drawn == np.random.random()  # noqa: NPY002
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_nothing_is_printed(arrays, capsys, monkeypatch):
    def backward(dy, x, w):
        print("here")
        return dy @ w, x.T @ dy

    assert fix_of(check(product, backward, arrays)) is not None
    printed = capsys.readouterr().out
    monkeypatch.setattr("gradcheck.examine.repair", lambda evidence: [])
    check(product, backward, arrays)
    assert printed == capsys.readouterr().out  # the check's own calls


@numba.njit
def compiled(dy, x):
    dx = np.zeros_like(x)
    for i in range(x.shape[0]):
        for j in range(x.shape[1] - 1):
            dx[i, j] = dy[i, j] * np.cos(x[i, j])
    return dx


def test_a_compiled_function_is_mended_as_it_was_written():
    x = np.random.default_rng(0).standard_normal((3, 4))
    fix = fix_of(check(np.sin, compiled, [x]))
    assert fix.before == "for j in range(x.shape[1] - 1):"
    assert fix.after == "for j in range(x.shape[1]):"


@pytest.mark.parametrize("backward", [np.multiply, max, "exec"], ids=str)
def test_without_a_source_nothing_is_said(backward):
    if backward == "exec":
        namespace: dict = {}
        exec("def backward(dy, x):\n    return (dy * x,)", namespace)
        backward = namespace["backward"]
    x = np.random.default_rng(0).standard_normal(5)
    report = check(np.sin, backward, [x])
    assert report.verdict == "fail"
    assert fix_of(report) is None


def test_a_file_that_has_changed_since_is_not_quoted():
    name = "changed_since.py"
    text = "def backward(dy, x):\n    return (dy * x,)\n"
    namespace: dict = {"np": np}
    exec(compile(text, name, "exec"), namespace)
    changed = "def backward(dy, x):\n    return (dy + x,)\n"
    linecache.cache[name] = (len(changed), None, changed.splitlines(keepends=True), name)
    x = np.random.default_rng(0).standard_normal(5)
    assert fix_of(check(np.sin, namespace["backward"], [x])) is None


def test_a_slow_backward_is_not_searched(arrays):
    def slow(dy, x, w):
        time.sleep(1.5 * search.SLOWEST)
        return dy @ w, x.T @ dy

    assert fix_of(check(product, slow, arrays, further_points=False)) is None


def test_large_arrays_are_not_searched():
    x = np.random.default_rng(0).standard_normal((150, 150))
    report = check(np.sin, lambda dy, x: (dy * np.sin(x),), [x], further_points=False)
    assert report.verdict == "fail"
    assert fix_of(report) is None


def test_an_edit_that_never_ends_is_stopped():
    def backward(dy, x):
        k, dx = 3, np.zeros_like(x)
        while k > 0:
            dx += dy * x
            k -= 1
        return (dx,)

    x = np.random.default_rng(0).standard_normal(5)
    began = time.thread_time()
    report = check(lambda x: 2 * x**2, backward, [x], further_points=False)
    assert report.verdict == "fail"
    assert time.thread_time() - began < search.LONGEST + 2


def test_a_gradient_of_zero_proves_no_edit():
    x = np.full(6, -800.0) * np.linspace(1, 2, 6)

    def backward(dy, x):
        return (dy * np.exp(-x) / (1 + np.exp(-x)) ** 2,)

    report = check(lambda x: np.where(x > 0, 1.0, 0.0), backward, [x], further_points=False)
    assert fix_of(report) is None


def test_every_edit_has_a_name_and_a_meaning(monkeypatch):
    slugs = set()

    def collected(*arguments):
        edits = proposed(*arguments)
        slugs.update(edit.slug for edit in edits)
        return edits

    monkeypatch.setattr(search, "proposed", collected)
    for pair in ("gru", "convolution", "layernorm"):
        forward, backward, _ = functions(pair, "return d", "return 3 * d")
        given = inputs(pair)
        check(forward, backward, list(given.values()), list(given), further_points=False)
    assert len(slugs) > 15
    assert slugs <= set(MEANINGS)
    assert slugs <= set(CAUSES)


def test_what_was_kept_from_another_call_is_computed_anew(arrays):
    KEPT.clear()
    report = check(keeping, from_kept, arrays, ("x", "w"))
    assert report.causes[0].slug == "stale-cache"
    assert report.causes[0].fix.before == "y = KEPT['y']"
    assert report.causes[0].fix.after == "y = np.tanh(x @ w)"
