"""Losses and softmaxes: what backward forgot of the loss that forward is."""

from collections.abc import Callable, Iterator

import numpy as np

from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.experiments import analytic_of
from gradcheck.diagnose.loss_identify import Known, found_in, target_choices
from gradcheck.diagnose.losses import LOSSES, Loss, Wrong, softmax
from gradcheck.diagnose.replay import explained, match, scenes, wide
from gradcheck.diagnose.source import Source
from gradcheck.verdict import Cause

Array = np.ndarray

EXACT = 0.9
"""What a formula must explain that is off by a factor as well: nearly any fits a little."""

PARTLY = 0.5
"""Of the score of a formula that explains less than that: a plain factor goes before it."""

BOTH_EXACT = 1e-4
"""Relative: how near what is off must be to a decay."""

FEWEST = 4
"""Entries at least, of which some are flat and some are not."""

FLAT = 1e-12
"""Relative to the largest entry: a slope below this is none."""

SEEN = 1e-9
"""Relative to the largest entry: a gradient below this would not be missed where p is clipped."""

AS_GOOD = 0.98
"""The match of targets that are missing from a loss without a name."""

HALF = 0.5

UNEXPLAINED = 0.55
"""The score of saying no more than which loss forward is."""


def losses(evidence: Evidence, i: int) -> Iterator[Cause]:
    """The gradient of a loss against every wrong one that is known."""
    if evidence.analytic[i] is None:
        return
    known = found_in(evidence)
    if known is None or not known.loss.wrong:
        return
    with np.errstate(all="ignore"):
        yield from unshifted(evidence, known, i)
        best = 0.0
        for wrong in known.loss.wrong:
            score = score_of(evidence, known, i, wrong.gradient)
            best = max(best, score)
            yield cause(wrong.slug, score if score >= EXACT else PARTLY * score, **wrong.fields)
        yield from clipped(evidence, known, i)
        yield from smoothed_otherwise(evidence, known, i)
        if best < 1 and known.targets is not None:
            yield from rescaled(evidence, known, i)
        if best == 0:
            detail = f"forward is {known.scale:.4g} times {known.loss.name}; no known slip fits"
            yield cause("gradient-of-another-loss", UNEXPLAINED, detail=detail)


def smoothed_otherwise(evidence: Evidence, known: Known, i: int) -> Iterator[Cause]:
    """p − ((1 − a)·y + a/k) for an a that is not that of forward; how far off says which."""
    scene = scenes(evidence)[0]
    if known.loss.name != LOSSES[0].name or known.targets is None or scene.gradients[i] is None:
        return
    classes = known.source.value(scene.inputs).shape[-1]

    def mixed(a: float) -> Callable[[Array, Array], Array]:
        return lambda z, t: softmax(z) - ((1 - a) * t + a / classes)

    right, even = known.at(scene, mixed(0.0), i), known.at(scene, mixed(1.0), i)
    found = wide(scene.gradients[i])
    if right is None or even is None or found.shape != right.shape:
        return
    change, off = (even - right).ravel(), (found - right).ravel()
    amount = float(off @ change) / float(change @ change) if change.any() else 0.0
    if amount and np.isfinite(amount):
        yield cause("label-smoothing-mismatch", score_of(evidence, known, i, mixed(amount)))


def score_of(
    evidence: Evidence,
    known: Known,
    i: int,
    gradient: Callable[[Array, Array], Array],
    carried: Known | None = None,
) -> float:
    """How well a gradient of the loss explains, carried to the input as forward has it, or else."""
    return match(
        evidence,
        i,
        lambda scene: (carried or known).at(scene, gradient, i),
        lambda scene: known.at(scene, known.loss.gradient, i),
        lambda scene: known.noise(scene, i),
    )


def rescaled(evidence: Evidence, known: Known, i: int) -> Iterator[Cause]:
    """A wrong formula that is also off by the batch, the classes, both, or its sign."""
    shape = known.source.value(evidence.inputs).shape
    rows, classes = int(np.prod(shape[:-1])), shape[-1]
    for factor in {rows, classes, rows * classes, 2} - {1}:
        for c in (factor, 1 / factor, -1):
            for wrong in known.loss.wrong:
                if is_right_here(evidence, known, wrong, i):
                    continue  # scaled, this is a factor of the right one and nothing else

                def gradient(z: Array, t: Array, wrong: Wrong = wrong, c: float = c) -> Array:
                    return c * wrong.gradient(z, t)

                score = score_of(evidence, known, i, gradient)
                if score > EXACT:
                    yield cause(wrong.slug, 0.97 * score, **wrong.fields)


def is_right_here(evidence: Evidence, known: Known, wrong: Wrong, i: int) -> bool:
    scene = scenes(evidence)[0]
    right, other = known.at(scene, known.loss.gradient, i), known.at(scene, wrong.gradient, i)
    if right is None or other is None:
        return True
    return bool(np.linalg.norm(other - right) <= 3 * known.noise(scene, i))


def unshifted(evidence: Evidence, known: Known, i: int) -> Iterator[Cause]:
    """Not finite where exp overflows, and nowhere else."""
    analytic = evidence.analytic[i]
    if np.isfinite(analytic).all():
        return
    z = known.source.value(evidence.inputs)
    dtype = analytic.dtype if analytic.dtype.kind == "f" else np.dtype(np.float64)
    if abs(z).max(initial=0) > np.log(np.finfo(dtype).max):
        yield cause("max-shift-missing")


def clipped(evidence: Evidence, known: Known, i: int) -> Iterator[Cause]:
    """p − y with p clipped; the limit is read off the entries that are wrong."""
    taken = scenes(evidence)[0]
    if known.loss.takes != "any" or known.source.w is not None or taken.gradients[i] is None:
        for limit in CLIPS if known.loss.takes == "probabilities" else ():
            yield from limited(evidence, known, i, limit)
        return
    right = known.at(taken, known.loss.gradient, i)
    one = known.at(taken, lambda z, t: np.ones(z.shape), i)
    found = taken.gradients[i]
    if right is None or one is None or found.shape != right.shape or not one.all():
        return
    off = (wide(found) - right) / one
    wrong = abs(off) > 1e-9
    p = probabilities(known, known.source.value(taken.inputs))
    if p is None or not wrong.any():
        return
    q = (p + off)[wrong]
    limit = float(np.median(np.minimum(q, 1 - q)))
    if 0 < limit < 0.5 and abs(np.minimum(q, 1 - q) - limit).max() <= 1e-6 * limit + 1e-9:
        yield from limited(evidence, known, i, limit)


CLIPS = tuple(10.0**-k for k in range(1, 16))


def probabilities(known: Known, z: Array) -> Array | None:
    if known.loss.name.startswith("binary"):
        return np.asarray(0.5 * (1 + np.tanh(z / 2)))
    return softmax(z) if known.loss.wrong[0].slug == "one-hot-not-subtracted" else None


def limited(evidence: Evidence, known: Known, i: int, limit: float) -> Iterator[Cause]:
    """The gradient with probabilities kept away from 0 and 1."""

    def bounded(low: float, high: float) -> Callable[[Array, Array], Array]:
        def gradient(z: Array, t: Array) -> Array:
            p = z if known.loss.takes == "probabilities" else probabilities(known, z)
            assert p is not None
            kept = np.clip(p, low, high)
            return known.loss.gradient(kept, t) if p is z else kept - t

        return gradient

    def added(z: Array, t: Array) -> Array:
        return known.loss.gradient(z + limit, t)

    for low, high, detail in (
        (limit, 1 - limit, f"at {limit:.3g}"),
        (limit, np.inf, f"from below, at {limit:.3g}"),
        (-np.inf, 1 - limit, f"from above, at {1 - limit:.3g}"),
    ):
        score = score_of(evidence, known, i, bounded(low, high))
        yield cause("probability-clipped", score, detail=detail)
    if known.loss.takes == "probabilities":
        score = score_of(evidence, known, i, added)
        yield cause("probability-clipped", score, detail=f"{limit:.3g} is added")


def flat_where_clipped(evidence: Evidence, i: int) -> Iterator[Cause]:
    """p is clipped in forward only: the loss is flat there, and backward is that of p itself."""
    x, known = evidence.inputs[i], evidence.measured(i)
    if analytic_of(evidence, i) is None or x.ndim == 0 or known.sum() < FEWEST:
        return
    analytic, numeric = wide(evidence.analytic[i]), np.where(known, evidence.numeric[i], 0.0)
    bars = np.nan_to_num(evidence.error_bars[i])
    is_flat = known & (abs(numeric) <= bars + FLAT * evidence.scale(i))
    for targets in target_choices(evidence.inputs, Source(i), wide(x)):
        z, t = wide(x), targets(evidence.inputs)
        for loss in (one for one in LOSSES if one.takes == "any" or (z.min() > 0 and z.max() < 1)):
            p = of_target(loss, z, t)
            if p is None:
                continue
            with np.errstate(all="ignore"):
                gradient = loss.gradient(z, t)
            is_whole = not loss.name.startswith("binary")  # a row is flat as a whole, or not
            flat = np.broadcast_to(is_flat.all(-1, keepdims=True), z.shape) if is_whole else is_flat
            steep = known & ~flat
            if not is_multiple(analytic, gradient, steep & np.isfinite(gradient)):
                continue
            wrong, right = p[flat & (abs(analytic) > SEEN * evidence.scale(i))], p[steep]
            if len(wrong) and len(right) and wrong.max() < right.min():
                detail = f"in forward, between {wrong.max():.2g} and {right.min():.2g}"
                yield cause("probability-clipped", detail=detail)
                return


def targets_left_out(evidence: Evidence, i: int) -> Iterator[Cause]:
    """What the gradient is off by is a multiple of the targets, row by row of the cotangent."""
    x, known = evidence.inputs[i], evidence.measured(i)
    if analytic_of(evidence, i) is None or not known.all() or x.ndim == 0 or x.size < FEWEST:
        return
    if len(evidence.outputs) != 1 or evidence.outputs[0].size >= x.size:
        return
    weights = wide(evidence.cotangents[0])
    if weights.shape != x.shape[: weights.ndim] or not weights.all():
        return
    weights = weights.reshape(weights.shape + (1,) * (x.ndim - weights.ndim))
    off = (wide(evidence.analytic[i]) - evidence.numeric[i]) / weights
    for targets in target_choices(evidence.inputs, Source(i), wide(x)):
        t = targets(evidence.inputs)
        size = float((t * t).sum())
        if t.shape != off.shape or not size or np.ptp(t) == 0:
            continue
        factor = float((off * t).sum()) / size
        if factor and abs(off - factor * t).max() <= BOTH_EXACT * abs(off).max():
            formula = f"what is off is {factor:.4g} times them"
            yield cause("one-hot-not-subtracted", AS_GOOD, formula=formula)
            return


def of_target(loss: Loss, z: Array, t: Array) -> Array | None:
    """The probability of what is the case, for each entry; None for a loss without any."""
    if loss.name.startswith("binary"):
        p = z if loss.takes == "probabilities" else 0.5 * (1 + np.tanh(z / 2))
        return np.asarray(np.where(t > HALF, p, 1 - p))
    if loss.takes == "probabilities":
        return z
    if loss.wrong[0].slug != "one-hot-not-subtracted" or not z.shape[-1] > 1:
        return None
    return np.asarray(np.broadcast_to((softmax(z) * t).sum(axis=-1, keepdims=True), z.shape))


def is_multiple(analytic: Array, gradient: Array, where: Array) -> bool:
    """Whether one is the other times a constant there."""
    a, g = analytic[where], gradient[where]
    norm = float(g @ g)
    factor = float(a @ g) / norm if norm else 0.0
    return bool(factor) and bool(abs(a - factor * g).max() <= BOTH_EXACT * abs(a).max())


# ---------------------------------------------------------------------- further


def decay(evidence: Evidence, i: int) -> Iterator[Cause]:
    """a − n is proportional to w, or to its signs: a decay is in one of loss and gradient."""
    x, known = evidence.inputs[i], evidence.measured(i)
    if evidence.analytic[i] is None or evidence.analytic[i].shape != known.shape:
        return
    if known.sum() < 3 or is_multiplied(evidence, i):
        return
    analytic, numeric = wide(evidence.analytic[i])[known], evidence.numeric[i][known]
    off = analytic - numeric
    for w, title in ((wide(x)[known], "w"), (np.sign(wide(x)[known]), "sign(w)")):
        size = float(w @ w)
        rate = float(off @ w) / size if size else 0.0
        if not rate or abs(off - rate * w).max() > 1e-4 * abs(off).max():
            continue
        if spans(w, analytic) or spans(w, numeric):
            continue  # a factor of the whole gradient, or a term that is missing in w·something
        sign = "missing in the gradient" if rate * 1 < 0 else "in the gradient, not in the loss"
        detail = f"{sign}: {abs(rate):.4g}·{title}"
        score = explained(analytic, numeric + rate * w, numeric, 1e-6 * evidence.scale(i))
        yield cause("weight-decay-mismatch", score, detail=detail)


def is_multiplied(evidence: Evidence, i: int) -> bool:
    """Whether all of the gradient goes with a cotangent of many entries, which no decay does."""
    if evidence.is_fixed or sum(y.size for y in evidence.outputs) == 1:
        return False
    answer = evidence.gradients_at([np.zeros_like(c) for c in evidence.cotangents])
    return answer is not None and answer[i] is not None and not np.any(answer[i])


def other_decay(evidence: Evidence, i: int) -> Iterator[Cause]:
    """a − n = r·w + s·sign(w): one decay in the loss, the other in the gradient."""
    known = evidence.measured(i)
    if evidence.analytic[i] is None or evidence.analytic[i].shape != known.shape:
        return
    w = wide(evidence.inputs[i])[known]
    if len(w) < 4 or np.ptp(abs(w)) < 1e-3 * abs(w).max() or is_multiplied(evidence, i):
        return
    analytic, numeric = wide(evidence.analytic[i])[known], evidence.numeric[i][known]
    if not np.isfinite(analytic).all():
        return
    off, terms = analytic - numeric, np.stack([w, np.sign(w)], axis=1)
    for gradient in (analytic, numeric):
        if abs(fitted(terms, gradient) - gradient).max() <= BOTH_EXACT * abs(gradient).max():
            return  # nothing but such terms: a function of w, not a decay
    rates = np.linalg.lstsq(terms, off, rcond=None)[0]
    if abs(terms @ rates - off).max() > BOTH_EXACT * abs(off).max() or rates[0] * rates[1] >= 0:
        return
    mine, theirs = ("w", "sign(w)") if rates[0] > 0 else ("sign(w)", "w")
    detail = f"{max(rates):.4g}·{mine} in the gradient, {-min(rates):.4g}·{theirs} in the loss"
    yield cause("weight-decay-mismatch", 0.99, detail=detail)


def fitted(terms: Array, values: Array) -> Array:
    return np.asarray(terms @ np.linalg.lstsq(terms, values, rcond=None)[0])


def spans(w: Array, gradient: Array) -> bool:
    """Whether the gradient itself is a multiple of w."""
    rate = float(gradient @ w) / float(w @ w)
    return bool(abs(gradient - rate * w).max() <= 1e-3 * abs(gradient).max())


def huber(evidence: Evidence, i: int) -> Iterator[Cause]:
    """Right up to a limit of |z − y| or beyond it only: by where the gradient saturates."""
    known, x = evidence.measured(i), evidence.inputs[i]
    others = [wide(a) for k, a in enumerate(evidence.inputs) if k != i and np.shape(a) == x.shape]
    if evidence.analytic[i] is None or evidence.analytic[i].shape != x.shape or known.sum() < 4:
        return
    for t in others:
        bend = saturating((wide(x) - t)[known], evidence.numeric[i][known])
        if bend is None:
            continue
        (slope, limit), e = bend, wide(x) - t
        top = abs(slope) * limit
        there = f"|z − y| > {limit:.4g}, where the slope is constant"
        here = f"|z − y| < {limit:.4g}, where the slope is proportional to z − y"
        for gradient, region in (
            (slope * e, there),
            (top * np.sign(slope * e), here),
            (np.clip(slope * e, -abs(slope), abs(slope)), there),
            (np.where(abs(e) > limit, np.sign(slope * e), slope * e), there),
        ):
            score = evidence.explains(i, np.asarray(gradient))
            yield cause("region-wrong", min(1.0, 1.4 * score), region=region)


def saturating(e: Array, n: Array) -> tuple[float, float] | None:
    """The slope of n = slope·e, and the |e| from which on n stays as it is."""
    top = abs(n).max(initial=0)
    flat = abs(abs(n) - top) <= 1e-6 * top
    if not 1 < flat.sum() < n.size or not (e[~flat] @ e[~flat]):
        return None
    slope = float((n[~flat] @ e[~flat]) / (e[~flat] @ e[~flat]))
    is_straight = abs(n - slope * e)[~flat].max(initial=0) <= 1e-5 * top
    if not slope or not is_straight or abs(e[flat]).min() < abs(e[~flat]).max():
        return None
    return slope, float(top / abs(slope))


RECOGNISERS: tuple[Callable[..., Iterator[Cause]], ...] = (
    losses,
    flat_where_clipped,
    targets_left_out,
    decay,
    other_decay,
    huber,
)
