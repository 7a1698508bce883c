"""y = γ·x̂ + β with x̂ = (x − mean)·rstd over the batch, and layernorm beside it."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gradcheck.catalogue.case import (
    LARGE_NUMBERS,
    PLAIN,
    SINGLE,
    Bug,
    Formula,
    Function,
    Generator,
    Mistake,
    Setting,
    plant,
)

EPS = 1e-5

FOUR, MANY = Setting(4, 5, 1), Setting(64, 3, 1)
VERY_MANY = Setting(256, 2, 1)
WIDE = Setting(20, 12, 1)
NARROW_SPREAD = Setting(size=3e-3)
"""Here the variance is about as large as EPS, and so eps matters."""

NAMES = ("x", "gamma", "beta")
BATCH, FEATURES = 0, 1


def rstd_of(x: Any, eps: float = EPS, axis: int = BATCH, ddof: int = 0) -> Any:
    return 1 / np.sqrt(x.var(axis, keepdims=True, ddof=ddof) + eps)


def hat_of(x: Any, eps: float = EPS, axis: int = BATCH, ddof: int = 0) -> Any:
    return (x - x.mean(axis, keepdims=True)) * rstd_of(x, eps, axis, ddof)


def forward(x: Any, gamma: Any, beta: Any) -> Any:
    return gamma * hat_of(x) + beta


def backward(dy: Any, x: Any, gamma: Any, beta: Any) -> Any:
    """Dx = γ·rstd·(dy − mean(dy) − x̂·mean(dy·x̂)), dγ = Σₙ dy·x̂, dβ = Σₙ dy"""
    hat = hat_of(x)
    dx = gamma * rstd_of(x) * (dy - dy.mean(0) - hat * (dy * hat).mean(0))
    return dx, (dy * hat).sum(0), dy.sum(0)


def draw(rng: Generator, at: Setting) -> list[Any]:
    """γ and β away from one and zero: with those, mistakes hide."""
    gamma = rng.choice([-1.0, 1.0], at.inputs) * rng.uniform(0.5, 2.0, at.inputs)
    return [
        at.normal(rng, at.batch, at.inputs) + np.asarray(at.size, at.dtype),
        gamma.astype(at.dtype),
        at.plain(rng, at.inputs),
    ]


def draw_default(rng: Generator, at: Setting) -> list[Any]:
    """As a layer is initialised: γ = 1, β = 0."""
    x, gamma, beta = draw(rng, at)
    return [x, np.ones_like(gamma), np.zeros_like(beta)]


BATCHNORM = Formula("batchnorm", NAMES, forward, backward, draw)
DEFAULT = Formula("batchnorm", NAMES, forward, backward, draw_default)


def with_dx(formula: Function) -> Function:
    """Backward with another dx(dy, x̂, rstd, γ), everything else right."""

    def changed(dy: Any, x: Any, gamma: Any, beta: Any) -> Any:
        hat = hat_of(x)
        return formula(dy, hat, rstd_of(x), gamma), (dy * hat).sum(0), dy.sum(0)

    return changed


def with_statistics(eps: float = EPS, ddof: int = 0, axis: int = BATCH) -> Function:
    """Backward with another x̂ and rstd."""

    def changed(dy: Any, x: Any, gamma: Any, beta: Any) -> Any:
        hat, rstd = hat_of(x, eps, axis, ddof), rstd_of(x, eps, axis, ddof)
        dx = gamma * rstd * (dy - dy.mean(0) - hat * (dy * hat).mean(0))
        return dx, (dy * hat).sum(0), dy.sum(0)

    return changed


def eps_outside_the_root(dy: Any, x: Any, gamma: Any, beta: Any) -> Any:
    rstd = 1 / (x.std(0) + EPS)
    hat = (x - x.mean(0)) * rstd
    dx = gamma * rstd * (dy - dy.mean(0) - hat * (dy * hat).mean(0))
    return dx, (dy * hat).sum(0), dy.sum(0)


MEAN_MISSING = ("batchnorm-mean-term-missing",)
VARIANCE_MISSING = ("batchnorm-variance-term-missing",)
CONSTANT = ("batchnorm-statistics-constant",)
GAMMA_MISSING = ("batchnorm-gamma-missing",)
EPS_MISMATCH = ("batchnorm-eps-mismatch",)
TERMS = ("batchnorm-terms-wrong", *MEAN_MISSING)
UNBIASED = ("batchnorm-unbiased-variance",)

without_mean = with_dx(lambda dy, hat, rstd, gamma: (
    gamma * rstd * (dy - hat * (dy * hat).mean(0))))  # fmt: skip
without_variance = with_dx(lambda dy, hat, rstd, gamma: gamma * rstd * (dy - dy.mean(0)))
without_gamma = with_dx(lambda dy, hat, rstd, gamma: (
    rstd * (dy - dy.mean(0) - hat * (dy * hat).mean(0))))  # fmt: skip
extra_mean = with_dx(lambda dy, hat, rstd, gamma: (
    gamma * rstd * (dy - dy.mean(0) * (1 + 1 / len(dy)) - hat * (dy * hat).mean(0))))  # fmt: skip

MISTAKES = (
    Mistake("the mean term missing", MEAN_MISSING, without_mean,
            settings=(PLAIN, FOUR, MANY, SINGLE, LARGE_NUMBERS)),
    Mistake("an extra mean term that fades with the batch", TERMS, extra_mean,
            settings=(FOUR, PLAIN, MANY, VERY_MANY)),
    Mistake("the variance term missing", VARIANCE_MISSING, without_variance,
            settings=(PLAIN, FOUR, MANY, SINGLE)),
    Mistake("the variance term added", ("batchnorm-terms-wrong", *VARIANCE_MISSING),
            with_dx(lambda dy, hat, rstd, gamma: (
                gamma * rstd * (dy - dy.mean(0) + hat * (dy * hat).mean(0))))),
    Mistake("statistics as constants", CONSTANT,
            with_dx(lambda dy, hat, rstd, gamma: gamma * rstd * dy),
            settings=(PLAIN, MANY, SINGLE, WIDE)),
    Mistake("γ missing in dx", GAMMA_MISSING, without_gamma, settings=(PLAIN, MANY, SINGLE)),
    Mistake("γ missing and the mean term missing", (*GAMMA_MISSING, *MEAN_MISSING),
            with_dx(lambda dy, hat, rstd, gamma: rstd * (dy - hat * (dy * hat).mean(0)))),
    Mistake("rstd missing in dx", ("batchnorm-terms-wrong", "scaled-by-constant", "unrelated",
            "entries-wrong"),
            with_dx(lambda dy, hat, rstd, gamma: (
                gamma * (dy - dy.mean(0) - hat * (dy * hat).mean(0)))),
            settings=(Setting(12, 4, 1, size=3.0),)),
    Mistake("eps missing in backward", EPS_MISMATCH, with_statistics(eps=0.0),
            settings=(NARROW_SPREAD, PLAIN, Setting(16, 4, 1, size=0.1))),
    Mistake("eps ten times as large in backward", EPS_MISMATCH, with_statistics(eps=10 * EPS),
            settings=(PLAIN, NARROW_SPREAD)),
    Mistake("eps outside the root in backward", EPS_MISMATCH, eps_outside_the_root,
            settings=(NARROW_SPREAD, PLAIN)),
    Mistake("unbiased variance in backward", UNBIASED, with_statistics(ddof=1),
            settings=(PLAIN, FOUR, MANY, SINGLE)),
    Mistake("unbiased variance in forward", UNBIASED,
            forward=lambda x, gamma, beta: gamma * hat_of(x, ddof=1) + beta,
            settings=(PLAIN, WIDE)),
    Mistake("dγ and dβ in each other's place", ("swapped-gradients",),
            lambda dy, x, gamma, beta: (
                backward(dy, x, gamma, beta)[0], dy.sum(0), (dy * hat_of(x)).sum(0))),
    Mistake("dγ is the mean", ("divided-by-batch-twice",),
            lambda dy, x, gamma, beta: (
                backward(dy, x, gamma, beta)[0], (dy * hat_of(x)).mean(0), dy.sum(0)),
            settings=(PLAIN, WIDE)),
    Mistake("dγ is not summed", ("bias-not-summed",),
            lambda dy, x, gamma, beta: (
                backward(dy, x, gamma, beta)[0], dy * hat_of(x), dy.sum(0))),
    Mistake("dγ with x for x̂", ("batchnorm-parameter-gradient", "unrelated", "entries-wrong",
            "swapped-gradients"),
            lambda dy, x, gamma, beta: (
                backward(dy, x, gamma, beta)[0], (dy * x).sum(0), dy.sum(0))),
    Mistake("dx of the wrong sign", ("sign-flipped",),
            lambda dy, x, gamma, beta: (
                -backward(dy, x, gamma, beta)[0], (dy * hat_of(x)).sum(0), dy.sum(0))),
    Mistake("backward in float32", ("reduced-precision",),
            lambda dy, x, gamma, beta: tuple(g.astype("f8") for g in backward(
                *(a.astype("f4") for a in (dy, x, gamma, beta))))),
)  # fmt: skip

HIDDEN = (
    Mistake("γ missing in dx, γ = 1", GAMMA_MISSING, without_gamma, settings=(PLAIN, MANY)),
    Mistake("the mean term missing, γ = 1", MEAN_MISSING, without_mean),
)


# ---------------------------------------------------------------- with running statistics


def draw_running(rng: Generator, at: Setting) -> list[Any]:
    return [*draw(rng, at), at.plain(rng, at.inputs), np.exp(at.plain(rng, at.inputs))]


def evaluate(x: Any, gamma: Any, beta: Any, mean: Any, variance: Any) -> Any:
    return gamma * (x - mean) / np.sqrt(variance + EPS) + beta


def evaluate_backward(dy: Any, x: Any, gamma: Any, beta: Any, mean: Any, variance: Any) -> Any:
    rstd = 1 / np.sqrt(variance + EPS)
    return gamma * rstd * dy, (dy * (x - mean) * rstd).sum(0), dy.sum(0), None, None


def trained_backward(dy: Any, x: Any, gamma: Any, beta: Any, mean: Any, variance: Any) -> Any:
    """The formula of training where running statistics were used."""
    return (*backward(dy, x, gamma, beta), None, None)


def terms_backward(dy: Any, x: Any, gamma: Any, beta: Any, mean: Any, variance: Any) -> Any:
    """The same, with the running statistics: its two terms are too many."""
    rstd = 1 / np.sqrt(variance + EPS)
    hat = (x - mean) * rstd
    dx = gamma * rstd * (dy - dy.mean(0) - hat * (dy * hat).mean(0))
    return dx, (dy * hat).sum(0), dy.sum(0), None, None


EVALUATION = Formula(
    "batchnorm", (*NAMES, "mean", "variance"), evaluate, evaluate_backward, draw_running
)
MODE = ("batchnorm-mode-confused",)
EVALUATION_MISTAKES = (
    Mistake("backward of training in evaluation", MODE, trained_backward,
            settings=(PLAIN, MANY)),
    Mistake("terms of training in evaluation", MODE, terms_backward, settings=(PLAIN, SINGLE)),
)  # fmt: skip


# ---------------------------------------------------------------- variance by cancellation


def cancelling(x: Any, gamma: Any, beta: Any) -> Any:
    """E[x²] − E[x]² has lost the digits that both share."""
    variance = (x * x).mean(0) - x.mean(0) ** 2
    return gamma * (x - x.mean(0)) / np.sqrt(variance + EPS) + beta


def cancelling_backward(dy: Any, x: Any, gamma: Any, beta: Any) -> Any:
    rstd = 1 / np.sqrt((x * x).mean(0) - x.mean(0) ** 2 + EPS)
    hat = (x - x.mean(0)) * rstd
    dx = gamma * rstd * (dy - dy.mean(0) - hat * (dy * hat).mean(0))
    return dx, (dy * hat).sum(0), dy.sum(0)


def far_from_zero(mean: float) -> Callable[[Generator, Setting], list[Any]]:
    def drawn(rng: Generator, at: Setting) -> list[Any]:
        x, gamma, beta = draw(rng, at)
        return [x + np.asarray(mean, at.dtype), gamma, beta]

    return drawn


CANCELLING = Formula("batchnorm", NAMES, cancelling, cancelling_backward, far_from_zero(3e6))
CANCELLING_MISTAKES = (Mistake("variance as E[x²] − E[x]² far from zero", ("reduced-precision",)),)


# ---------------------------------------------------------------- layernorm


def layernorm(x: Any, gamma: Any, beta: Any) -> Any:
    return gamma * hat_of(x, axis=FEATURES) + beta


def layernorm_backward(dy: Any, x: Any, gamma: Any, beta: Any) -> Any:
    """Dx = rstd·(dx̂ − mean(dx̂) − x̂·mean(dx̂·x̂)), over the features, with dx̂ = dy·γ"""
    hat, dhat = hat_of(x, axis=FEATURES), dy * gamma
    terms = dhat - across(dhat) - hat * across(dhat * hat)
    return rstd_of(x, axis=FEATURES) * terms, (dy * hat).sum(0), dy.sum(0)


def across(array: Any) -> Any:
    return array.mean(FEATURES, keepdims=True)


def layernorm_with(formula: Function) -> Function:
    """Backward with another dx(dx̂, x̂, rstd, γ)."""

    def changed(dy: Any, x: Any, gamma: Any, beta: Any) -> Any:
        hat = hat_of(x, axis=FEATURES)
        dx = formula(dy * gamma, hat, rstd_of(x, axis=FEATURES), gamma)
        return dx, (dy * hat).sum(0), dy.sum(0)

    return changed


LAYERNORM = Formula("layernorm", NAMES, layernorm, layernorm_backward, draw)
LAYERNORM_MISTAKES = (
    Mistake("the mean term missing", MEAN_MISSING,
            layernorm_with(lambda dhat, hat, rstd, gamma: rstd * (dhat - hat * across(dhat * hat))),
            settings=(PLAIN, WIDE)),
    Mistake("the variance term missing", VARIANCE_MISSING,
            layernorm_with(lambda dhat, hat, rstd, gamma: rstd * (dhat - across(dhat))),
            settings=(PLAIN, WIDE)),
    Mistake("statistics as constants", CONSTANT,
            layernorm_with(lambda dhat, hat, rstd, gamma: rstd * dhat)),
    Mistake("γ missing in dx", GAMMA_MISSING,
            layernorm_with(lambda dhat, hat, rstd, gamma: rstd * (
                dhat / gamma - across(dhat / gamma) - hat * across(dhat / gamma * hat)))),
    Mistake("γ last instead of first", ("unrelated", *GAMMA_MISSING),
            layernorm_with(lambda dhat, hat, rstd, gamma: gamma * rstd * (
                dhat / gamma - across(dhat / gamma) - hat * across(dhat / gamma * hat)))),
)  # fmt: skip


def bugs() -> Iterator[Bug]:
    yield from plant(BATCHNORM, MISTAKES)
    yield from plant(DEFAULT, HIDDEN)
    yield from plant(EVALUATION, EVALUATION_MISTAKES)
    yield from plant(CANCELLING, CANCELLING_MISTAKES)
    yield from plant(LAYERNORM, LAYERNORM_MISTAKES)
