"""A homework's report as text and as JSON: layer by layer, in backward order."""

from dataclasses import replace
from typing import Any

from gradcheck import toy
from gradcheck.homework import HomeworkResult
from gradcheck.likeliest import likeliest
from gradcheck.network.conventions import SUM_NOTE, UNUSUAL, USUAL
from gradcheck.network.route import gradient_place
from gradcheck.report import SCHEMA, row_lines, toy_json
from gradcheck.toycheck import ToyResult
from gradcheck.verdict import FAIL, PASS, Cause, Finding, Report

SAID = ("follows-from", "raised")
"""Causes that a finding's note says already."""

SHOWN = 3
"""So many causes of each finding."""

MARKS = {PASS: "=", FAIL: "!"}


def homework_text(result: HomeworkResult, quiet: bool = False) -> str:
    """What matches, the first place that does not, and what it looks like."""
    lines = [f"{result.target}: {result.verdict}"]
    if result.toy is not None:
        lines += toy_lines(result.toy, quiet)
    lines += [line for finding in result.problems for line in finding_lines(finding)]
    lines += networks_lines(result.reports, quiet)
    if result.unchecked:
        lines.append(f"not checked: {'; '.join(result.unchecked)}")
    ordered = [replace(r, findings=tuple(backward_order(r.findings))) for r in result.reports]
    mistake = likeliest(ordered)
    if mistake is not None:
        lines.append(str(mistake))
    return "\n".join(lines)


def networks_lines(reports: tuple[Report, ...], quiet: bool) -> list[str]:
    """Each network; what several raise alike is shown with the first of them."""
    lines: list[str] = []
    shown: dict[tuple[str, ...], str] = {}
    for report in reports:
        alike = tuple(f.note for f in report.findings if f.name == "network")
        if quiet and report.verdict == FAIL:
            alike = alike or kinds_of(report)
        if alike and alike in shown:
            lines.append(f"{report.title}: {report.verdict}, as {shown[alike]}")
            continue
        if alike:
            shown[alike] = report.title
        lines += report_lines(report, quiet)
    return lines


def kinds_of(report: Report) -> tuple[str, ...]:
    """Which mistakes a report names, and where."""
    named = [(f, c) for f in report.findings if f.verdict == FAIL for c in told_causes(f)[:1]]
    return tuple(f"{f.name} {c.slug}" for f, c in named)


def told_causes(finding: Finding) -> list[Cause]:
    """Those that the finding's note does not say already."""
    return [c for c in finding.causes if c.slug not in SAID]


def toy_lines(found: ToyResult, quiet: bool) -> list[str]:
    """The published numbers: all of them where one is wrong, else how many there are."""
    lines = [f"toy: {found.matched} of {found.expected} published numbers match: {found.verdict}"]
    if quiet:
        return lines
    shown = [row for row in found.rows if row.case == found.rows[0].case]
    lines += [line for row in shown for line in row_lines(row, "published")]
    wrong = [r for r in found.rows if r.case != shown[0].case and not r.holds.all()]
    for case in dict.fromkeys(row.case for row in wrong):
        lines.append(f"  {case}, only what does not match:")
        lines += [line for row in wrong if row.case == case for line in row_lines(row, "published")]
    return [*lines, *([toy.BLIND] if found.verdict == PASS else [])]


def report_lines(report: Report, quiet: bool) -> list[str]:
    """One network, in the order in which backward comes to its arrays."""
    lines = [f"{report.title}: {report.verdict}"]
    if quiet and report.verdict == PASS:
        return lines
    told = [n for n in report.notes if all(n != f.note for f in report.findings)]
    conventions = [n for n in told if n.endswith(SUM_NOTE)]
    rest = [n for n in told if n not in (*conventions, USUAL, UNUSUAL)]
    lines += [f"  {note}" for note in rest]
    if conventions:
        lines.append("  " + sums_line(conventions, [n for n in told if n in (USUAL, UNUSUAL)]))
    for finding in backward_order(report.findings):
        is_told = finding.verdict != PASS and (told_causes(finding) or not finding.causes)
        if not quiet or is_told:
            found = finding_lines(finding)
            lines += found[:1] + [line for line in found[1:] if not quiet or line not in lines]
    return lines


def sums_line(conventions: list[str], others: list[str]) -> str:
    """Which arrays are of the sum over the batch, and what to think of it."""
    if not others:
        return "the gradients are of the sum over the batch: a convention"
    names = [gradient_place(note.partition(":")[0]) for note in conventions]
    count = "1 gradient is" if len(names) == 1 else f"{len(names)} gradients are"
    return f"{count} of the sum over the batch ({', '.join(names)}), {others[0]}"


def backward_order(findings: tuple[Finding, ...]) -> list[Finding]:
    """From the last layer up to the input."""

    def key(finding: Finding) -> tuple[int, int]:
        _, bracket, rest = finding.name.partition("[")
        if not bracket:
            return (1, 0)
        letter = finding.name.rpartition(".")[2]
        return (-2 * int(rest.partition("]")[0]), ("beta", "gamma", "b", "W").index(letter))

    try:
        return sorted(findings, key=lambda f: (key(f)[0] if "[" in f.name else 1, key(f)[1]))
    except ValueError:  # other names than the course's
        return list(findings)


def finding_lines(finding: Finding) -> list[str]:
    """One line for what passes; the numbers and the likeliest causes of what does not."""
    mark = MARKS.get(finding.verdict, "?")
    if finding.verdict == PASS:
        return [f"  {mark} {finding.name}"]
    known = finding.analytic == finding.analytic or finding.numeric == finding.numeric
    numbers = f": {finding.analytic:.8g}, should be {finding.numeric:.8g}" if known else ""
    note = f"  ({finding.note})" if finding.note else ""
    place = gradient_place(finding.name)
    is_named = finding.where.startswith((place, finding.name))
    where = finding.where if is_named else f"{finding.name} {finding.where}".strip()
    lines = [f"  {mark} {where}{numbers}{note}"]
    return lines + [f"      {cause}" for cause in told_causes(finding)[:SHOWN]]


def homework_json(result: HomeworkResult) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "target": result.target,
        "seed": result.seed,
        "verdict": result.verdict,
        "unchecked": list(result.unchecked),
        "problems": [finding.to_dict() for finding in result.problems],
        "toy": None if result.toy is None else toy_json(result.toy),
        "networks": [report.to_dict() for report in result.reports],
    }
