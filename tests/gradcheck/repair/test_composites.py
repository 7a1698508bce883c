"""Mistakes in functions that no list knows: found, named, and mended as they were right."""

import pytest

from gradcheck import check
from tests.gradcheck.repair.composites import PLANTED, functions, inputs
from tests.gradcheck.repair.sources import SHAPES

ELSEWHERE = {
    "attention: return (dp -",
    "heads: dp, p) / 4.0",
    "residual: ",
    "layernorm: dx = (",
    "steps: pass",
    "rooted: ",
}
"""Mended at another line: a factor may be put in anywhere on the way."""


@pytest.mark.parametrize("pair", SHAPES)
def test_the_pair_is_right_before_a_mistake_is_planted(pair):
    forward, backward, _ = functions(pair)
    given = inputs(pair)
    report = check(forward, backward, list(given.values()), list(given))
    assert report.verdict == "pass", str(report)
    assert not report.causes


@pytest.mark.parametrize("planted", PLANTED, ids=str)
def test_a_planted_mistake_is_mended(planted):
    forward, backward, line = functions(planted.pair, planted.right, planted.wrong)
    given = inputs(planted.pair)
    report = check(forward, backward, list(given.values()), list(given), further_points=False)
    assert report.verdict == "fail"
    fixes = [cause.fix for cause in report.causes if cause.fix is not None]
    assert fixes, str(report)
    if str(planted) not in ELSEWHERE:
        assert line in {fix.line for fix in fixes}, str(report)
    slugs = {slug for finding in report.findings for slug in slugs_of(finding)}
    assert slugs.intersection(planted.slugs), str(report)


def slugs_of(finding):
    return [cause.slug for cause in finding.causes[:3]]


def test_what_is_mended_is_what_was_right():
    forward, backward, line = functions("residual", "dx = dy + dz", "dx = dz")
    given = inputs("residual")
    report = check(forward, backward, list(given.values()), list(given))
    (finding,) = [finding for finding in report.findings if finding.verdict == "fail"]
    assert finding.name == "x"
    cause = finding.causes[0]
    assert cause.slug == "path-missing"
    assert (cause.fix.before, cause.fix.after) == ("dx = dz @ w1.T", "dx = dz @ w1.T + dy")
    assert f":{line}: `dx = dz @ w1.T` → right as `dx = dz @ w1.T + dy`" in str(cause.fix)
    assert cause.fix.to_dict()["line"] == line
