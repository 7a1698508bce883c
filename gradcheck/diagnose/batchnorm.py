"""Normalisations (batch, layer, group, instance, RMS): which term of backward is wrong."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from gradcheck.diagnose import mode
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.normalisation import Normalisation, Parts, Root, identify, shrink
from gradcheck.diagnose.normalisation_formulas import (
    EPSILONS,
    Formula,
    describe,
    mutants,
    right_formula,
    weighted,
)
from gradcheck.diagnose.replay import ROUNDING, Scene, match, scenes, unit, wide
from gradcheck.verdict import Cause

Array = np.ndarray

THROUGH = 1e-8
"""Relative accuracy of what is seen through the slope of an activation."""

UNEXPLAINED = 0.3
"""The score of a formula that is wrong in a way that is not known: it can at least be told."""

GOOD = 0.9
"""A match from which on no further mutants are tried."""


def found_in(evidence: Evidence) -> Normalisation | None:
    """The normalisation that forward is; remembered."""
    if "normalisation" not in evidence.memory:
        found = None
        if len(evidence.outputs) == 1:
            found = identify(evidence.outputs_at, evidence.inputs, evidence.outputs[0])
        evidence.memory["normalisation"] = found
    known: Normalisation | None = evidence.memory["normalisation"]
    return known


def parts_of(evidence: Evidence, found: Normalisation, scene: Scene) -> Parts | None:
    """The parts at a scene; remembered."""
    key = f"parts {id(scene)}"
    if key not in evidence.memory:
        evidence.memory[key] = found.parts(scene.inputs, scene.cotangent)
    parts: Parts | None = evidence.memory[key]
    return parts


def normalisation(evidence: Evidence, i: int) -> Iterator[Cause]:
    """The gradient of input i of a normalisation, against every mutant."""
    found = found_in(evidence)
    if found is None or evidence.analytic[i] is None:
        return
    trial = Trial(evidence, found, i)
    if i in (found.gamma, found.beta):
        yield from parameter(trial)
    else:
        yield from through(trial)


class Trial:
    """Matching candidates for the gradient of one input."""

    def __init__(self, evidence: Evidence, found: Normalisation, i: int):
        self.evidence, self.found, self.i = evidence, found, i
        self.is_parameter = i in (found.gamma, found.beta)
        right = right_formula(found)
        self.right: Callable[[Parts], Array]
        if i == found.gamma:
            self.right = lambda p: p.cotangent * p.centred * found.root.rstd(p.variance)
        else:
            self.right = (lambda p: p.cotangent) if i == found.beta else right.dz

    def carried(self, per_entry: Callable[[Parts], Array]) -> Callable[[Scene], Array | None]:
        """From a formula for every entry to the gradient of the input."""

        def at(scene: Scene) -> Array | None:
            parts = parts_of(self.evidence, self.found, scene)
            if parts is None:
                return None
            if self.is_parameter:
                return shrink(per_entry(parts), scene.inputs[self.i], self.found.axis)
            return self.found.source.pull(self.i, per_entry(parts), scene.inputs)

        return at

    def noise(self, scene: Scene) -> float:
        """How far rounding may move the gradient: relative to the sums before they cancel."""
        parts = parts_of(self.evidence, self.found, scene)
        if parts is None:
            return np.inf
        spread = float(np.sqrt(parts.variance.mean())) or 1.0
        shaky = 1 + float(abs(parts.z).max()) / spread
        relative = ROUNDING * unit(scene.gradients, self.i) * shaky
        relative = max(relative, THROUGH if self.found.has_activation else 0.0)
        r = self.found.root.rstd(parts.variance)
        if self.is_parameter:
            sizes = abs(parts.cotangent) * (1 + abs(parts.centred) * r)
            summed = shrink(sizes, scene.inputs[self.i], self.found.axis)
        else:
            sizes = sum(abs(term) for term in right_formula(self.found).terms(parts))
            positive = [abs(a) if isinstance(a, np.ndarray) else a for a in scene.inputs]
            summed = self.found.source.pull(self.i, np.asarray(sizes), positive)
        return np.inf if summed is None else relative * float(np.linalg.norm(summed))

    def match(self, per_entry: Callable[[Parts], Array]) -> float:
        return match(
            self.evidence, self.i, self.carried(per_entry), self.carried(self.right), self.noise
        )


def through(trial: Trial) -> Iterator[Cause]:
    """dx, or that of what comes before: the terms of the formula."""
    shape = scenes(trial.evidence)[0].cotangent.shape
    best = 0.0
    for mutant in mutants(trial.found, shape):
        score = trial.match(mutant.dz)
        best = max(best, score)
        if score > 0.1:
            yield cause(mutant.slug, score * mutant.match, **mutant.fields)
        if score == 1:  # to rounding, at both points; the simplest come first
            trial.evidence.memory[f"formula {trial.i}"] = mutant
            break
    if trial.found.has_activation:
        yield from without_activation(trial, right_formula(trial.found).dz)
    if best < GOOD:
        yield from fitted_weights(trial)
    if best == 0:
        detail = f"forward normalises over {trial.found.groups.describe()}; no known slip fits"
        yield cause("batchnorm-terms-wrong", UNEXPLAINED, detail=detail)


def without_activation(trial: Trial, per_entry: Callable[[Parts], Array]) -> Iterator[Cause]:
    """dy goes into the normalisation as it is, without φ'."""
    dy = {id(s): s.cotangent for s in scenes(trial.evidence)}

    def at(scene: Scene) -> Array | None:
        parts = parts_of(trial.evidence, trial.found, scene)
        if parts is None:
            return None
        bare = per_entry(replace(parts, cotangent=dy[id(scene)]))
        if trial.is_parameter:
            return shrink(bare, scene.inputs[trial.i], trial.found.axis)
        return trial.found.source.pull(trial.i, bare, scene.inputs)

    score = match(trial.evidence, trial.i, at, trial.carried(trial.right), trial.noise)
    yield cause("activation-derivative-missing", score)


def fitted_weights(trial: Trial) -> Iterator[Cause]:
    """Any other weights of the three terms, by least squares; with γ and without."""
    scene = scenes(trial.evidence)[0]
    parts = parts_of(trial.evidence, trial.found, scene)
    analytic = scene.gradients[trial.i]
    if parts is None or analytic is None:
        return
    right = right_formula(trial.found)
    for gammas in ((1, 1, 1), (0, 0, 0)):
        formula = replace(right, gammas=gammas)
        terms = formula.terms(parts)[:: 1 if trial.found.is_centred else 2]
        columns = [trial.found.source.pull(trial.i, t, scene.inputs) for t in terms]
        if any(c is None or c.shape != analytic.shape for c in columns):
            return
        matrix = np.stack([np.ravel(c) for c in columns if c is not None], axis=1)
        weights = np.linalg.lstsq(matrix, wide(analytic).ravel(), rcond=1e-10)[0]
        if not trial.found.is_centred:
            weights = np.array([weights[0], 0.0, weights[1]])
        yield from named_weights(trial, formula, weights)


def named_weights(trial: Trial, formula: Formula, weights: Array) -> Iterator[Cause]:
    mutant = weighted(formula, (float(weights[0]), float(weights[1]), float(weights[2])))
    score = trial.match(mutant.dz)
    if score < 0.5 or np.ptp(weights[[0, 1, 2] if trial.found.is_centred else [0, 2]]) < 1e-6:
        return
    yield cause(mutant.slug, score, **mutant.fields)
    first = weights[0] or 1.0
    is_off = abs(weights / first - formula.weights) > 1e-6
    if is_off[1] and not is_off[2]:
        yield cause("batchnorm-mean-term-missing", 0.85 * score)
    if is_off[2] and not is_off[1]:
        yield cause("batchnorm-variance-term-missing", 0.85 * score)


# ---------------------------------------------------------------------- γ and β


def parameter(trial: Trial) -> Iterator[Cause]:
    """dγ = Σ dy·x̂ and dβ = Σ dy."""
    if trial.found.has_activation:
        yield from without_activation(trial, trial.right)
    if trial.i == trial.found.beta:
        for label, wrong in BETA_MUTANTS.items():
            yield cause("batchnorm-parameter-gradient", trial.match(wrong), detail=label)
        return
    root = trial.found.root
    for label, used in GAMMA_MUTANTS.items():

        def wrong(parts: Parts, used: Callable[[Parts, Root], Array] = used) -> Array:
            return np.asarray(parts.cotangent * used(parts, root))

        score = trial.match(wrong)
        yield cause("batchnorm-parameter-gradient", score, detail=f"dγ is summed with {label}")
    yield from other_roots(trial)


def other_roots(trial: Trial) -> Iterator[Cause]:
    """x̂ with another eps or another variance."""
    true = trial.found.root
    size = trial.found.groups.size(scenes(trial.evidence)[0].cotangent.shape)
    factor = size / (size - 1) if true.factor == 1 else 1.0
    others = [replace(true, eps=e, is_outside=o) for o in (False, True) for e in EPSILONS]
    others.append(replace(true, is_outside=not true.is_outside))
    for other in (replace(true, factor=factor), *others):

        def wrong(parts: Parts, other: Root = other) -> Array:
            return np.asarray(parts.cotangent * parts.centred * other.rstd(parts.variance))

        slug = "batchnorm-eps-mismatch" if other.factor == true.factor else ""
        detail = f"{describe(other)} in backward, {describe(true)} in forward"
        if other != true:
            yield cause(slug or "batchnorm-unbiased-variance", trial.match(wrong), detail=detail)


GAMMA_MUTANTS: dict[str, Callable[[Parts, Root], Array]] = {
    "x itself, not x̂": lambda p, root: p.z,
    "x − mean, without rstd": lambda p, root: p.centred,
    "x·rstd, without the mean": lambda p, root: p.z * root.rstd(p.variance),
    "γ·x̂": lambda p, root: p.gamma * p.centred * root.rstd(p.variance),
    "x̂·rstd": lambda p, root: p.centred * root.rstd(p.variance) ** 2,
    "x̂²": lambda p, root: (p.centred * root.rstd(p.variance)) ** 2,
}

BETA_MUTANTS: dict[str, Callable[[Parts], Array]] = {
    "dβ has γ in it: dβ = Σ dy": lambda p: p.cotangent * p.gamma,
}

RECOGNISERS: tuple[Callable[..., Iterator[Cause]], ...] = (
    normalisation,
    mode.evaluation,
    mode.training,
)
