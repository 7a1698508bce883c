"""A report as one self-contained page, and as a fragment for notebooks.

Style and pictures are inline: nothing is loaded from anywhere.
"""

from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np

from gradcheck.render.heatmap import heat_map
from gradcheck.render.numbers import count, distance, measurement
from gradcheck.render.places import excess_of, pattern_of
from gradcheck.render.style import PAGE_STYLE, STYLE
from gradcheck.render.text import SHOWN, by_gravity
from gradcheck.verdict import FAIL, PASS, Cause, Detail, Finding, Fix, Report

WORST = 5
"""Entries in the table of those that are furthest off."""


def page(report: Report) -> str:
    title = escape(f"{report.title}: {report.verdict}")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{PAGE_STYLE}</style>\n</head>\n"
        f"<body>\n{fragment(report)}\n</body>\n</html>\n"
    )


def fragment(report: Report) -> str:
    """All of the report in one element, with its own style."""
    return "\n".join(
        [
            f"<style>{STYLE}</style>",
            '<div class="gradcheck">',
            f"<h1>{escape(report.title)} {badge(report.verdict)}</h1>",
            f'<p class="facts">{facts(report)}</p>',
            *(f"<p>{escape(note)}</p>" for note in report.notes),
            *(finding_html(finding) for finding in by_gravity(report)),
            *conventions(report.conventions),
            "</div>",
        ]
    )


def badge(verdict: str) -> str:
    return f'<span class="verdict {escape(verdict)}">{escape(verdict)}</span>'


def facts(report: Report) -> str:
    return (
        f"{count(report.checked)} comparisons, {count(report.calls)} calls of forward, "
        f"{report.seconds:.2f} s, seed {report.seed}"
    )


def finding_html(finding: Finding) -> str:
    """Open where something is wrong, folded where it is not."""
    where = f'<span class="where">{escape(finding.where)}</span>' if finding.where else ""
    head = f"<h2>{escape(finding.name)} {badge(finding.verdict)} {where}</h2>"
    body = "\n".join(finding_body(finding))
    if finding.verdict == PASS:
        return f'<details class="finding"><summary>{head}</summary>{body}</details>'
    return f'<section class="finding">{head}{body}</section>'


def finding_body(finding: Finding) -> Iterator[str]:
    numbers = measurement(finding.analytic, finding.numeric, finding.error_bar)
    if numbers:
        yield f"<p><code>{escape(numbers)}</code></p>"
    evidence = [distance(finding)] if finding.verdict != PASS else []
    if finding.detail is not None and finding.verdict == FAIL:
        evidence.append(pattern_of(finding.detail))
    for sentence in [*evidence, finding.note]:
        if sentence:
            yield f"<p>{escape(sentence)}</p>"
    if finding.causes:
        yield "<ol>" + "".join(cause_html(found) for found in finding.causes[:SHOWN]) + "</ol>"
    if finding.detail is not None:
        yield heat_map(finding.detail)
        if finding.verdict != PASS:
            yield worst_entries(finding.detail)


def cause_html(found: Cause) -> str:
    score = f'<meter min="0" max="1" value="{found.score:.2f}">{found.score:.0%}</meter>'
    return (
        f'<li><code class="slug">{escape(found.slug)}</code> {score}'
        f"<br>{escape(found.sentence)}{fix_html(found.fix)}</li>"
    )


def fix_html(fix: Fix | None) -> str:
    """The lines before and after, marked as taken out and put in."""
    if fix is None:
        return ""
    lines = [("del", fix.before), ("ins", fix.after)]
    code = "".join(f"<{tag}><code>{escape(text)}</code></{tag}> " for tag, text in lines if text)
    return f'<p class="fix">{escape(Path(fix.file).name)}:{fix.line} {code}</p>'


def worst_entries(detail: Detail) -> str:
    """The entries that are furthest off, with their numbers."""
    excess = excess_of(detail)
    known = np.flatnonzero(~np.isnan(excess))
    if len(known) < 2:
        return ""
    order = known[np.argsort(-abs(excess.ravel()[known]), kind="stable")][:WORST]
    rows = []
    for entry in order.tolist():
        index = np.unravel_index(entry, excess.shape)
        place = "[" + ", ".join(str(int(k)) for k in index) + "]"
        numbers = f"{detail.analytic[index]:.10g}", f"{detail.numeric[index]:.10g}"
        values = place, *numbers, f"{detail.error_bar[index]:.2g}", f"{abs(excess[index]):.2g}"
        rows.append("<tr>" + "".join(f"<td>{escape(value)}</td>" for value in values) + "</tr>")
    heads = "furthest off", "analytic", "numeric", "error bar", "off by, in bars"
    head = "".join(f"<th>{title}</th>" for title in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def conventions(found: tuple[Cause, ...]) -> Iterator[str]:
    """Choices that differ between authors: no mistakes, but good to know."""
    for convention in found:
        yield (
            f'<p class="facts">convention: <code>{escape(convention.slug)}</code> '
            f"{escape(convention.sentence)}</p>"
        )
