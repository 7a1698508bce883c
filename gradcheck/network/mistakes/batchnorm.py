"""Mistakes in batchnorm's backward."""

from collections.abc import Iterator, Mapping

import numpy as np

from gradcheck.network.mistakes.scene import Guess, Scene, mistake
from gradcheck.network.replay import EPSILONS, BatchNormStep

Array = np.ndarray

LARGE = (1e-4, 1e-2, 1e-1)
"""Values of eps that a backward may have by mistake, beside those of a forward."""


def batchnorm_paths(step: BatchNormStep, delta: Array, scene: Scene) -> Iterator[Guess]:
    """Gradients that a wrong batchnorm passes on."""
    place = f"{step.place}.dx"
    count, hat, rstd = len(step.x), step.hat, step.rstd
    d = delta * step.gamma
    with np.errstate(all="ignore"):
        for slug, fields, value in statistics(step, d):
            yield Guess(mistake(slug, place, **fields), value)
        yield Guess(mistake("batchnorm-gamma-missing", place), step.backward(delta / step.gamma))
        yield Guess(
            mistake("batchnorm-gamma-missing", place),
            rstd * (d - delta.mean(axis=0) - hat * (delta * hat).mean(axis=0)),
        )
        yield Guess(mistake("batchnorm-formula", place, detail="γ is applied twice"),
                    step.backward(d))  # fmt: skip
        yield Guess(mistake("batchnorm-formula", place, detail="1/√(var + eps) is missing"),
                    step.backward(delta) / rstd)  # fmt: skip
        yield Guess(mistake("batchnorm-formula", place, detail="1/√(var + eps) is applied twice"),
                    step.backward(delta) * rstd)  # fmt: skip
        yield Guess(mistake("batchnorm-skipped", place), delta)
        yield Guess(mistake("batchnorm-skipped", place), d)
    for early in scene.earlier_steps(step.place):
        if early.x.shape != step.x.shape:
            continue
        detail = "x̂ and rstd of the batch before"
        yield Guess(mistake("stale-cache", place, detail=detail), early.backward(delta))
    detail = "the means over the batch are sums"
    sums = rstd * (d - d.sum(axis=0) - hat * (d * hat).sum(axis=0))
    yield Guess(mistake("batchnorm-formula", place, detail=detail), sums)
    other = rstd * (d - d.mean(axis=1, keepdims=True) - hat * (d * hat).mean(axis=1, keepdims=True))
    over = mistake("statistics-wrong-axis", place, detail="the features, not over the batch")
    yield Guess(over, other)
    unbiased = count - 1 if not step.form.ddof else count
    yield Guess(
        mistake("batchnorm-unbiased-variance", place),
        rstd * (d - d.mean(axis=0) - hat * (d * hat).sum(axis=0) / unbiased),
    )


def statistics(step: BatchNormStep, d: Array) -> Iterator[tuple[str, Mapping[str, object], Array]]:
    """Terms of the mean and of the variance left out, or of another variance."""
    hat, rstd, count = step.hat, step.rstd, len(step.x)
    mean, spread = d.mean(axis=0), hat * (d * hat).mean(axis=0)
    yield "batchnorm-mean-term-missing", {}, rstd * (d - spread)
    yield "batchnorm-variance-term-missing", {}, rstd * (d - mean)
    yield "batchnorm-statistics-constant", {}, rstd * d
    flipped = {"detail": "it has the wrong sign"}
    yield "batchnorm-mean-term-wrong", flipped, rstd * (d + mean - spread)
    summed = {"detail": "it is a sum, where a mean belongs"}
    yield "batchnorm-mean-term-wrong", summed, rstd * (d - count * mean - spread)
    for detail, value in (
        ("it has the wrong sign", d - mean + spread),
        ("it lacks x̂", d - mean - (d * hat).mean(axis=0)),
        ("it is taken twice", d - mean - 2 * spread),
        ("it is a sum, where a mean belongs", d - mean - count * spread),
        ("it is halved", d - mean - spread / 2),
        ("it has z − mean for x̂", d - mean - spread / rstd),
        ("it has one rstd too many", d - mean - spread * rstd),
        ("it has rstd² too few", d - mean - spread / rstd**2),
        ("it has z for x̂", d - mean - step.x * (d * step.x).mean(axis=0)),
        ("it has y for x̂", d - mean - step.y * (d * step.y).mean(axis=0)),
    ):
        yield "batchnorm-variance-term-wrong", {"detail": detail}, rstd * value
    yield from other_variances(step, d, count)


def other_variances(
    step: BatchNormStep, d: Array, count: int
) -> Iterator[tuple[str, Mapping[str, object], Array]]:
    """The formula with x̂ and rstd of another variance than forward's."""
    centred, biased = step.x - step.x.mean(axis=0), step.x.var(axis=0)
    used = 1 / step.rstd**2 - step.var
    variants: list[tuple[str, Mapping[str, object], Array]]
    variants = [("batchnorm-unbiased-variance", {}, biased * count / max(count - 1, 1) + used),
                ("batchnorm-unbiased-variance", {}, biased + used)]  # fmt: skip
    variants += [("batchnorm-eps-mismatch", {"detail": f"{eps:g}"}, step.var + eps)
                 for eps in (*EPSILONS, *LARGE)]  # fmt: skip
    for slug, fields, variance in variants:
        rstd = 1 / np.sqrt(variance)
        for hat in (centred * rstd, step.hat):
            value = rstd * (d - d.mean(axis=0) - hat * (d * hat).mean(axis=0))
            yield slug, dict(fields), value
    # One extra term, −2·mean(x − mean), which is zero, is no mistake and so not here.
    ratio = {"detail": "rstd is 1/(var + eps), without the root"}
    yield (
        "batchnorm-formula",
        ratio,
        step.rstd**2 * (d - d.mean(axis=0) - step.hat * (d * step.hat).mean(axis=0)),
    )


def batchnorm_arrays(
    step: BatchNormStep, letter: str, delta: Array, scene: Scene
) -> Iterator[Guess]:
    """Wrong dγ and dβ."""
    place, shape = f"{step.place}.d{letter}", step.gamma.shape
    if not step.form.has_affine:
        value = delta * step.hat if letter == "gamma" else delta
        detail = "forward leaves γ and β out, so that their gradients are zero"
        found = value.sum(axis=0).reshape(shape)
        yield Guess(mistake("batchnorm-formula", place, detail=detail), found)
    if letter == "gamma":
        for detail, value in (
            ("dγ = Σ δ·z, where x̂ is meant", step.x),
            ("dγ = Σ δ·y, where x̂ is meant", step.y),
            ("dγ = Σ δ·(z − mean), where x̂ is meant", step.x - step.x.mean(axis=0)),
            ("dγ = Σ δ·x̂·γ: γ does not belong there", step.hat * step.gamma),
            ("dγ = Σ δ·γ", np.broadcast_to(step.gamma, step.x.shape)),
            ("dγ = Σ δ: x̂ is missing", np.ones(step.x.shape)),
        ):
            found = (delta * value).sum(axis=0).reshape(shape)
            yield Guess(mistake("batchnorm-parameter-gradient", place, detail=detail), found)
    else:
        for detail, value in (
            ("dβ = Σ δ·x̂: that is dγ", step.hat),
            ("dβ = Σ δ·γ: γ does not belong there", np.broadcast_to(step.gamma, step.x.shape)),
        ):
            found = (delta * value).sum(axis=0).reshape(shape)
            yield Guess(mistake("batchnorm-parameter-gradient", place, detail=detail), found)
    product = delta * step.hat if letter == "gamma" else delta
    yield Guess(
        mistake("bias-not-summed", place, name=letter, detail="all samples are kept apart"), product
    )
