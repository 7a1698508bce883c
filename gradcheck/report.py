"""What the command line prints: the toy and the suites, as text and as JSON."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from gradcheck import toy
from gradcheck.toycheck import Row, ToyResult
from gradcheck.verdict import INCONCLUSIVE, PASS, Report, json_array, worst

SCHEMA = 1
"""Version of the JSON; it grows when a key changes its meaning or goes."""


UNPUBLISHED = (
    "Nothing is published for this: values are judged by a NumPy reference and by differences."
)


def toy_json(result: ToyResult) -> dict[str, Any]:
    """Counts, mismatches and every value; `published` counts the numbers of the source."""
    cases: dict[str, dict[str, Any]] = {}
    for row in result.rows:
        cases.setdefault(row.case, {})[row.quantity] = {
            "computed": json_array(row.computed),
            "expected": json_array(row.expected),
            "error_bar": row.error_bar,
            **({"convention": row.scale} if row.scale else {}),
        }
    return {
        "schema": SCHEMA,
        "target": result.target,
        "activation": result.activation,
        "batchnorm": result.batchnorm,
        "judged_by": judged_by(result),
        "published": result.expected if result.is_published else 0,
        "matched": result.matched,
        "expected": result.expected,
        "verdict": result.verdict,
        "mismatches": result.mismatches(),
        "cases": cases,
        "differences": [report.to_dict() for report in result.differences],
    }


def judged_by(result: ToyResult) -> str:
    return "published values" if result.is_published else "NumPy reference and differences"


def toy_text(result: ToyResult) -> str:
    """Every quantity of every case beside its expected value."""
    batchnorm = f", batchnorm after {result.batchnorm} layers" if result.batchnorm else ""
    lines = [
        f"Toy network 2-3-3-2, {result.activation}{batchnorm}, by {result.target}",
        toy.CAPTIONS if result.is_published else UNPUBLISHED,
    ]
    inputs = dict((name, (s.x, s.target)) for name, s in toy.CASES)
    for case in dict.fromkeys(row.case for row in result.rows):
        x, target = inputs.get(case, (toy.BATCH_X, toy.BATCH_TARGETS))
        lines += ["", f"{case}: input {numbers(x)}, target {numbers(target)}"]
        for row in result.rows:
            if row.case == case:
                lines += row_lines(row, "published" if result.is_published else "reference")
        for report in result.differences:
            if report.title == case:
                lines += difference_lines(report)
    label = "published numbers match" if result.is_published else "numbers match the reference"
    if result.is_published and result.verdict == PASS:
        lines += ["", toy.BLIND]
    untold = sum(f.verdict == INCONCLUSIVE for r in result.differences for f in r.findings)
    if untold:
        label += f", differences cannot tell for {untold} arrays"
    return "\n".join(
        [*lines, "", f"{result.matched} of {result.expected} {label}: {result.verdict}"]
    )


def row_lines(row: Row, source: str) -> list[str]:
    mark = "=" if row.holds.all() else "!"
    convention = f"  ({row.scale})" if row.scale else ""
    computed, expected = numbers(row.computed), numbers(row.expected)
    first = f"  {mark} {row.quantity:<25}"
    if len(computed) + len(expected) < 60:
        return [f"{first} {computed}   {source} {expected}{convention}"]
    return [f"{first} {computed}", f"    {source:>25} {expected}{convention}"]


def difference_lines(report: Report) -> list[str]:
    """By differences: what passed in one line, then what did not."""
    passed = [finding for finding in report.findings if finding.verdict == PASS]
    lines = [
        f"  by differences: {len(passed)} of {len(report.findings)} arrays confirmed, "
        f"{report.checked} comparisons"
    ]
    lines += [f"    {note}" for note in report.notes]
    return lines + [f"    {f}" for f in report.findings if f.verdict != PASS]


def numbers(array: Any) -> str:
    """An array on one line, without trailing zeros."""

    def text(value: float) -> str:
        return f"{value:.10g}"

    array = np.squeeze(np.asarray(array))
    if array.ndim == 0:
        return text(float(array))
    inner = [numbers(row) if array.ndim > 1 else text(float(row)) for row in array]
    return f"[{', '.join(inner)}]"


def suite_text(title: str, reports: Iterable[Report]) -> tuple[str, list[Report]]:
    """One line for a suite that passes; more of whatever does not."""
    done = list(reports)
    passed = sum(bool(report) for report in done)
    comparisons = sum(report.checked for report in done)
    lines = [
        f"{title}: {passed} of {len(done)} pass, {comparisons} gradients compared with differences"
    ]
    lines += [str(report) for report in done if not report]
    return "\n".join(lines), done


def suite_json(reports: list[Report]) -> dict[str, Any]:
    return {
        "verdict": worst(report.verdict for report in reports),
        "checks": len(reports),
        "passed": sum(bool(report) for report in reports),
        "comparisons": sum(report.checked for report in reports),
        "reports": [report.to_dict() for report in reports],
    }
