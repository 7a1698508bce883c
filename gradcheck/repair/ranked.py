"""Ranked: the causes that recognisers name, and those that repairs show, as one list."""

from collections.abc import Sequence
from dataclasses import replace

from gradcheck.diagnose.causes import widened
from gradcheck.repair.meanings import MEANINGS
from gradcheck.repair.search import Repair
from gradcheck.verdict import TRUSTED, Cause

PROVED = 0.93
"""The score of a cause that an edit has proved to be one."""

COTANGENT = "cotangent-"
"""How the slugs of what is wrong about the cotangent begin."""

STEP = 0.01
"""Between the scores of one cause and the next that is as good."""

DECISIVE = {
    "overwrites-instead-of-accumulating": ("samples-missing", "terms-missing", "region-wrong"),
    "transposed": ("jacobian-not-transposed", "permuted"),
    "layers-out-of-order": ("samples-missing", "terms-missing"),
    "path-missing": ("wrong-weights", "region-wrong", "overwrites-instead-of-accumulating"),
    "gradient-stops": ("region-wrong", "overwrites-instead-of-accumulating"),
    "statistics-wrong-axis": ("path-missing", "transposed", "batchnorm-terms-wrong"),
    "sign-flipped": ("path-missing",),
    "scaled-by-batch": ("path-missing",),
    "scaled-by-constant": ("path-missing",),
    "divided-by-batch-twice": ("path-missing",),
    "power-rule": ("path-missing", "chain-rule-factor-missing", "activation-derivative-missing"),
    "product-rule-term-missing": ("wrong-function-derivative",),
    "stale-cache": ("region-wrong",),
    "cotangent-nonlinear": ("reduced-precision",),
    "wrong-weights": ("reduced-precision",),
    "term-without-cotangent": ("reduced-precision",),
}
"""Repairs that say more of the code than the numbers can, and the causes that they go before."""

SHOWN = 2
"""Repairs that are told beside one another where their names differ."""


def with_repairs(causes: tuple[Cause, ...], repairs: Sequence[Repair], i: int) -> tuple[Cause, ...]:
    """The causes of the wrong gradient of input i, with the edits that make it right."""
    fitting = [one for one in repairs if i in one.inputs]
    if not fitting:
        return causes
    fixes = {one.slug: one.fix for one in reversed(fitting)}
    known = tuple(replace(c, fix=fixes[c.slug]) if c.slug in fixes else c for c in causes)
    best, first = fitting[0], known[0] if known else None
    is_decided = best.slug in DECISIVE and first is not None and first.slug in DECISIVE[best.slug]
    is_vague = best.slug == "entries-wrong"
    if first is not None and (is_vague or first.score >= TRUSTED) and not is_decided:
        if first.fix is None:
            first = replace(first, fix=best.fix)
        slugs = {c.slug for c in known}
        second = [
            Cause(one.slug, first.score - STEP, MEANINGS[one.slug])
            for one in fitting[:SHOWN]
            if one.slug not in slugs
        ]
        return first, *second[:1], *known[1:]
    shown = [one for one in fitting if one.cost <= fitting[0].cost + 1][:SHOWN]
    proved = tuple(as_cause(one, rank, known) for rank, one in enumerate(shown))
    proved = tuple(sorted(widened(proved), key=lambda c: -c.score))
    slugs = {c.slug for c in proved}
    return proved + tuple(c for c in known if c.slug not in slugs and c.slug != "unrelated")


def as_cause(one: Repair, rank: int, known: tuple[Cause, ...]) -> Cause:
    """The cause that a repair shows, in the words of the recogniser that has found it, too."""
    score = PROVED - STEP * rank
    for other in known:
        if other.slug == one.slug:
            return replace(other, score=score, fix=one.fix)
    return Cause(one.slug, score, MEANINGS[one.slug], one.fix)


def led_by_relation(relations: tuple[Cause, ...], causes: tuple[Cause, ...]) -> tuple[Cause, ...]:
    """A backward that is not linear in dy is called that: a repair only adds the line."""
    fixes = {c.slug: c.fix for c in causes if c.fix is not None}
    relations = tuple(replace(c, fix=fixes.get(c.slug, c.fix)) for c in relations)
    first = causes[0] if causes else None
    is_of_cotangent = bool(relations) and relations[0].slug.startswith(COTANGENT)
    if first is None or first.score < PROVED - STEP or not is_of_cotangent:
        return relations
    if first.slug.startswith(COTANGENT):
        return relations
    score = max(relations[0].score, first.score)
    return replace(relations[0], score=score, fix=first.fix), *relations[1:]
