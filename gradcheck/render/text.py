"""A report as plain text, and the layout that a terminal shows in colours.

Order: the verdict; then array by array, wrong ones first: where, by how much, what is known
besides (a kink, rounding), and the likeliest causes with the formula that was probably meant.
"""

import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from gradcheck.render.numbers import count, distance, measurement
from gradcheck.render.places import pattern_of
from gradcheck.verdict import FAIL, INCONCLUSIVE, PASS, Cause, Finding, Report

NARROWEST, WIDEST = 40, 110
"""Lines shorter than that do not read well, nor do longer ones."""

WIDTH_OF_FILES = 100
"""Where there is no terminal to ask."""

SHOWN = 3
"""So many causes of each finding."""

VERDICT_WIDTH = 12
"""Of the column of verdicts: 'inconclusive'."""

ORDER = {FAIL: 0, INCONCLUSIVE: 1, PASS: 2}


@dataclass(frozen=True)
class Paragraph:
    """Text with something before its first line; the other lines begin below the text.

    `style` says what the lead is: a verdict, "cause" or "note".
    """

    lead: str
    text: str
    style: str = "note"

    def wrapped(self, width: int) -> list[str]:
        return textwrap.wrap(
            self.text,
            max(width, len(self.lead) + NARROWEST // 2),
            initial_indent=self.lead,
            subsequent_indent=" " * len(self.lead),
            break_on_hyphens=False,
            break_long_words=False,
        ) or [self.lead.rstrip()]


def report_text(report: Report, width: int | None = None) -> str:
    """The report in lines of at most `width` characters, where words allow it."""
    width = line_width() if width is None else width
    lines = [line for paragraph in paragraphs(report) for line in paragraph.wrapped(width)]
    return "\n".join(lines)


def line_width() -> int:
    """That of the terminal, within reason."""
    columns = shutil.get_terminal_size((WIDTH_OF_FILES, 24)).columns
    return min(max(columns, NARROWEST), WIDEST)


def paragraphs(report: Report) -> Iterator[Paragraph]:
    head = f"({count(report.checked)} comparisons, seed {report.seed})"
    yield Paragraph(f"{report.title}: {report.verdict} ", head, report.verdict)
    for note in report.notes:
        yield Paragraph("  ", note)
    for finding in by_gravity(report):
        yield from finding_paragraphs(finding)
    for convention in report.conventions:
        yield Paragraph("  convention   ", f"{convention.slug}: {convention.sentence}")


def by_gravity(report: Report) -> list[Finding]:
    """What is wrong first; otherwise in the order of the arrays."""
    return sorted(report.findings, key=lambda finding: ORDER.get(finding.verdict, 0))


def finding_paragraphs(finding: Finding) -> Iterator[Paragraph]:
    lead = f"  {finding.verdict:<{VERDICT_WIDTH}} "
    numbers = measurement(finding.analytic, finding.numeric, finding.error_bar)
    where = f"{finding.name}  {finding.where}".rstrip()
    is_pass = finding.verdict == PASS
    aside = f"  ({finding.note})" if finding.note and is_pass else ""
    yield Paragraph(lead, f"{where}{': ' if numbers else ''}{numbers}{aside}", finding.verdict)
    if is_pass:
        return
    below = " " * len(lead)
    for evidence in evidence_of(finding):
        yield Paragraph(below, evidence)
    for rank, found in enumerate(finding.causes[:SHOWN], 1):
        yield Paragraph(f"{below}{rank}. ", cause_text(found), "cause")
        if found.fix is not None:
            yield Paragraph(f"{below}   ", str(found.fix))


def evidence_of(finding: Finding) -> Iterator[str]:
    """How far off, where else, and what the finding notes."""
    if distance(finding):
        yield distance(finding)
    if finding.verdict == FAIL and finding.detail is not None and pattern_of(finding.detail):
        yield pattern_of(finding.detail)
    if finding.note:
        yield finding.note


def cause_text(found: Cause) -> str:
    return f"{found.slug} ({found.score:.0%}): {found.sentence}"


def summary(report: Report) -> str:
    """The verdict, the worst place and the likeliest cause, on one short line."""
    parts = [f"{report.title}: {report.verdict}"]
    worst = worst_finding(report)
    if worst is not None and worst.verdict != PASS:
        numbers = measurement(worst.analytic, worst.numeric, worst.error_bar)
        parts.append(" ".join(part for part in (worst.name, worst.where, numbers) if part))
        if worst.causes:
            parts.append(f"looks like {worst.causes[0].slug}")
        elif worst.note:
            parts.append(textwrap.shorten(worst.note, 80, placeholder=" …"))
    return "; ".join([*parts, f"seed {report.seed}"])


def worst_finding(report: Report) -> Finding | None:
    """The first of those with the gravest verdict."""
    return min(by_gravity(report), key=lambda f: ORDER.get(f.verdict, 0), default=None)
