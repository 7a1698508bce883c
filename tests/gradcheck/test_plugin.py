"""The pytest plugin, in runs of pytest of its own."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]

# Where the package is installed the plugin is there already, and must not be loaded twice.
IS_INSTALLED = any(e.name == "gradcheck" for e in entry_points(group="pytest11"))
LOADED = () if IS_INSTALLED else ("-p", "gradcheck.plugin")

HEAD = """
import numpy as np
import pytest

X = np.linspace(0.2, 1.0, 4)

def right(dy, x):
    return (dy * np.cos(x),)

def wrong(dy, x):
    return (-dy * np.cos(x),)
"""


@pytest.fixture
def run(pytester):
    def run(body, *options):
        pytester.makepyfile(HEAD + body)
        return pytester.runpytest(*LOADED, "-p", "no:cacheprovider", *options)

    return run


def test_a_right_gradient_passes(run):
    run(
        """
def test_it(gradcheck):
    report = gradcheck.check(np.sin, right, [X], names=["x"])
    assert report.verdict == "pass"
    assert gradcheck.check_gradient(lambda x: (x * x).sum(), lambda x: 2 * x, [X])
"""
    ).assert_outcomes(passed=1)


def test_a_wrong_one_fails_with_the_report_at_the_callers_line(run):
    result = run(
        """
def test_it(gradcheck):
    gradcheck.check(np.sin, wrong, [X], names=["x"], title="sine")
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">   *gradcheck.check(np.sin, wrong*",
            "E * sine: fail (4 comparisons, seed 0)",
            "E *fail *x  (*): analytic *, numeric * ± *",
            "E * 1. *sign-flipped*",
            "*test_a_wrong_one*.py:*: AssertionError",
        ]
    )
    assert "plugin.py" not in result.stdout.str()


def test_inconclusive_fails_unless_it_is_allowed(run):
    result = run(
        """
def nothing(x):
    return np.full(4, np.nan)

def test_strict(gradcheck):
    gradcheck.check(nothing, right, [X])

def test_lenient(gradcheck):
    report = gradcheck.check(nothing, right, [X], allow_inconclusive=True)
    assert report.verdict == "inconclusive"

def test_wrong_all_the_same(gradcheck):
    gradcheck.check(np.sin, wrong, [X], allow_inconclusive=True)
"""
    )
    result.assert_outcomes(passed=1, failed=2)


def test_the_seed_is_the_calls_the_markers_the_options(run):
    run(
        """
def test_option(gradcheck):
    assert gradcheck.check(np.sin, right, [X]).seed == 11

@pytest.mark.gradcheck(seed=3)
def test_marker(gradcheck):
    assert gradcheck.check(np.sin, right, [X]).seed == 3
    assert gradcheck.check(np.sin, right, [X], seed=5).seed == 5
""",
        "--gradcheck-seed=11",
        "--strict-markers",
    ).assert_outcomes(passed=2)


def test_a_marker_that_cannot_be(run):
    result = run(
        """
@pytest.mark.gradcheck(3)
def test_it(gradcheck):
    pass
"""
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*pytest.mark.gradcheck takes one argument: seed=*"])


def test_a_bare_assert_shows_the_report(run):
    result = run(
        """
def test_it():
    from gradcheck import check
    assert check(np.sin, wrong, [X], names=["x"], title="sine")
"""
    )
    result.stdout.fnmatch_lines(["E *assert <sine: fail; x (*) analytic *numeric*looks like*>"])


def test_junit_properties(run, pytester):
    run(
        """
def test_it(gradcheck):
    gradcheck.check(np.sin, wrong, [X], names=["x"])
""",
        "--junitxml=junit.xml",
    )
    tree = ElementTree.parse(pytester.path / "junit.xml")
    properties = {p.get("name"): p.get("value") for p in tree.iter("property")}
    assert properties["gradcheck.verdict"] == "fail"
    assert properties["gradcheck.seed"] == "0"
    assert properties["gradcheck.worst"].startswith("fail         x  (")
    assert "sign-flipped" in properties["gradcheck.cause"]


def test_fixtures_of_the_same_names_as_in_other_suites(run):
    """A project's own `seed` and `rng` stay what they are."""
    run(
        """
@pytest.fixture(params=[1, 2])
def seed(request):
    return request.param

def test_it(seed, gradcheck):
    assert gradcheck.check(np.sin, right, [X], seed=seed).seed == seed
"""
    ).assert_outcomes(passed=2)


def test_start_up_costs_next_to_nothing():
    """Neither NumPy nor the rest of gradcheck is imported with the plugin, let alone Numba."""
    code = (
        "import pytest, sys, time; began = time.perf_counter(); import gradcheck.plugin\n"
        "print(time.perf_counter() - began)\n"
        "names = ('numpy', 'numba', 'kernels', 'mlp', 'gradcheck.check', 'gradcheck.verdict')\n"
        "assert not [name for name in names if name in sys.modules]"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, check=True
    )
    assert float(done.stdout) < 0.1


def test_the_entry_point_is_declared():
    assert 'pytest11]\ngradcheck = "gradcheck.plugin"' in (ROOT / "pyproject.toml").read_text()


def test_a_seed_in_its_place_is_taken(run):
    run(
        """
def test_it(gradcheck):
    assert gradcheck.check(np.sin, right, [X], ["x"], 5).seed == 5
    assert gradcheck.check(np.sin, right, [X], seed=7).seed == 7
"""
    ).assert_outcomes(passed=1)


def test_a_marker_without_a_number_is_one_message(run):
    result = run(
        """
@pytest.mark.gradcheck(seed="a")
def test_it(gradcheck):
    pass
"""
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*seed is 'a', expected a whole number*"])
