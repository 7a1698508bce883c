"""examine: the whole course of a check, from the first call to the report.

Exact relations come first, differences after them, and causes are looked for only where
something is wrong. Whatever stops a check on the way, an exception of the function's or the end
of the budget, becomes part of the report.
"""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradcheck import relations
from gradcheck.arguments import as_cotangents
from gradcheck.arrays import flat, float_dtype, generator, is_floating, within
from gradcheck.budget import BudgetSpent, check_time
from gradcheck.compare import ENTRYWISE, Comparison, Quantity, compare, detail_of
from gradcheck.diagnose import Evidence, diagnose
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.cotangent import nonlinear
from gradcheck.further import look_elsewhere
from gradcheck.guard import noting
from gradcheck.invariants import overflow, structural_relations
from gradcheck.locate import locate
from gradcheck.pardon import pardoned
from gradcheck.pattern import pattern
from gradcheck.points import elsewhere
from gradcheck.progress import Meter, Progress
from gradcheck.relations import Broken, Point
from gradcheck.repair import led_by_relation, repair, with_repairs
from gradcheck.rounding import spreads
from gradcheck.subject import FAULTS, Raised, Subject, as_tuple, copies, is_real, real_output
from gradcheck.symmetric import among_symmetric
from gradcheck.ties import tie_note
from gradcheck.verdict import FAIL, INCONCLUSIVE, PASS, Cause, Finding, Report

Array = np.ndarray


@dataclass(frozen=True)
class Settings:
    """What a caller may choose.

    Attributes
    ----------
    is_fixed : backward is the gradient of one scalar and does not look at the cotangent.
    cotangents : weights of the outputs; random ones of both signs where None.
    domain : for each name, the least and the greatest value that differences may go to.
    further_points : whether the gradient is checked elsewhere, too.
    twin : forward in float64, for a function that computes in float32.
    may_accumulate : a second backward may add to the first.
    progress : is told of every array how many places are measured; None: a terminal's line.
    """

    title: str = "check"
    seed: int = 0
    is_fixed: bool = False
    cotangents: Sequence[Array] | None = None
    domain: dict[str, tuple[float, float]] | None = None
    further_points: bool = True
    twin: Any = None
    notes: tuple[str, ...] = ()
    may_accumulate: bool = False
    progress: Progress | None = None


def examine(subject: Subject, inputs: Sequence[Any], settings: Settings) -> Report:
    """Check the pair at the inputs."""
    began = time.perf_counter()
    examination = Examination(subject, list(inputs), settings)
    with np.errstate(all="ignore"), noting(examination.notes):
        try:
            examination.run()
        except BudgetSpent as spent:
            examination.stop(str(spent))
        except Raised as raised:
            examination.stop(str(raised), FAIL if raised.call == "backward" else INCONCLUSIVE)
    return Report(
        settings.title,
        settings.seed,
        tuple(examination.findings),
        examination.checked,
        tuple(examination.notes),
        tuple(examination.conventions),
        subject.forward_calls,
        time.perf_counter() - began,
    )


class Examination:
    """One check under way: what is known so far, and the steps that find out more."""

    def __init__(self, subject: Subject, inputs: list[Any], settings: Settings):
        self.subject, self.inputs, self.settings = subject, inputs, settings
        self.rng = generator(settings.seed)
        self.progress = settings.progress or Meter()
        self.findings: list[Finding] = []
        self.conventions: list[Cause] = []
        self.notes: list[str] = list(settings.notes)
        self.checked = 0
        self.undecided = [n for n, a in zip(subject.names, inputs, strict=True) if is_floating(a)]

    def stop(
        self, reason: str, verdict: str = INCONCLUSIVE, causes: tuple[Cause, ...] = ()
    ) -> None:
        """The rest cannot be decided: say why."""
        known = {finding.name for finding in self.findings}
        for name in self.undecided:
            if name not in known:
                self.findings.append(Finding(name, verdict, note=reason, causes=causes))
        if not self.undecided:
            self.findings.append(Finding("check", verdict, note=reason))
        self.notes.append(reason)

    def run(self) -> None:
        subject = self.subject
        outputs = subject.outputs(self.inputs)
        cotangents = self.draw_cotangents(outputs)
        self.point = Point(self.inputs, cotangents, outputs, [None] * len(self.inputs))
        self.point = replace(self.point, gradients=subject.gradients(cotangents, self.inputs))
        self.undecided = [subject.names[i] for i in self.places()]
        if not self.undecided:
            self.notes.append("no floating input has a gradient: nothing to check")
            return
        if not all(np.isfinite(y).all() for y in outputs if y.dtype.kind == "f"):
            self.stop("forward is not finite here", causes=overflow(subject, self.inputs))
            return
        if not self.repeats():
            return
        self.point = replace(
            self.point, spreads=spreads(subject, self.point, self.rng, self.settings.is_fixed)
        )
        self.relations_hold()
        subject.is_watched = False
        self.measure()
        if all(g is None or is_real(g) for g in self.point.gradients):
            self.overrule(structural_relations(subject, self.point))
        if self.settings.further_points:
            look_elsewhere(self)

    def at(self, point: Point) -> list[Finding]:
        """The findings of an examination at another point."""
        settings = replace(
            self.settings,
            further_points=False,
            cotangents=point.cotangents if self.settings.is_fixed else None,
        )
        other = Examination(self.subject, point.inputs, settings)
        other.run()
        return other.findings

    def places(self) -> list[int]:
        """The inputs whose gradients are checked."""
        return [
            i
            for i, gradient in enumerate(self.point.gradients)
            if gradient is not None and is_floating(self.inputs[i])
        ]

    @property
    def differentiated(self) -> list[bool]:
        """For each input, whether it has a gradient: the others are given, and stay so."""
        return [gradient is not None for gradient in self.point.gradients]

    def draw_cotangents(self, outputs: list[Array]) -> list[Array]:
        """Of both signs: a backward that is wrong for one of them shows."""
        given = self.settings.cotangents
        if given is None:
            return [np.asarray(self.rng.standard_normal(y.shape), float_dtype(y)) for y in outputs]
        return as_cotangents(given, outputs)

    # ------------------------------------------------------------------ exact relations

    def repeats(self) -> bool:
        """Whether the pair gives the same answers again; nothing else can be said otherwise."""
        broken = list(relations.repeated(self.subject, self.point))
        self.add(broken)
        if broken and all(b.verdict == INCONCLUSIVE for b in broken):
            self.stop("forward gives another answer for the same inputs")
        return not broken

    def relations_hold(self) -> None:
        """What does not hold becomes a finding."""
        subject, point = self.subject, self.point
        other = elsewhere(self.inputs, self.rng, differentiated=self.differentiated)
        self.add(relations.overwritten(subject, point, other))
        self.add(relations.kept(subject, point, self.settings.may_accumulate))
        self.add(relations.laid_out(subject, point, self.rng, self.settings.is_fixed))
        if not self.settings.is_fixed:
            self.add(nonlinear(subject, point))
        self.add(relations.spoilt(subject), beside=True)

    def add(self, broken: Iterable[Broken], beside: bool = False) -> None:
        """A finding each; of an array that has one, the first stands, or this joins it."""
        for b in broken:
            finding = Finding(b.name, b.verdict, note=b.note, causes=(b.cause,))
            if not any(f.name == b.name and f.verdict == FAIL for f in self.findings):
                self.findings.append(finding)
            elif beside:
                self.merge(finding)

    def overrule(self, broken: Iterable[Broken]) -> None:
        """Relations sharper than differences: they make failures of what has passed."""
        for b in broken:
            self.findings = [f for f in self.findings if f.name != b.name or f.verdict == FAIL]
            self.add([b])

    # ------------------------------------------------------------------ differences

    def measure(self) -> None:
        """Every gradient against differences, and the causes of those that are wrong."""
        self.wide, self.epsilon = self.widest()
        comparisons: dict[int, Comparison] = {}
        try:
            for i in self.places():
                comparisons[i] = self.compared(i)
                self.checked += comparisons[i].count
        finally:  # the time may be over: what is measured is told
            self.judge(comparisons)

    def compared(self, i: int) -> Comparison:
        """One gradient against differences, located where wrong, pardoned where rounded."""
        gradient = self.point.gradients[i]
        weights = flat(self.point.cotangents)
        quantity = self.quantity(i, self.wide, gradient, weights, self.point.spreads[i])
        comparison = compare(quantity, self.rng)
        if comparison.finding.verdict == FAIL and gradient.size > ENTRYWISE:
            with suppress(BudgetSpent):  # without its place it is as wrong
                comparison = self.narrow_down(quantity, comparison)
        if comparison.finding.verdict == FAIL and self.is_right_in_float64(quantity, i):
            comparison = pardoned(comparison)
        if comparison.finding.verdict == FAIL:
            comparison = self.among_symmetric(quantity, comparison)
        if comparison.finding.verdict == PASS and (note := tie_note(quantity, comparison)):
            self.notes.append(note)
        return comparison

    def among_symmetric(self, quantity: Quantity, comparison: Comparison) -> Comparison:
        """The comparison along symmetric changes alone, where that is what the gradient is of."""
        name, kept = quantity.name, among_symmetric(quantity)
        found = comparison if kept is None else compare(kept, self.rng)
        if found.finding.verdict == FAIL:
            return comparison
        self.notes.append(f"{name} is symmetric, and d{name} that along symmetric changes alone")
        return found

    def quantity(
        self, i: int, wide: list[Any], gradient: Array, weights: Array, spread: Array
    ) -> Quantity:
        def at(value: Array) -> Array:
            moved = [value if j == i else w for j, w in enumerate(wide)]
            if self.settings.twin is not None:
                return self.twin_at(moved, weights.size)
            return flat(self.subject.outputs(moved))

        return Quantity(
            self.subject.names[i],
            within(at, self.bounds(i)),
            wide[i],
            gradient,
            weights,
            self.epsilon,
            spread,
            any(is_floating(a) and a.dtype == np.float32 for a in self.inputs),
            self.progress,
        )

    def twin_at(self, inputs: list[Any], size: int) -> Array:
        """What the twin gives; `Raised` where it cannot stand in for forward."""
        check_time()
        try:
            found = flat([real_output(k, y) for k, y in
                          enumerate(as_tuple(self.settings.twin(*copies(inputs))))])  # fmt: skip
            if found.size != size:
                raise TypeError(f"it gives {found.size} numbers, forward {size}")
        except FAULTS as error:
            raise Raised("twin", error) from error
        return found

    def bounds(self, i: int) -> tuple[float, float] | None:
        return (self.settings.domain or {}).get(self.subject.names[i])

    def narrow_down(self, quantity: Quantity, comparison: Comparison) -> Comparison:
        """Of a large array that is wrong: an entry that is, and how the others are."""
        one = comparison.measured[-1]
        if abs(one.probe.direction).min() != 1 or not one.estimate.is_finite:
            return comparison
        off = one.probe.analytic - one.estimate.value
        index, calls = locate(
            quantity.function, quantity.x, quantity.gradient, quantity.weights, one.probe, off
        )
        found = pattern(quantity, self.rng, index, off, one)
        finding = replace(found.finding, note=f"located in {calls} calls of forward")
        return replace(found, finding=finding, count=comparison.count + found.count)

    def is_right_in_float64(self, quantity: Quantity, i: int) -> bool:
        """Whether the same backward, given float64, passes where its float32 did not."""
        if quantity.gradient.dtype != np.float32 or quantity.x.dtype != np.float64:
            return False
        cotangents = [c.astype(np.float64) for c in self.point.cotangents]
        try:
            gradient = self.subject.gradients(cotangents, self.wide)[i]
        except Raised:
            return False
        if not is_floating(gradient) or gradient.dtype != np.float64:
            return False
        wide = replace(quantity, gradient=gradient, spread=None)
        return compare(wide, self.rng).finding.verdict == PASS

    def judge(self, comparisons: dict[int, Comparison]) -> None:
        """Findings, with causes for what is wrong."""
        failed = {f.name for f in self.findings if f.verdict == FAIL}
        wrong = [c.finding.verdict == FAIL for c in comparisons.values()]
        evidence = self.evidence(comparisons) if any(wrong) else None
        repairs = [] if evidence is None else repair(evidence)
        for i, comparison in comparisons.items():
            finding = comparison.finding
            if comparison.is_alone:
                lone = cause("entries-wrong", count=1, total=self.wide[i].size, where=finding.where)
                finding = replace(finding, causes=(lone,))
            elif evidence is not None and finding.verdict == FAIL:
                finding = replace(finding, causes=diagnose(evidence, i))
            if finding.verdict == FAIL:
                finding = replace(finding, causes=with_repairs(finding.causes, repairs, i))
            self.note_convention(comparison)
            finding = replace(finding, detail=detail_of(comparison, self.wide[i].shape))
            if finding.name in failed:
                self.merge(finding)
            else:
                self.findings.append(finding)

    def merge(self, finding: Finding) -> None:
        """A relation of this array is broken already: its causes and these are ranked together."""
        for k, other in enumerate(self.findings):
            if other.name == finding.name and other.verdict == FAIL:
                named = led_by_relation(other.causes, finding.causes)
                known = {c.slug for c in named}
                causes = named + tuple(c for c in finding.causes if c.slug not in known)
                causes = tuple(sorted(causes, key=lambda found: -found.score))
                shown = finding if finding.verdict == FAIL else replace(finding, verdict=FAIL)
                note = other.note or finding.note
                self.findings[k] = replace(shown, note=note, causes=causes)

    def note_convention(self, comparison: Comparison) -> None:
        """A gradient that passes at a kink has made a choice there."""
        for one in comparison.measured:
            if one.estimate.kink is not None and comparison.finding.verdict == PASS:
                low, high = one.estimate.kink
                chosen = cause("kink-convention", low=low, high=high, taken=one.probe.analytic)
                if chosen.slug not in {c.slug for c in self.conventions}:
                    self.conventions.append(chosen)

    def evidence(self, comparisons: dict[int, Comparison]) -> Evidence:
        count = len(self.inputs)
        details = [
            detail_of(comparisons[i], self.wide[i].shape) if i in comparisons else None
            for i in range(count)
        ]
        return Evidence(
            self.subject,
            self.subject.names,
            self.wide,
            self.point.cotangents,
            self.point.outputs,
            self.point.gradients,
            [d and d.numeric for d in details],
            [d and d.error_bar for d in details],
            [i in comparisons and comparisons[i].finding.verdict == FAIL for i in range(count)],
            self.rng,
            self.settings.is_fixed,
        )

    def widest(self) -> tuple[list[Any], float]:
        """The inputs in float64 if forward computes in that too, and its relative rounding."""
        wide = [a.astype(np.float64) if is_floating(a) else a for a in self.inputs]
        if self.settings.twin is not None:
            return wide, float(np.finfo(np.float64).eps)
        outputs = self.point.outputs
        if any(is_floating(a) and a.dtype != np.float64 for a in self.inputs):
            try:
                outputs = self.subject.outputs(wide)
            except Raised:  # whatever a function of one dtype raises at another
                wide = list(self.inputs)
        if all(y.dtype != np.float32 for y in outputs):
            return wide, float(np.finfo(np.float64).eps)
        return list(self.inputs), float(np.finfo(np.float32).eps)
