"""The pytest plugin: a fixture that checks gradients and fails the test with the report.

    def test_my_layer(gradcheck):
        gradcheck.check(forward, backward, [x, w], names=["x", "w"])

The seed is that of `@pytest.mark.gradcheck(seed=3)`, else of `--gradcheck-seed`, else 0. Verdict,
seed, worst finding and likeliest cause become JUnit properties of the test.

Loaded with every run of pytest, so it imports nothing before a test asks for the fixture.
"""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gradcheck.verdict import Report

MARKER = "gradcheck(seed=0): the seed of the `gradcheck` fixture's checks in this test"

PREFIX = "gradcheck"
"""Of the names of the JUnit properties."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("gradcheck").addoption(
        "--gradcheck-seed",
        type=int,
        default=0,
        metavar="S",
        help="seed of the `gradcheck` fixture's checks where no marker gives one (0)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


@pytest.fixture(name="gradcheck")
def checker(request: pytest.FixtureRequest) -> "Checker":
    """Checks gradients: .check, .check_gradient, .check_module, .check_network.

    Each takes what the function of that name takes, and returns its report, or raises an
    AssertionError that shows the report where the verdict is not "pass".
    """
    return Checker(seed_of(request), request.node.user_properties)


def seed_of(request: pytest.FixtureRequest) -> int:
    marker = request.node.get_closest_marker("gradcheck")
    if marker is None:
        return int(request.config.getoption("gradcheck_seed"))
    if marker.args or set(marker.kwargs) != {"seed"}:
        raise pytest.UsageError("pytest.mark.gradcheck takes one argument: seed=…")
    seed = marker.kwargs["seed"]
    if not isinstance(seed, int):
        raise pytest.UsageError(f"pytest.mark.gradcheck: seed is {seed!r}, expected a whole number")
    return seed


class Checker:
    """gradcheck's functions with the test's seed. What does not pass fails the test.

    With `allow_inconclusive=True` only a verdict of "fail" does.
    """

    def __init__(self, seed: int, properties: list[tuple[str, object]]):
        self.seed, self.properties = seed, properties

    def check(self, *arguments: Any, allow_inconclusive: bool = False, **options: Any) -> "Report":
        __tracebackhide__ = True
        return self.run("check", arguments, options, allow_inconclusive)

    def check_gradient(
        self, *arguments: Any, allow_inconclusive: bool = False, **options: Any
    ) -> "Report":
        __tracebackhide__ = True
        return self.run("check_gradient", arguments, options, allow_inconclusive)

    def check_module(
        self, *arguments: Any, allow_inconclusive: bool = False, **options: Any
    ) -> "Report":
        __tracebackhide__ = True
        return self.run("check_module", arguments, options, allow_inconclusive)

    def check_network(
        self, *arguments: Any, allow_inconclusive: bool = False, **options: Any
    ) -> "Report":
        __tracebackhide__ = True
        return self.run("check_network", arguments, options, allow_inconclusive)

    def run(
        self,
        name: str,
        arguments: tuple[Any, ...],
        options: dict[str, Any],
        allow_inconclusive: bool,
    ) -> "Report":
        __tracebackhide__ = True
        import inspect

        import gradcheck as checks

        function = getattr(checks, name)
        if "seed" not in inspect.signature(function).bind_partial(*arguments, **options).arguments:
            options = {"seed": self.seed, **options}
        report: Report = function(*arguments, **options)
        self.note(report)
        if report.verdict == checks.FAIL or not (report or allow_inconclusive):
            raise AssertionError(str(report))
        return report

    def note(self, report: "Report") -> None:
        """JUnit properties: what pytest's `record_property` would record, which warns of xunit2."""
        from gradcheck.render.text import worst_finding

        found: dict[str, object] = {
            "title": report.title, "verdict": report.verdict, "seed": report.seed,
        }  # fmt: skip
        worst = worst_finding(report)
        if worst is not None:
            found["worst"] = str(worst)
        if report.causes:
            found["cause"] = str(report.causes[0])
        self.properties += [(f"{PREFIX}.{name}", value) for name, value in found.items()]
