"""What is wrong in an optimiser's step: every mutant of the formula is run beside it."""

from collections.abc import Iterator

from gradcheck.formulas import Rule

FORMULA, MOMENTUM, DECAY = "update-formula-mismatch", "momentum-mismatch", "weight-decay-mismatch"


def mutants(rule: Rule, lr: float, count: int = 1) -> Iterator[Rule]:
    """The rule with each of the usual mistakes, the specific ones first.

    `lr` is the rate of the first step; `count` is the number of parameters, for a t that is
    counted once for each of them.
    """
    yield from of_momentum(rule)
    yield from of_adam(rule, count)
    yield from of_decay(rule)
    yield from of_any(rule, lr)
    yield from other_kinds(rule)


def choices(rule: Rule) -> Iterator[Rule]:
    """What differs between authors."""
    if rule.kind in ("momentum", "nesterov"):
        detail = "the learning rate is outside the velocity: v ← μ·v + g, w ← w − lr·v"
        yield rule.choice("learning-rate-in-velocity", detail, lr_place="outside")
    if rule.kind in ("adam", "adamw"):
        detail = "eps is added to the uncorrected √v"
        yield rule.choice("epsilon-convention", detail, eps_place="uncorrected")
    if rule.kind == "rmsprop":
        detail = "eps is inside the root: g/√(v + eps)"
        yield rule.choice("epsilon-convention", detail, eps_place="inside")


def of_momentum(rule: Rule) -> Iterator[Rule]:
    if rule.kind not in ("momentum", "nesterov") or not rule.momentum:
        return
    mu = rule.momentum
    yield rule.mutant(MOMENTUM, "dampened, v ← μ·v − (1 − μ)·lr·g", dampening=mu)
    yield rule.mutant(
        MOMENTUM, "the velocity is forgotten at every step: keep it in the layer", keeps=False
    )
    other = "nesterov" if rule.kind == "momentum" else "momentum"
    names = {"nesterov": "Nesterov's, w ← w + μ·v − lr·g", "momentum": "plain, w ← w + v"}
    yield rule.mutant(MOMENTUM, f"it is {names[other]}", kind=other)
    yield rule.mutant(MOMENTUM, "the old velocity is subtracted, v ← −μ·v − lr·g", momentum=-mu)
    yield rule.mutant(MOMENTUM, "the velocity is never damped, v ← v − lr·g", momentum=1.0)
    yield rule.mutant(MOMENTUM, "μ and 1 − μ are swapped", momentum=1 - mu, dampening=1 - mu)
    yield rule.mutant(MOMENTUM, "1 − μ stands in the place of μ", momentum=1 - mu)
    yield rule.mutant(MOMENTUM, "w moves by the velocity of the step before", kind="lagging")
    yield rule.mutant(
        MOMENTUM, "the old velocity is multiplied by lr, v ← μ·lr·v − lr·g", momentum=mu * rule.lr
    )
    yield rule.mutant(MOMENTUM, "μ is squared, the velocity damped twice", momentum=mu * mu)


def of_adam(rule: Rule, count: int) -> Iterator[Rule]:
    if rule.kind == "rmsprop":
        yield from of_second_moment(rule, "ρ")
        return
    if rule.kind not in ("adam", "adamw"):
        return
    bias = "bias-correction-missing"
    yield rule.mutant(bias, "missing of both moments", corrections=(False, False))
    yield rule.mutant(bias, "missing of the first moment", corrections=(False, True))
    yield rule.mutant(bias, "missing of the second moment", corrections=(True, False))
    first = "that of the first step at every step, as t stays at 1"
    yield rule.mutant(bias, first, t0=1, t_step=0)
    yield rule.mutant(FORMULA, "t counts from 0, where 1 − βᵗ is 0: begin with t = 1", t0=-1)
    yield rule.mutant(FORMULA, "t is one too large: the first step is t = 1", t0=1)
    yield rule.mutant(FORMULA, "t stays at 1: count the steps", t0=1, t_step=0)
    for k in range(count if count > 1 else 0):
        yield rule.mutant(
            FORMULA,
            "t is counted once for each parameter, not once a step",
            t0=k + 1 - count,
            t_step=count,
        )
    swapped = {"beta1": rule.beta2, "beta2": rule.beta1}
    yield rule.mutant(FORMULA, "β₁ and β₂ are swapped", **swapped)
    yield rule.mutant(FORMULA, "the first moment lacks 1 − β₁", first_share=False)
    yield rule.mutant(
        FORMULA, "β₁ and 1 − β₁ are swapped", beta1=1 - rule.beta1, corrections=(True, True)
    )
    yield rule.mutant(FORMULA, "the second moment is that of m, not of g", second="first")
    yield rule.mutant(FORMULA, "eps is inside the root", eps_place="inside")
    yield from of_second_moment(rule, "β₂")


def of_second_moment(rule: Rule, share: str) -> Iterator[Rule]:
    yield rule.mutant(FORMULA, "the second moment averages |g|, not g²", second="absolute")
    yield rule.mutant(FORMULA, "the second moment averages g, not g²", second="plain")
    yield rule.mutant(FORMULA, "the squares are summed, not averaged", second="sum")
    yield rule.mutant(FORMULA, f"the second moment lacks 1 − {share}", second="unweighted")
    yield rule.mutant(FORMULA, "the root is missing: divide by √v", root=False)
    yield rule.mutant(FORMULA, "eps is missing", eps_place="none")
    yield rule.mutant(FORMULA, f"{share} and 1 − {share} are swapped", beta2=1 - rule.beta2)


def of_decay(rule: Rule) -> Iterator[Rule]:
    if not rule.weight_decay:
        for rate in (1e-4, 5e-4, 1e-3, 1e-2, 0.1):
            yield rule.mutant(DECAY, f"there, {rate:g}, where none is asked for", weight_decay=rate)
        return
    yield rule.mutant(DECAY, "missing", weight_decay=0.0)
    ways = {
        "L2": "added to the gradient (L2), where it should be decoupled",
        "decoupled": "decoupled, where it should be added to the gradient (L2)",
        "unscaled": "decoupled without the learning rate, w ← w − decay·w",
        "L1": "of sign(w), as of an L1 penalty: w is meant",
        "squares": "of w², where w is meant: the gradient of ½·decay·w²",
    }
    for way, detail in ways.items():
        if way != rule.decay_way:
            yield rule.mutant(DECAY, detail, decay_way=way)
    yield rule.mutant(DECAY, "taken twice", weight_decay=2 * rule.weight_decay)
    half = rule.weight_decay / 2
    yield rule.mutant(DECAY, "halved: of ½·decay·w², not decay·w²", weight_decay=half)
    yield rule.mutant(DECAY, "of the wrong sign: weights grow", weight_decay=-rule.weight_decay)


def of_any(rule: Rule, lr: float) -> Iterator[Rule]:
    yield rule.mutant(FORMULA, "it ascends: subtract the gradient", sign=-1.0)
    yield rule.mutant(FORMULA, "it ascends: the gradient has the wrong sign", gradient_times=-1.0)
    yield rule.mutant(FORMULA, "the learning rate is missing", times=1 / lr)
    yield rule.mutant(FORMULA, "the learning rate is squared", times=lr)
    yield rule.mutant(FORMULA, "it is divided by the learning rate", times=1 / lr**2)
    yield rule.mutant(FORMULA, "the step is made twice", times=2.0)
    yield rule.mutant(FORMULA, "the step is halved", times=0.5)
    yield rule.mutant("not-zeroed", "the gradients of all steps so far are summed", sums=True)
    yield rule.mutant(FORMULA, "the gradient is that of the step before", delayed=True)


def other_kinds(rule: Rule) -> Iterator[Rule]:
    for kind in ("gradient_descent", "momentum", "nesterov", "adam", "rmsprop"):
        if kind != rule.kind:
            yield rule.mutant(FORMULA, f"it is {kind}", kind=kind)
