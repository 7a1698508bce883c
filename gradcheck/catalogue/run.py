"""The runner: every case is checked, and what was said is held against what ought to be said."""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.catalogue.case import Bug, Case, Right
from gradcheck.catalogue.progress import Progress
from gradcheck.catalogue.table import bugs, rights
from gradcheck.verdict import FAIL, INCONCLUSIVE, PASS, Report

NEAR_THE_TOP = 3
"""A cause among so many is still read."""


@dataclass(frozen=True)
class Outcome:
    """One case, and what was said of it.

    Attributes
    ----------
    verdict : of the report; "error" where the checker itself raised.
    checked : how many numbers were compared.
    causes : slugs, the likeliest first; those of a correct function are its conventions.
    note : what the checker raised.
    """

    case: Case
    verdict: str
    checked: int
    causes: tuple[str, ...]
    seconds: float
    note: str = ""

    @property
    def is_caught(self) -> bool:
        return self.verdict in (FAIL, INCONCLUSIVE)

    @property
    def rank(self) -> int | None:
        """The place of the first cause that names the mistake; None where none does."""
        slugs = self.case.slugs if isinstance(self.case, Bug) else ()
        return next((k for k, slug in enumerate(self.causes) if slug in slugs), None)


def stream(case: Case, seed: int) -> np.random.Generator:
    """A stream of the case's own: other cases beside it change nothing."""
    return np.random.default_rng([seed, *f"{case.family}/{case.name}".encode()])


def run_case(case: Case, seed: int) -> Outcome:
    """Check one case. What the checker raises is an outcome, not the end of the run."""
    began = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = case.make(stream(case, seed)).report(seed)
    except Exception as error:
        note = f"{type(error).__name__}: {error}"
        return Outcome(case, "error", 0, (), time.perf_counter() - began, note)
    causes = slugs_of(report) if isinstance(case, Bug) else conventions_of(report)
    return Outcome(case, report.verdict, report.checked, causes, time.perf_counter() - began)


def slugs_of(report: Report) -> tuple[str, ...]:
    """Causes of the findings that fail, ranked as the report ranks them."""
    failing = {c.slug for f in report.findings if f.verdict == FAIL for c in f.causes}
    every = [c.slug for c in report.causes]
    return tuple(slug for slug in every if not failing or slug in failing)


def conventions_of(report: Report) -> tuple[str, ...]:
    return tuple(dict.fromkeys(c.slug for c in report.conventions))


def run_all(
    cases: Sequence[Case], seed: int, progress: Callable[[int, str], None] = lambda k, name: None
) -> list[Outcome]:
    outcomes = []
    for k, case in enumerate(cases):
        progress(k, case.name)
        outcomes.append(run_case(case, seed))
    return outcomes


def selected(cases: Sequence[Case], only: str | None) -> list[Case]:
    """Those that a cause or a family names; all by default."""
    if only is None:
        return list(cases)
    return [c for c in cases if c.family == only or (isinstance(c, Bug) and only in c.slugs)]


@dataclass(frozen=True)
class Tally:
    """Counts over a number of outcomes."""

    bugs: Sequence[Outcome]
    rights: Sequence[Outcome]

    @property
    def caught(self) -> int:
        return sum(o.is_caught for o in self.bugs)

    @property
    def inconclusive(self) -> int:
        """Bugs of which no more was said than that nothing can be said."""
        return sum(o.verdict == INCONCLUSIVE for o in self.bugs)

    @property
    def missed(self) -> list[Outcome]:
        return [o for o in self.bugs if not o.is_caught]

    @property
    def named(self) -> list[Outcome]:
        """Bugs that fail and whose cause is expected to be named."""
        return [
            o for o in self.bugs if o.verdict == FAIL and isinstance(o.case, Bug) and o.case.slugs
        ]

    @property
    def first(self) -> int:
        return sum(o.rank == 0 for o in self.named)

    @property
    def near_the_top(self) -> int:
        return sum(o.rank is not None and o.rank < NEAR_THE_TOP for o in self.named)

    @property
    def misnamed(self) -> list[Outcome]:
        return [o for o in self.named if o.rank != 0]

    @property
    def false_alarms(self) -> list[Outcome]:
        return [o for o in self.rights if o.verdict not in (PASS, INCONCLUSIVE)]

    @property
    def undecided(self) -> list[Outcome]:
        """Correct functions of which nothing can be said."""
        return [o for o in self.rights if o.verdict == INCONCLUSIVE]

    @property
    def element_checks(self) -> int:
        return sum(o.checked for o in self.rights)

    @property
    def unnamed_conventions(self) -> list[Outcome]:
        return [
            o for o in self.rights
            if isinstance(o.case, Right) and o.case.convention
            and o.verdict == PASS and o.case.convention not in o.causes
        ]  # fmt: skip

    @property
    def is_perfect(self) -> bool:
        return not self.missed and not self.false_alarms

    def families(self) -> Iterator[tuple[str, "Tally"]]:
        """A tally for each family, in the order of the cases."""
        every = [*self.bugs, *self.rights]
        for family in dict.fromkeys(o.case.family for o in every):
            yield (
                family,
                Tally(
                    [o for o in self.bugs if o.case.family == family],
                    [o for o in self.rights if o.case.family == family],
                ),
            )


def run_catalogue(seed: int = 0, only: str | None = None) -> Tally:
    """Run the catalogue, or that part of it which a slug or a family names."""
    planted, correct = selected(bugs(), only), selected(rights(), only)
    with Progress(len(planted) + len(correct)) as progress:
        found = run_all([*planted, *correct], seed, progress)
    return Tally(found[: len(planted)], found[len(planted) :])


# ---------------------------------------------------------------- what is printed


def share(part: int, whole: int) -> str:
    return f"{part} of {whole}" + (f" ({100 * part / whole:.1f} %)" if whole else "")


def text_of(tally: Tally, seconds: float, seed: int) -> str:
    lines = [
        f"planted bugs caught      {share(tally.caught, len(tally.bugs))}, "
        f"{tally.inconclusive} of them inconclusive",
        f"false alarms             {share(len(tally.false_alarms), len(tally.rights))}, "
        f"{tally.element_checks} element checks, {len(tally.undecided)} inconclusive",
        f"right cause first        {share(tally.first, len(tally.named))}",
        f"among the first three    {share(tally.near_the_top, len(tally.named))}",
        f"seconds                  {seconds:.1f} (seed {seed})",
        "",
        *table_of(tally),
    ]
    for title, outcomes in sections(tally):
        if outcomes:
            lines += ["", f"{title}:", *(f"  {line_of(o)}" for o in outcomes)]
    return "\n".join(lines)


def table_of(tally: Tally) -> list[str]:
    head = (
        f"{'family':<22}{'bugs':>6}{'caught':>8}{'first':>7}{'three':>7}{'right':>7}{'alarms':>8}"
    )
    return [
        head,
        *(
            f"{family:<22}{len(t.bugs):>6}{t.caught:>8}{t.first:>7}{t.near_the_top:>7}"
            f"{len(t.rights):>7}{len(t.false_alarms):>8}"
            for family, t in tally.families()
        ),
    ]


def sections(tally: Tally) -> list[tuple[str, list[Outcome]]]:
    return [
        ("not caught", tally.missed),
        ("false alarms", tally.false_alarms),
        ("another cause first", tally.misnamed),
        ("correct, but inconclusive", tally.undecided),
        ("conventions that are not named", tally.unnamed_conventions),
    ]


def line_of(outcome: Outcome) -> str:
    case = outcome.case
    line = f"{case.family}: {case.name}: {outcome.verdict}"
    if isinstance(case, Bug) and case.slugs:
        got = ", ".join(outcome.causes[:NEAR_THE_TOP]) or "nothing"
        line += f"; expected {case.slugs[0]}, got {got}"
    return line + (f" ({outcome.note})" if outcome.note else "")


def outcome_dict(outcome: Outcome) -> dict[str, Any]:
    case = outcome.case
    return {
        "family": case.family,
        "name": case.name,
        "verdict": outcome.verdict,
        "expected": list(case.slugs) if isinstance(case, Bug) else [],
        "causes": list(outcome.causes),
        "rank": outcome.rank,
        "checked": outcome.checked,
        "seconds": round(outcome.seconds, 4),
        "note": outcome.note,
    }


def counts(tally: Tally) -> dict[str, int]:
    return {
        "bugs": len(tally.bugs),
        "caught": tally.caught,
        "inconclusive": tally.inconclusive,
        "named": len(tally.named),
        "first": tally.first,
        "among_three": tally.near_the_top,
        "rights": len(tally.rights),
        "false_alarms": len(tally.false_alarms),
        "undecided": len(tally.undecided),
        "element_checks": tally.element_checks,
    }


def dict_of(tally: Tally, seconds: float, seed: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "seconds": round(seconds, 2),
        **counts(tally),
        "families": {family: counts(t) for family, t in tally.families()},
        "outcomes": [outcome_dict(o) for o in (*tally.bugs, *tally.rights)],
    }
