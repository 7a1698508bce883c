"""JUnit XML, read back with the standard library's parser."""

from xml.etree import ElementTree

import pytest

from gradcheck import Finding, Report
from tests.gradcheck.render.samples import sample


def suite_of(report):
    root = ElementTree.fromstring(report.to_junit())
    assert root.tag == "testsuites"
    (suite,) = root
    return suite


def test_a_case_for_each_finding():
    suite = suite_of(sample())
    counts = {key: suite.get(key) for key in ("name", "tests", "failures", "errors", "skipped")}
    assert counts == {
        "name": "layer", "tests": "3", "failures": "1", "errors": "1", "skipped": "0",
    }  # fmt: skip
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert list(cases) == ["x", "b", "w"]
    assert len(cases["x"]) == 0
    (failure,) = cases["w"]
    assert failure.tag == "failure"
    assert failure.get("type") == "transposed"
    assert failure.get("message").startswith("transposed (80%): the transpose")
    assert "analytic 3, numeric 1 ± 0.5" in failure.text
    (error,) = cases["b"]
    assert error.tag == "error"
    assert error.get("message") == "forward is not finite around here"


def test_properties():
    properties = {p.get("name"): p.get("value") for p in suite_of(sample()).iter("property")}
    assert properties == {
        "seed": "7", "verdict": "fail", "comparisons": "1234", "forward calls": "56",
        "note": "a note", "convention": "kink-convention: a choice: 0",
    }  # fmt: skip


@pytest.mark.parametrize("note", ["\x1b[31mred\x00", "<&>\"'", "a\ud800b", "line\nline"])
def test_whatever_an_exception_says_is_xml(note):
    suite = suite_of(Report(note, 0, (Finding(note, "fail", note=note),), notes=(note,)))
    assert suite.get("failures") == "1"


def test_nothing_checked_is_an_error():
    suite = suite_of(Report("r", 0))
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")
