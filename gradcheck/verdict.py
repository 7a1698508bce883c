"""Verdicts: what is said of one gradient, of one array of them, and of a whole check.

PASS       the discrepancy is within the error bar, and the bar is small enough to have
           seen a relative error of `POWER`
FAIL       the discrepancy is beyond the bar
INCONCLUSIVE  the bar is too wide, or nothing finite could be computed
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, TextIO

import numpy as np

Array = np.ndarray

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"

TRUSTED = 0.7
"""A cause of this score is known from what was measured; an edit that mends it only adds a line."""

POWER = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 1e-3}
"""The relative error that a passing check must have been able to see, by the dtype of the
gradient."""


@dataclass(frozen=True)
class Fix:
    """An edit of the code under test that was tried, and made the gradient right.

    Attributes
    ----------
    file, line : where it is.
    before, after : the statement there; before is empty where one is added above that line,
        after where the one there goes.
    """

    file: str
    line: int
    before: str
    after: str

    def __str__(self) -> str:
        place = f"{Path(self.file).name}:{self.line}"
        if not self.before:
            return f"{place}: right with `{self.after}` before this line"
        if not self.after:
            return f"{place}: right without `{self.before}`"
        return f"{place}: `{self.before}` → right as `{self.after}`"

    def to_dict(self) -> dict[str, Any]:
        return {"file": self.file, "line": self.line, "before": self.before, "after": self.after}


@dataclass(frozen=True)
class Cause:
    """What the mistake looks like: a row of `gradcheck.diagnose.causes`, and how sure it is.

    Attributes
    ----------
    slug : its name for programs, such as "transposed".
    score : from 0 to 1, for ranking.
    sentence : what a learner can act on, with the formula that was probably meant.
    fix : an edit of the code that makes the gradient right, where one was found.
    """

    slug: str
    score: float
    sentence: str
    fix: Fix | None = None

    def __str__(self) -> str:
        return f"{self.slug}: {self.sentence}"

    def to_dict(self) -> dict[str, Any]:
        found = {"slug": self.slug, "score": round(self.score, 4), "sentence": self.sentence}
        return found | ({"fix": self.fix.to_dict()} if self.fix else {})


@dataclass(frozen=True)
class Detail:
    """Entry by entry: the gradient under test, that from differences, and its error bar.

    All three have the shape of the array; NaN where nothing was measured.
    """

    analytic: Array
    numeric: Array
    error_bar: Array

    @property
    def excess(self) -> Array:
        """Analytic minus numeric in units of the error bar."""
        tiny = np.finfo(float).tiny
        return np.asarray((self.analytic - self.numeric) / np.maximum(self.error_bar, tiny))


@dataclass(frozen=True)
class Finding:
    """What was found of one array of gradients; the values are those of its worst place.

    Attributes
    ----------
    name : the array, such as "w" or "linear_layers[1].W".
    verdict : "pass", "fail" or "inconclusive".
    where : the index of the worst entry, or the direction it was measured along.
    analytic, numeric, error_bar : the gradient under test, the one from differences, and
        how far off the latter (and rounding in the former) may be.
    note : why, in a sentence, where the numbers do not say it.
    causes : what the mistake looks like, the likeliest first.
    detail : the numbers entry by entry, where they were measured so.
    """

    name: str
    verdict: str
    where: str = ""
    analytic: float = np.nan
    numeric: float = np.nan
    error_bar: float = np.nan
    note: str = ""
    causes: tuple[Cause, ...] = ()
    detail: Detail | None = field(default=None, repr=False, compare=False)

    @property
    def excess(self) -> float:
        """How many error bars the gradient is away from the differences."""
        return abs(self.analytic - self.numeric) / (self.error_bar or np.finfo(float).tiny)

    def to_dict(self) -> dict[str, Any]:
        numbers = {
            key: json_number(getattr(self, key)) for key in ("analytic", "numeric", "error_bar")
        }
        return {
            "name": self.name,
            "verdict": self.verdict,
            "where": self.where,
            **numbers,
            "note": self.note,
            "causes": [cause.to_dict() for cause in self.causes],
        }

    def __str__(self) -> str:
        line = f"{self.verdict:<12} {self.name}"
        if np.isfinite(self.analytic) or np.isfinite(self.numeric):
            line += (
                f"  {self.where}: analytic {self.analytic:.10g}, numeric {self.numeric:.10g} "
                f"± {self.error_bar:.2g}"
            )
        return line + (f"  ({self.note})" if self.note else "")


@dataclass(frozen=True, repr=False)
class Report:
    """The findings of one check. True where all of them pass.

    Attributes
    ----------
    findings : one for each array of gradients, and one for each relation that does not hold.
    checked : how many numbers were compared.
    notes : what else a reader should know, conventions for instance.
    conventions : choices that differ between authors and are no mistakes.
    calls : how often forward was called.
    seconds : what the check took.
    """

    title: str
    seed: int
    findings: tuple[Finding, ...] = ()
    checked: int = 0
    notes: tuple[str, ...] = field(default=())
    conventions: tuple[Cause, ...] = field(default=())
    calls: int = 0
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        return worst(finding.verdict for finding in self.findings)

    def __bool__(self) -> bool:
        return self.verdict == PASS

    @property
    def causes(self) -> tuple[Cause, ...]:
        """Those of all findings, each once, the likeliest first."""
        best: dict[str, Cause] = {}
        for finding in self.findings:
            for cause in finding.causes:
                if cause.slug not in best or cause.score > best[cause.slug].score:
                    best[cause.slug] = cause
        return tuple(sorted(best.values(), key=lambda cause: -cause.score))

    def __str__(self) -> str:
        from gradcheck.render.text import report_text

        return report_text(self)

    def __repr__(self) -> str:
        """One line, since pytest shows it below a bare `assert check(...)`."""
        from gradcheck.render.text import summary

        return f"<{summary(self)}>"

    def _repr_html_(self) -> str:
        """For notebooks: the page's content."""
        from gradcheck.render.html import fragment

        return fragment(self)

    def print(self, file: TextIO | None = None) -> None:
        """In colours on a terminal where `rich` is installed, but for NO_COLOR; else plain."""
        from gradcheck.render.terminal import show

        show(self, file)

    def to_html(self, path: str | PathLike[str]) -> None:
        """Write one self-contained page, with a heat map of each array measured by entries."""
        from gradcheck.render.html import page

        Path(path).write_text(page(self), encoding="utf-8")

    def to_junit(self) -> str:
        """JUnit XML with a test case for each finding.

        A wrong gradient is a `failure` with the likeliest cause as its message; one that cannot
        be decided is an `error`, since a build must not go on as if it had been proved.
        """
        from gradcheck.render.junit import junit

        return junit(self)

    def to_dict(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "verdict": self.verdict,
            "seed": self.seed,
            "checked": self.checked,
            "calls": self.calls,
            "seconds": round(self.seconds, 4),
            "notes": list(self.notes),
            "conventions": [cause.to_dict() for cause in self.conventions],
            "causes": [cause.to_dict() for cause in self.causes],
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def to_json(self, indent: int | None = 2) -> str:
        """The report as JSON; NaN is null, infinities are "inf" and "-inf".

        title, verdict ("pass", "fail", "inconclusive") : text.
        seed, checked, calls : whole numbers; the comparisons and the calls of forward.
        seconds : number.
        notes : list of text.
        causes, conventions : lists of {slug, score, sentence}; causes are those of all findings,
            the likeliest first. One with a fix has {file, line, before, after} as "fix".
        findings : list of {name, verdict, where, analytic, numeric, error_bar, note, causes}.

        Keys may be added; none changes its meaning.
        """
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)


def worst(verdicts: Iterable[str]) -> str:
    """Fail if any fails, inconclusive if any is (or there is nothing to judge), else pass."""
    seen = set(verdicts)
    if FAIL in seen:
        return FAIL
    return INCONCLUSIVE if INCONCLUSIVE in seen or not seen else PASS


def json_number(value: float) -> float | str | None:
    """JSON knows neither NaN, which becomes null, nor infinities, which are spelt out."""
    if np.isnan(value):
        return None
    return float(value) if np.isfinite(value) else str(value)


def json_array(array: Any) -> Any:
    """An array as nested lists of JSON numbers."""
    if np.ndim(array) == 0:
        return json_number(float(array))
    return [json_array(row) for row in array]
