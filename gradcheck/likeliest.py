"""Of all that the reports of one homework name, the mistake that is the likeliest, once.

One slip in a class shows in each layer and with each activation; a reader has one line to mend.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gradcheck.verdict import FAIL, Cause, Report

CONSEQUENCES = ("follows-from", "raised", "unrelated")
"""Causes that name no mistake, or one that is told in full already."""

PLACE = re.compile(r"wrong at ([^,]+)")


@dataclass(frozen=True)
class Mistake:
    """A cause, where it was met first, and the titles of the reports that name it."""

    cause: Cause
    place: str
    titles: tuple[str, ...]

    def __str__(self) -> str:
        fix = f" ({self.cause.fix})" if self.cause.fix is not None else ""
        return f"the likeliest mistake is at {self.place}: {self.cause}{fix}"


def likeliest(reports: Sequence[Report]) -> Mistake | None:
    """What most of the reports name first of a wrong array; of two, the surer."""
    found: dict[str, Mistake] = {}
    for report in reports:
        for finding in report.findings:
            if finding.verdict != FAIL or not finding.causes:
                continue
            first = finding.causes[0]
            if first.slug in CONSEQUENCES:
                continue
            told = PLACE.search(finding.note)
            place = told[1] if told is not None else finding.name
            known = found.get(first.slug, Mistake(first, place, ()))
            titles = tuple(dict.fromkeys((*known.titles, report.title)))
            found[first.slug] = Mistake(known.cause, known.place, titles)
    return max(found.values(), key=lambda m: (len(m.titles), m.cause.score), default=None)
