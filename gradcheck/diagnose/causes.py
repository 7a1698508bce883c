"""The table of causes: slug, what to say of it, how specific it is.

`sentence` may name fields in braces, which the recogniser fills in. `weight` ranks causes
that explain the numbers equally well: a mechanism that names a line of code goes before a
pattern that only describes the numbers. `wider` are the causes that this one is a case of: they are
told as well.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gradcheck.verdict import Cause


@dataclass(frozen=True)
class Row:
    sentence: str
    weight: float = 0.8
    is_convention: bool = False
    wider: tuple[str, ...] = ()


CAUSES: dict[str, Row] = {
    # ------------------------------------------------------------------ scale and sign
    "sign-flipped": Row("every entry has the wrong sign: −({formula}) instead of {formula}", 0.8),
    "scaled-by-batch": Row(
        "every entry is {factor} times the right one, the batch size {n}: divide by {n}, "
        "where the loss is a mean",
        0.75,
    ),
    "divided-by-batch-twice": Row(
        "every entry is 1/{n} of the right one: the mean over the batch is taken twice, "
        "once in the loss and once more",
        0.75,
    ),
    "scaled-by-constant": Row("every entry is {factor:.6g} times the right one{detail}", 0.5),
    "scaled-along-axis": Row(
        "every entry is the right one times a factor that depends on its index along axis {axis} "
        "only: {factors} …",
        0.45,
    ),
    "batch-scale": Row(
        "the gradient of {name} is {what} over the batch, relative to that of the others",
        0.4,
        is_convention=True,
    ),
    # ------------------------------------------------------------------ arrangement
    "transposed": Row(
        "d{name} is the transpose of the right one; the gradient has the shape of {name}: for "
        "y = x·w it is dw = xᵀ·dy",
        0.85,
    ),
    "permuted": Row("the right numbers in the wrong places: {detail}", 0.75),
    "wrong-shape": Row("the right numbers in shape {found}, expected {expected}", 0.85),
    "jacobian-not-transposed": Row(
        "forward's own map was applied to dy, J·dy; backward is its transpose, Jᵀ·dy (a sum "
        "from the start goes back as a sum from the end, a shift as the opposite shift)",
        0.86,
        wider=("transposed",),
    ),
    "jacobian-diagonal-only": Row(
        "d{name} = {what} counts each output's own entry only, but an output depends on "
        "other entries of {name} as well: sum over all outputs",
        0.85,
    ),
    "swapped-gradients": Row(
        "this is the gradient of {other}: two gradients are returned in each other's place", 0.85
    ),
    "wrong-weights": Row(
        "d{x} is dy times other weights than forward used ({detail}): d{x} = dy·{w}ᵀ, with the "
        "{w} of the forward pass",
        0.87,
    ),
    "wrong-product": Row(
        "this is {given}; the gradient is {right}", 0.8, wider=("wrong-weights",)
    ),
    # ------------------------------------------------------------------ activations
    "activation-derivative-missing": Row(
        "the derivative of the activation is missing: d{name} is formed from dy, where "
        "dz = dy·φ'(z) belongs{detail}",
        0.85,
    ),
    "activation-derivative-at-output": Row(
        "φ' is taken at the output y instead of the input: dz = dy·φ'(z), not dy·φ'(y){detail}",
        0.86,
    ),
    "output-formula-at-input": Row(
        "{found} is the derivative written for the output, but x was put in: it is {right}",
        0.855,
        wider=("activation-derivative-at-output",),
    ),
    "wrong-function-derivative": Row("this is {given}, the gradient is {right}", 0.7),
    "power-rule": Row(
        "the exponent is off: the derivative falls and grows as |x|^{right}, this one as "
        "|x|^{given}; (xⁿ)' = n·xⁿ⁻¹, here n = {n}",
        0.82,
    ),
    "chain-rule-factor-missing": Row(
        "the factor {factor} {what}: (f(g(x)))' = f'(g(x))·g'(x)", 0.78
    ),
    "product-rule-term-missing": Row(
        "only {kept} is there, for u = {u}: (u·v)' = u'·v + u·v'",
        0.84,
        wider=("gradient-stops",),
    ),
    "path-missing": Row(
        "{name} reaches y in two ways ({how}), and the gradient of one of them is missing: add "
        "both",
        0.84,
        wider=("gradient-stops",),
    ),
    "region-wrong": Row("right only on part of the domain: wrong where {region}", 0.72),
    "kink-convention": Row(
        "at a kink, where the derivative is a choice: slopes {low:.6g} and {high:.6g}, this "
        "takes {taken:.6g}",
        0.5,
        is_convention=True,
    ),
    "dead-unit": Row(
        "{count} of {total} units{place} are zero for every sample: nothing can be learned "
        "there, and nothing checked",
        0.4,
        is_convention=True,
    ),
    # ------------------------------------------------------------------ the cotangent
    "cotangent-masked": Row(
        "entries of dy with one sign are dropped{detail}: the mask belongs on x, dx = dy·(x > 0), "
        "not on dy",
        0.85,
    ),
    "cotangent-clipped": Row(
        "large {what} are {how} (at about {limit:.3g}): a backward is linear in dy", 0.85
    ),
    "cotangent-ignored": Row(
        "the gradient does not depend on dy: multiply by the gradient that comes from above", 0.85
    ),
    "term-without-cotangent": Row(
        "a term that does not depend on dy is added ({detail}): everything in a backward is "
        "multiplied by dy, and for dy = 0 there is nothing left",
        0.8,
    ),
    "cotangent-nonlinear": Row("the gradient is not linear in dy: {detail}", 0.5),
    # ------------------------------------------------------------------ sums over the batch
    "bias-not-summed": Row(
        "d{name} is not summed over the batch ({detail}): d{name} = Σₙ dy, dy.sum(axis=0)", 0.85
    ),
    "bias-wrong-axis": Row(
        "d{name} is summed over the wrong axis ({detail}): sum over those along which {name} was "
        "broadcast, for a bias dy.sum(axis=0)",
        0.86,
    ),
    "samples-missing": Row("{detail}: every sample of the batch counts", 0.84),
    "terms-missing": Row("{detail}: every output that an entry reaches counts", 0.8),
    "output-ignored": Row("the cotangent of output {detail} is not used: add its gradient", 0.85),
    # ------------------------------------------------------------------ buffers and caches
    "accumulates-into-stale-buffer": Row(
        "the gradient is added to what an earlier call left: the second call gives {detail}", 0.9
    ),
    "overwrites-instead-of-accumulating": Row(
        "what comes second overwrites the gradient where it must be added to it{detail}", 0.9
    ),
    "stale-cache": Row(
        "backward uses values that were kept for another forward or another step: {detail}", 0.9
    ),
    "cache-aliased": Row(
        "{detail}: keep a copy of what backward needs, or give the caller one", 0.85
    ),
    "parameter-modified": Row(
        "{call} changes the parameter {name}: only the step of the optimiser may",
        0.95,
        wider=("input-modified",),
    ),
    "input-modified": Row("{call} changes its argument {name} in place: work on a copy", 0.95),
    "cotangent-modified": Row("backward changes dy in place: work on a copy", 0.95),
    "output-not-written": Row(
        "some entries are never written and hold what was in memory before", 0.9
    ),
    "tail-not-computed": Row("the last {count} entries {axis} are not computed: {detail}", 0.8),
    "batch-size-fixed": Row(
        "right for a batch of {n} only, {detail}: take the number of rows from the array", 0.85
    ),
    "layout-ignored": Row(
        "another answer for the same numbers in another memory layout: {detail}", 0.9
    ),
    "not-deterministic": Row("{call} gives another answer for the same arguments", 0.92),
    # ------------------------------------------------------------------ batchnorm
    "batchnorm-mean-term-missing": Row(
        "the term of the mean is missing, so Σₙ dx ≠ 0: dx = γ·rstd·(dy − mean(dy) − "
        "x̂·mean(dy·x̂))",
        0.9,
    ),
    "batchnorm-variance-term-missing": Row(
        "the term of the variance is missing, so Σₙ dx·x̂ ≠ 0: dx = γ·rstd·(dy − mean(dy) − "
        "x̂·mean(dy·x̂))",
        0.9,
    ),
    "batchnorm-statistics-constant": Row(
        "mean and variance are treated as constants: dx = γ·rstd·dy lacks −mean(dy) − "
        "x̂·mean(dy·x̂)",
        0.9,
    ),
    "batchnorm-eps-mismatch": Row(
        "backward uses another eps than forward ({detail}): the same rstd = 1/√(var + eps) in both",
        0.88,
    ),
    "batchnorm-unbiased-variance": Row(
        "one direction divides the variance by n − 1, the other by n: the same variance in both",
        0.88,
    ),
    "batchnorm-gamma-missing": Row(
        "γ is missing or not where it belongs: dx̂ = dy·γ before any mean is taken", 0.9
    ),
    "batchnorm-terms-wrong": Row(
        "the terms of the formula do not have the right weights ({detail}): dx = γ·rstd·(dy − "
        "mean(dy) − x̂·mean(dy·x̂)), the middle one only where a mean is subtracted",
        0.86,
    ),
    "batchnorm-mean-term-wrong": Row(
        "the term of the mean is not right ({detail}): dx = γ·rstd·(dy − mean(dy) − x̂·mean(dy·x̂))",
        0.86,
        wider=("batchnorm-mean-term-missing",),
    ),
    "batchnorm-variance-term-wrong": Row(
        "the term of the variance is not right ({detail}): dx = γ·rstd·(dy − mean(dy) − "
        "x̂·mean(dy·x̂))",
        0.86,
        wider=("batchnorm-variance-term-missing",),
    ),
    "batchnorm-parameter-gradient": Row("{detail}: dγ = Σ dy·x̂, dβ = Σ dy", 0.88),
    "statistics-wrong-axis": Row(
        "backward takes its means over {detail}: the same axes in both",
        0.88,
        wider=("bias-wrong-axis",),
    ),
    "batchnorm-mode-confused": Row(
        "the formula of {used} is used in {mode}: in training the batch's own statistics count, in "
        "evaluation the running ones, which are constants, and nothing is dropped",
        0.9,
    ),
    "running-statistics-drift": Row("the running statistics are not as they should be: {detail}"),
    "unbiased-running-variance": Row(
        "the variance that is stored is unbiased, divided by n − 1, as PyTorch's is",
        0.4,
        is_convention=True,
    ),
    # ------------------------------------------------------------------ losses
    "one-hot-not-subtracted": Row(
        "the targets are not subtracted ({formula}): dz = softmax(z) − y for a cross-entropy, "
        "z − y for a squared error",
        0.9,
    ),
    "probability-clipped": Row("probabilities are clipped ({detail}): dz = softmax(z) − y", 0.8),
    "targets-not-normalised": Row(
        "for targets that do not sum to one this is the gradient of another loss: p·Σy − y, "
        "of −Σ y·log p, against p − y, of logsumexp(z) − y·z",
        0.85,
    ),
    "softmax-sum-missing": Row(
        "the sum over the classes is missing or another: {formula}", 0.9
    ),
    "softmax-jacobian-diagonal": Row(
        "only the diagonal of the softmax's Jacobian is used, p·(1 − p)·dy: every class depends "
        "on all logits, dz = p·(dy − Σ p·dy)",
        0.9,
    ),
    "gradient-at-probabilities": Row(
        "this is the gradient with respect to the probabilities, −y/p: forward takes logits, "
        "{formula}",
        0.88,
    ),
    "gradient-at-logits": Row(
        "this is the gradient with respect to the logits, p − y: forward takes {taken}, {formula}",
        0.88,
    ),
    "derivative-taken-twice": Row(
        "the derivative of the {function} is multiplied in once more: it is in p − y already", 0.88
    ),
    "gradient-of-another-loss": Row("this is the gradient of another loss ({detail})", 0.84),
    "label-smoothing-mismatch": Row(
        "forward smooths the targets and backward does not: subtract the same targets in both",
        0.89,
    ),
    "loss-half-missing": Row("one part of the loss has no gradient: {formula}", 0.88),
    "max-shift-missing": Row(
        "exp overflows at large arguments: for a softmax, subtract the row's maximum first; for a "
        "sigmoid, take exp(−|x|)",
        0.85,
    ),
    "softmax-wrong-axis": Row(
        "the softmax runs over the batch instead of over the classes: axis 1", 0.88
    ),
    # ------------------------------------------------------------------ whole networks, steps
    "gradient-stops": Row(
        "the gradient stops at {where}: everything below is zero, though the loss depends on it",
        0.85,
    ),
    "weight-decay-mismatch": Row(
        "the decay of the weights is {detail}", 0.85
    ),
    "momentum-mismatch": Row("the momentum is not v ← μ·v − lr·g, w ← w + v: {detail}", 0.85),
    "update-formula-mismatch": Row("the step is not {formula}: {detail}", 0.8),
    "bias-correction-missing": Row(
        "Adam's correction for the start at zero is {detail}: m̂ = m/(1 − β₁ᵗ), "
        "v̂ = v/(1 − β₂ᵗ)",
        0.88,
    ),
    "not-zeroed": Row(
        "gradients are not set to zero between steps, so that they add up: {detail}", 0.85
    ),
    "parameter-not-updated": Row("the step leaves {name} as it is", 0.9),
    "learning-rate-in-velocity": Row("{detail}", 0.4, is_convention=True),
    "epsilon-convention": Row("{detail}", 0.4, is_convention=True),
    "norm-momentum": Row("{detail}", 0.4, is_convention=True),
    "decay-convention": Row("{detail}", 0.4, is_convention=True),
    "activation-derivative-at-input": Row(
        "the formula φ' = {formula} is for the output y, and is given the input z",
        0.84,
        wider=("activation-derivative-at-output",),
    ),
    "wrong-activation-derivative": Row(
        "this is the derivative of {other}, and the activation is {name}", 0.84
    ),
    "activation-derivative-formula": Row(
        "φ' is taken as {taken}, where it is {formula}", 0.8
    ),
    "activation-derivative-twice": Row(
        "the activation's derivative is multiplied in twice: dz = dy·φ'(z), once",
        0.8,
        wider=("chain-rule-factor-missing",),
    ),
    "batchnorm-formula": Row(
        "{detail}: dx = γ·rstd·(dy − mean(dy) − x̂·mean(dy·x̂)), dγ = Σₙ dy·x̂, dβ = Σₙ dy", 0.8
    ),
    "batchnorm-skipped": Row("backward leaves batchnorm out, which forward goes through", 0.86),
    "layers-out-of-order": Row(
        "backward goes through the steps in another order than forward, reversed: {detail}",
        0.9,
        wider=("wrong-weights",),
    ),
    "other-layers-values": Row(
        "the values of another step are used: {detail}", 0.8, wider=("stale-cache",)
    ),
    "wrong-delta": Row("the gradient of another place is used: {detail}", 0.86),
    "loss-mismatch": Row(
        "this is {taken}, where {meant} is meant", 0.82, wider=("gradient-of-another-loss",)
    ),
    "gradient-normalised": Row("the gradient is rescaled: {detail}", 0.75),
    "bias-left-out": Row(
        "forward does not add the bias, so that its gradient is zero: y = x·W + b", 0.9
    ),
    "raised": Row("{call} raised {error}", 0.95),
    "follows-from": Row("a consequence of what is wrong at {where}: look there first", 0.06),
    # ------------------------------------------------------------------ arithmetic
    "reduced-precision": Row(
        "right to about {digits} digits only: something in backward is computed in {dtype}", 0.7
    ),
    "not-finite": Row("the gradient is {value} {where}, where the function is smooth", 0.7),
    "entries-wrong": Row("{count} of {total} entries are wrong, {where}", 0.15),
    "unrelated": Row("no simple relation to the right gradient was found", 0.05),
}  # fmt: skip


BEHIND = 0.999
"""Of the score of a cause, what a wider one has at most: the narrower says more."""


class Blanks(dict[str, object]):
    """What stands for fields that a recogniser does not know."""

    def __missing__(self, key: str) -> str:
        return {"name": "x", "x": "x", "w": "w", "n": "N"}.get(key, "")


def cause(slug: str, match: float = 1.0, **fields: object) -> Cause:
    """A cause of the table, with a score: how well it explains (0 to 1), times its weight."""
    row = CAUSES[slug]
    sentence = row.sentence.format_map(Blanks(fields)).replace(" ()", "")
    return Cause(slug, float(match) * row.weight, sentence)


def widened(found: Iterable[Cause]) -> tuple[Cause, ...]:
    """The causes, and the wider ones of which they are cases: as sure, and told after them."""
    best = {one.slug: one for one in found}
    for one in list(best.values()):
        row = CAUSES[one.slug]
        for wider in row.wider:
            score = min(one.score / row.weight * CAUSES[wider].weight, BEHIND * one.score)
            if wider not in best or best[wider].score < score:
                best[wider] = Cause(wider, score, one.sentence)
    return tuple(best.values())
