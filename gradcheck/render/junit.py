"""A report as JUnit XML: a suite with one test case for each finding.

A wrong gradient is a `failure`, whose message is the likeliest cause. One that cannot be decided
is an `error`, not `skipped`: nothing was proved, and a build must not go on as if it had been.
"""

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from gradcheck.render.text import WIDTH_OF_FILES, cause_text, finding_paragraphs
from gradcheck.verdict import FAIL, INCONCLUSIVE, PASS, Finding, Report

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold, not even escaped."""

ELEMENTS = {FAIL: "failure", INCONCLUSIVE: "error"}


def junit(report: Report) -> str:
    findings = report.findings or (Finding("check", INCONCLUSIVE, note="nothing was checked"),)
    verdicts = [finding.verdict for finding in findings]
    suite = Element(
        "testsuite",
        name=clean(report.title),
        tests=str(len(findings)),
        failures=str(verdicts.count(FAIL)),
        errors=str(verdicts.count(INCONCLUSIVE)),
        skipped="0",
        time=f"{report.seconds:.3f}",
    )
    add_properties(suite, report)
    for finding in findings:
        case = SubElement(
            suite, "testcase", classname=clean(report.title), name=clean(finding.name), time="0"
        )
        if finding.verdict != PASS:
            add_outcome(case, finding)
    root = Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n"


def add_properties(suite: Element, report: Report) -> None:
    properties = SubElement(suite, "properties")
    values: list[tuple[str, object]] = [
        ("seed", report.seed),
        ("verdict", report.verdict),
        ("comparisons", report.checked),
        ("forward calls", report.calls),
        *(("note", note) for note in report.notes),
        *(("convention", str(convention)) for convention in report.conventions),
    ]
    for name, value in values:
        SubElement(properties, "property", name=name, value=clean(str(value)))


def add_outcome(case: Element, finding: Finding) -> None:
    message = cause_text(finding.causes[0]) if finding.causes else finding.note or finding.verdict
    outcome = SubElement(
        case,
        ELEMENTS[finding.verdict],
        message=clean(message),
        type=finding.causes[0].slug if finding.causes else finding.verdict,
    )
    paragraphs = finding_paragraphs(finding)
    outcome.text = clean("\n".join(line for p in paragraphs for line in p.wrapped(WIDTH_OF_FILES)))


def clean(text: str) -> str:
    return NOT_XML.sub("�", text)
