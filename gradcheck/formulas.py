"""Update rules as formulas: the right ones, and each with one mistake.

A formula gives the change of one parameter from its gradient, step by step; what it keeps
between steps is its own. A mutant is a formula with a name for what is wrong in it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Array = np.ndarray


PENALTIES: dict[str, Callable[[Array], Array]] = {
    "L2": lambda w: w,
    "L1": lambda w: np.asarray(np.sign(w)),
    "squares": lambda w: w * w,
}
"""What weight decay adds to the gradient, by its way: the derivative of a penalty, or a mistake."""


@dataclass(frozen=True)
class Rule:
    """An update rule and its settings. What a mutant changes is a setting, too.

    Attributes
    ----------
    kind : "gradient_descent", "momentum", "nesterov", "adam", "adamw" or "rmsprop".
    lr, momentum, beta1, beta2, eps, weight_decay : as usual; rmsprop's ρ is beta2.
    wrong : the slug of the mistake, "" in a right rule, and `detail`, what to say of it.
    convention : the slug, where the difference is a choice and no mistake.
    """

    kind: str = "momentum"
    lr: float = 0.01
    momentum: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    decay_way: str = "L2"
    """"L2" adds weight_decay·w to the gradient, "decoupled" takes lr·weight_decay·w, "unscaled"
    weight_decay·w; "L1" and "squares" have sign(w) and w² in the place of w."""

    sign: float = 1.0
    times: float = 1.0
    gradient_times: float = 1.0
    dampening: float = 0.0
    keeps: bool = True
    sums: bool = False
    delayed: bool = False
    corrections: tuple[bool, bool] = (True, True)
    t0: int = 0
    t_step: int = 1
    eps_place: str = "outside"
    second: str = "squares"
    first_share: bool = True
    root: bool = True
    lr_place: str = "inside"
    wrong: str = ""
    detail: str = ""
    convention: str = ""

    def start(self) -> "Run":
        return Run(self)

    def mutant(self, slug: str, detail: str, **changes: Any) -> "Rule":
        return replace(self, wrong=slug, detail=detail, **changes)

    def choice(self, slug: str, detail: str, **changes: Any) -> "Rule":
        return replace(self, convention=slug, detail=detail, **changes)


class Run:
    """A rule under way, for one parameter."""

    def __init__(self, rule: Rule):
        self.rule, self.t = rule, rule.t0
        self.velocity: Any = 0.0
        self.first: Any = 0.0
        self.second: Any = 0.0
        self.total: Any = 0.0
        self.last: Any = 0.0

    def change(self, w: Array, gradient: Array, lr: float) -> Array:
        """What the step adds to w."""
        rule = self.rule
        g = gradient * rule.gradient_times
        if rule.sums:
            self.total = g = self.total + g
        if rule.delayed:
            self.last, g = g, self.last + np.zeros_like(g)
        if rule.decay_way in PENALTIES:
            g = g + rule.weight_decay * PENALTIES[rule.decay_way](w)
        self.t += rule.t_step
        moved = RULES[rule.kind](self, g, lr) * rule.sign * rule.times
        if not rule.keeps:
            self.velocity = self.first = self.second = 0.0
        if rule.decay_way == "decoupled":
            moved = moved - lr * rule.weight_decay * w
        elif rule.decay_way == "unscaled":
            moved = moved - rule.weight_decay * w
        return np.asarray(moved, np.float64)

    # ------------------------------------------------------------------ the rules

    def gradient_descent(self, g: Array, lr: float) -> Array:
        """w ← w − lr·g."""
        return -lr * g

    def momentum(self, g: Array, lr: float) -> Array:
        """v ← μ·v − lr·g; w ← w + v. With lr outside: v ← μ·v + g; w ← w − lr·v."""
        rule = self.rule
        share = 1 - rule.dampening
        if rule.lr_place == "outside":
            self.velocity = rule.momentum * self.velocity - share * g
            return np.asarray(lr * self.velocity)
        self.velocity = rule.momentum * self.velocity - share * lr * g
        return np.asarray(self.velocity)

    def nesterov(self, g: Array, lr: float) -> Array:
        """v ← μ·v − lr·g; w ← w + μ·v − lr·g."""
        velocity = self.momentum(g, lr)
        return self.rule.momentum * velocity - lr * g

    def lagging(self, g: Array, lr: float) -> Array:
        """w ← w + v with the velocity of the step before."""
        before = np.asarray(self.velocity + np.zeros_like(g))
        self.momentum(g, lr)
        return before

    def adam(self, g: Array, lr: float) -> Array:
        """m and v, corrected for their start at 0; w ← w − lr·m̂/(√v̂ + eps)."""
        rule = self.rule
        self.first = rule.beta1 * self.first + (1 - rule.beta1 if rule.first_share else 1.0) * g
        return self.divided(self.first, self.moment(g), lr)

    def rmsprop(self, g: Array, lr: float) -> Array:
        """v ← ρ·v + (1 − ρ)·g²; w ← w − lr·g/(√v + eps)."""
        return self.divided(g, self.moment(g), lr)

    def moment(self, g: Array) -> Array:
        """The second moment, or what is in its place."""
        rule = self.rule
        other = {"squares": g * g, "absolute": abs(g), "plain": g}.get(rule.second)
        if other is None:
            other = self.first * self.first
        share = 1.0 if rule.second == "sum" else 1 - rule.beta2
        if rule.second in ("sum", "unweighted"):
            other, share = g * g, 1.0
        kept = 1.0 if rule.second == "sum" else rule.beta2
        self.second = kept * self.second + share * other
        return np.asarray(self.second)

    def divided(self, first: Array, second: Array, lr: float) -> Array:
        rule = self.rule
        is_adam = rule.kind in ("adam", "adamw")
        one = 1 - rule.beta1**self.t if is_adam and rule.corrections[0] else 1.0
        two = 1 - rule.beta2**self.t if is_adam and rule.corrections[1] else 1.0
        with np.errstate(all="ignore"):
            m, v = first / np.float64(one), second / np.float64(two)
            if rule.eps_place == "inside":
                below = np.sqrt(v + rule.eps)
            elif rule.eps_place == "uncorrected":
                below = (np.sqrt(second) + rule.eps) / np.sqrt(np.float64(two))
            else:
                below = (np.sqrt(v) if rule.root else v) + rule.eps * (rule.eps_place != "none")
            return np.asarray(-lr * m / below)


FORMULAS = {
    "gradient_descent": "w ← w − lr·g",
    "momentum": "v ← μ·v − lr·g, w ← w + v",
    "nesterov": "v ← μ·v − lr·g, w ← w + μ·v − lr·g",
    "adam": "w ← w − lr·m̂/(√v̂ + eps)",
    "adamw": "w ← w − lr·m̂/(√v̂ + eps) − lr·decay·w",
    "rmsprop": "v ← ρ·v + (1 − ρ)·g², w ← w − lr·g/(√v + eps)",
}
"""Each rule, for people."""

RULES: dict[str, Callable[[Run, Array, float], Array]] = {
    "gradient_descent": Run.gradient_descent,
    "momentum": Run.momentum,
    "nesterov": Run.nesterov,
    "lagging": Run.lagging,
    "adam": Run.adam,
    "adamw": Run.adam,
    "rmsprop": Run.rmsprop,
}
