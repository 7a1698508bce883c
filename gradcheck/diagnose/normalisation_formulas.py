"""Backward of a normalisation, and all the ways to get it wrong.

With g = γ·dy, u the centred source, r = rstd(var), and means over each group:

    dz = r·g − r·mean(g) − c·u·mean(g·u),   c = factor·r³   (factor·r²/√(factor·var), eps outside)

In terms of x̂ = u·r: dz = r·(g − mean(g) − x̂·mean(g·x̂)). RMS norm has no middle term.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gradcheck.diagnose.groups import partitions
from gradcheck.diagnose.normalisation import Normalisation, Parts, Root

Array = np.ndarray

EPSILONS = (0.0, *(m * 10.0**-k for k in range(12, 0, -1) for m in (1, 2, 5)))
"""Values that eps may have in backward, where it is not that of forward."""


@dataclass(frozen=True)
class Formula:
    """The formula, with a knob for everything that may be wrong in it.

    Attributes
    ----------
    root : of the factor in front.
    inner : of the two x̂ in the last term.
    weights : of dy, of mean(dy), of x̂·mean(dy·x̂).
    gammas : powers of γ in the three terms.
    power : of rstd that is missing in the last term: 1 where u stands for one of the x̂.
    is_plain : the last term is x̂·mean(dy·x̂) also where the factor or an eps outside the root
        makes it another.
    front : powers of rstd too many in front of all.
    outside : powers of γ in front of all, after the means.
    """

    root: Root
    inner: Root
    weights: tuple[float, float, float]
    gammas: tuple[int, int, int] = (1, 1, 1)
    power: int = 0
    is_plain: bool = False
    front: int = 0
    outside: int = 0

    def terms(self, parts: Parts) -> list[Array]:
        r = self.root.rstd(parts.variance)
        inner = self.inner.rstd(parts.variance)
        dy, u, mean = parts.cotangent, parts.centred, parts.groups.mean
        g = [dy * parts.gamma**power for power in self.gammas]
        curve = inner**2 * (1 if self.is_plain else self.inner.factor)
        if self.inner.is_outside and not self.is_plain:
            curve = self.inner.factor * inner / np.sqrt(self.inner.factor * parts.variance)
        inside = np.where(np.isfinite(inner), inner, 0.0)  # where it is not, u is zero
        curve = np.divide(curve, inner, out=np.zeros(u.shape), where=np.isfinite(curve))
        last = r * curve * inner ** (-self.power) * u * mean(g[2] * u * inside)
        more = r**self.front * parts.gamma**self.outside
        return [more * r * g[0], -more * r * mean(g[1]), -more * last]

    def dz(self, parts: Parts) -> Array:
        return np.asarray(sum(w * t for w, t in zip(self.weights, self.terms(parts), strict=True)))


@dataclass(frozen=True)
class Mutant:
    slug: str
    formula: Formula
    fields: dict[str, Any] = field(default_factory=dict)
    match: float = 1.0
    """Less where a simpler mistake should go first."""
    axes: Any = None
    """Groups, where the sums run over others than in forward."""
    is_whole: bool = False
    """Mean and variance are those of the other groups as well."""

    def dz(self, parts: Parts) -> Array:
        if self.axes is not None:
            parts = replace(parts, groups=self.axes)
        if self.is_whole:
            centred = parts.z - parts.groups.mean(parts.z)
            variance = parts.groups.mean(centred * centred)
            parts = replace(parts, centred=centred, variance=variance)
        return self.formula.dz(parts)


def right_formula(found: Normalisation) -> Formula:
    return Formula(found.root, found.root, (1.0, 1.0 if found.is_centred else 0.0, 1.0))


def mutants(found: Normalisation, shape: tuple[int, ...]) -> Iterator[Mutant]:
    """Every mutant that is known, the simplest first."""
    right = right_formula(found)
    size = found.groups.size(shape)
    middle = right.weights[1]
    yield from with_terms_missing(right)
    if found.gamma is not None:
        yield from with_gamma_wrong(right)
    yield from with_other_eps(right)
    yield from with_other_variance(right, size)
    yield from with_other_weights(right, size)
    for slug, weights in LACKING.items():
        if middle or slug != "batchnorm-mean-term-missing":
            bare = replace(right, weights=weights, gammas=(0, 0, 0))
            if found.gamma is not None:
                yield Mutant("batchnorm-gamma-missing", bare, match=0.97)
                yield Mutant(slug, bare, match=0.95)
    for other in partitions(shape):
        if other != found.groups:
            detail = f"{other.describe()}, where forward takes {found.groups.describe()}"
            fields = {"detail": detail}
            yield Mutant("statistics-wrong-axis", right, fields, axes=other)
            if right.weights[1]:
                yield Mutant("statistics-wrong-axis", right, fields, axes=other, is_whole=True)


LACKING = {
    "batchnorm-mean-term-missing": (1.0, 0.0, 1.0),
    "batchnorm-variance-term-missing": (1.0, 1.0, 0.0),
    "batchnorm-statistics-constant": (1.0, 0.0, 0.0),
}


def with_terms_missing(right: Formula) -> Iterator[Mutant]:
    if right.weights[1]:
        for slug, weights in LACKING.items():
            yield Mutant(slug, replace(right, weights=weights))
    else:
        yield Mutant("batchnorm-variance-term-missing", replace(right, weights=(1, 0, 0)))
        yield weighted(right, (1, 1, 1))


def with_gamma_wrong(right: Formula) -> Iterator[Mutant]:
    for gammas in ((0, 0, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1), (1, 1, 0), (2, 2, 2), (-1, -1, -1)):
        yield Mutant("batchnorm-gamma-missing", replace(right, gammas=gammas))
    yield Mutant("batchnorm-gamma-missing", replace(right, gammas=(0, 0, 0), outside=1))


def with_other_eps(right: Formula) -> Iterator[Mutant]:
    true = right.root
    for is_outside in (true.is_outside, not true.is_outside):
        for eps in (true.eps, *EPSILONS):
            other = replace(true, eps=eps, is_outside=is_outside)
            if other == true or (eps == 0 and is_outside != true.is_outside):
                continue
            detail = f"{describe(other)} in backward, {describe(true)} in forward"
            fields = {"detail": detail}
            yield Mutant("batchnorm-eps-mismatch", replace(right, root=other, inner=other), fields)
            yield Mutant("batchnorm-eps-mismatch", replace(right, root=other), fields)
            yield Mutant("batchnorm-eps-mismatch", replace(right, inner=other), fields)
            if is_outside:
                plain = replace(right, root=other, inner=other, is_plain=True)
                yield Mutant("batchnorm-eps-mismatch", plain, fields)
    if true.is_outside:
        detail = "outside the root, where x̂·mean(dy·x̂) must be x̂·mean(dy·u)/σ"
        yield Mutant("batchnorm-eps-mismatch", replace(right, is_plain=True), {"detail": detail})


def describe(root: Root) -> str:
    if root.eps == 0:
        return "none"
    return f"{root.eps:.3g}" + (" outside the root" if root.is_outside else "")


def with_other_variance(right: Formula, size: int) -> Iterator[Mutant]:
    """n − 1 for n, in forward or in backward, in rstd or in the sums."""
    slug, ratio = "batchnorm-unbiased-variance", size / (size - 1)
    factor = ratio if right.root.factor == 1 else 1.0
    other = replace(right.root, factor=factor)
    middle = right.weights[1]
    yield Mutant(slug, replace(right, root=other, inner=other))
    for root in (right.root, other):
        yield Mutant(slug, replace(right, root=root, inner=root, is_plain=True))
    yield Mutant(slug, replace(right, inner=other))
    yield Mutant(slug, replace(right, root=other))
    for weights in ((1, middle, ratio), (1, middle, 1 / ratio), (1, middle * ratio, ratio)):
        yield Mutant(slug, replace(right, weights=weights))


def with_other_weights(right: Formula, size: int) -> Iterator[Mutant]:
    """Sums for means, signs, halves, rstd forgotten."""
    middle = right.weights[1]
    n = float(size)
    for a, b in ((n, 1), (1, n), (n, n), (-1, 1), (1, -1), (-1, -1), (1, 2), (1, 0.5), (2, 1)):
        if middle or a == 1:
            yield weighted(right, (1, middle * a, b))
    for front, text in ((-1, "rstd in front is missing"), (1, "rstd stands in front twice")):
        yield Mutant("batchnorm-terms-wrong", replace(right, front=front), {"detail": text})
    for power, detail in ((1, "x̂"), (2, "both x̂"), (-1, "an rstd too many beside x̂")):
        text = f"in the term of the variance u = x − mean stands for {detail}"
        if power < 0:
            text = f"the term of the variance has {detail}"
        yield Mutant("batchnorm-terms-wrong", replace(right, power=power), {"detail": text})


def weighted(right: Formula, weights: tuple[float, float, float]) -> Mutant:
    a, b, c = (f"{w:.4g}" for w in weights)
    detail = f"γ·rstd·({a}·dy − {b}·mean(dy) − {c}·x̂·mean(dy·x̂)) is what backward gives"
    return Mutant("batchnorm-terms-wrong", replace(right, weights=weights), {"detail": detail})
