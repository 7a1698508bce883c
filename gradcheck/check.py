"""check: is `backward` the gradient of `forward`?

Outputs are weighted by random cotangents of both signs, so that L = Σ cotangent·output is
one scalar. Small arrays are compared entry by entry; large ones along random directions of
±1, which see an error anywhere, and at single entries. Two relations need no differences:
the gradient must be linear in the cotangent, and the same when it is asked for again.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradcheck.compare import compare
from gradcheck.verdict import FAIL, INCONCLUSIVE, Finding, Report

Array = np.ndarray

JITTERS = 3
"""How often the gradient is computed again at inputs moved by one unit in the last
place: how much it moves is how much rounding may have moved it."""


def check(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Sequence[Any],
    names: Sequence[str] | None = None,
    seed: int = 0,
    title: str = "check",
) -> Report:
    """Compare `backward` with differences of `forward`.

    Parameters
    ----------
    forward : forward(*inputs) gives an array or a tuple of arrays.
    backward : backward(dy, *inputs) gives the gradient with respect to each input, None
        for one that is not checked; `dy` is a tuple where forward gives one.
    inputs : arrays; only floating ones are differentiated.
    seed : of every random draw.

    Returns
    -------
    Report : one finding for each input that has a gradient. A float32 input is also
        perturbed in float64 where `forward` accepts that: the differences are sharper.
    """
    pair = Pair(forward, backward)
    inputs = [real_array(f"inputs[{i}]", value) for i, value in enumerate(inputs)]
    names = list(names) if names is not None else [f"input{i}" for i in range(len(inputs))]
    if len(names) != len(inputs):
        raise ValueError(f"check: names has {len(names)} entries, expected {len(inputs)}")
    rng = generator(seed)
    outputs = pair.outputs(inputs)
    cotangents = [np.asarray(rng.standard_normal(y.shape), float_dtype(y)) for y in outputs]
    gradients = pair.gradients(cotangents, inputs)
    checked_inputs = [
        i for i, g in enumerate(gradients) if g is not None and inputs[i].dtype.kind == "f"
    ]
    if reason := unfit(pair, inputs, cotangents, outputs, gradients):
        findings = [Finding(names[i], INCONCLUSIVE, note=reason) for i in checked_inputs]
        return Report(title, seed, tuple(findings))

    wide, epsilon = widest(pair, inputs)
    jittered = [pair.gradients(cotangents, jitter(inputs, rng)) for _ in range(JITTERS)]
    nonlinear = nonlinearity(pair, inputs, cotangents, gradients)
    weights = flat(cotangents)
    findings, checked = [], 0
    for i in checked_inputs:

        def at(value: Array, position: int = i) -> Array:
            return flat(pair.outputs([value if j == position else w for j, w in enumerate(wide)]))

        spread = largest_difference(gradients[i], [g[i] for g in jittered])
        finding, count = compare(
            names[i], at, wide[i], gradients[i], weights, rng, epsilon, spread, inputs[i].shape
        )
        if finding.verdict != FAIL and nonlinear[i]:
            finding = Finding(names[i], FAIL, note=nonlinear[i])
        findings.append(finding)
        checked += count
    notes = () if findings else ("no floating input has a gradient: nothing to check",)
    return Report(title, seed, tuple(findings), checked, notes)


class Pair:
    """forward and backward between lists of arrays, which neither can spoil: they get copies."""

    def __init__(self, forward: Callable[..., Any], backward: Callable[..., Any]):
        for name, function in ("forward", forward), ("backward", backward):
            if not callable(function):
                raise TypeError(f"check: {name} is {function!r}, expected a function")
        self.forward, self.backward = forward, backward
        self.gives_tuple = False

    def outputs(self, arrays: Sequence[Array]) -> list[Array]:
        given = self.forward(*copies(arrays))
        self.gives_tuple = isinstance(given, (tuple, list))
        return [np.asarray(y) for y in as_tuple(given)]

    def gradients(self, cotangents: Sequence[Array], arrays: Sequence[Array]) -> list[Any]:
        """One for each array, None where backward gives none."""
        dy = tuple(copies(cotangents)) if self.gives_tuple else cotangents[0].copy()
        found = as_tuple(self.backward(dy, *copies(arrays)))
        if len(found) != len(arrays):
            raise ValueError(
                f"check: backward gives {len(found)} gradients, expected "
                f"{len(arrays)}, one for each input (None where there is none)"
            )
        return [None if g is None else np.array(g) for g in found]


def unfit(
    pair: Pair,
    inputs: list[Array],
    cotangents: list[Array],
    outputs: list[Array],
    gradients: list[Any],
) -> str:
    """Why nothing can be decided: outputs that are not finite, or answers that change."""
    if not all(np.isfinite(y).all() for y in outputs):
        return "forward is not finite here"
    if not all(same(a, b) for a, b in zip(outputs, pair.outputs(inputs), strict=True)):
        return "forward gives another answer for the same inputs"
    again = pair.gradients(cotangents, inputs)
    if not all(same(a, b) for a, b in zip(gradients, again, strict=True) if a is not None):
        return "backward gives another answer for the same inputs"
    return ""


def same(a: Any, b: Any) -> bool:
    return b is not None and a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())


def nonlinearity(
    pair: Pair, inputs: list[Array], cotangents: list[Array], gradients: list[Any]
) -> list[str]:
    """For each input, how its gradient fails to be linear in the cotangent ("" if it does not).

    Multiplying by a power of two or by -1 is exact in floating point, so B(c·dy) = c·B(dy)
    holds to rounding for any backward, whatever its inputs.
    """
    found = ["" for _ in gradients]
    for factor, what in (
        (-1.0, "a cotangent of the other sign does not give the gradient of the other sign"),
        (1024.0, "a larger cotangent does not give a gradient larger by as much"),
        (0.0, "the gradient is not zero where the cotangent is zero"),
    ):
        scaled = pair.gradients([np.asarray(c * factor, c.dtype) for c in cotangents], inputs)
        for i, (gradient, other) in enumerate(zip(gradients, scaled, strict=True)):
            if gradient is None or other is None or gradient.shape != other.shape or found[i]:
                continue
            expected = gradient.astype(np.float64) * factor
            tolerance = 1e-3 * float(abs(expected).max(initial=0))
            if not abs(other - expected).max(initial=0) <= tolerance:
                found[i] = what
    return found


def jitter(arrays: Sequence[Array], rng: np.random.Generator) -> list[Array]:
    """The arrays, every floating entry moved by one unit in the last place; zeros stay."""
    return [
        np.where(a == 0, a, np.nextafter(a, rng.choice([-np.inf, np.inf], a.shape).astype(a.dtype)))
        if a.dtype.kind == "f" else a.copy()
        for a in arrays
    ]  # fmt: skip


def largest_difference(gradient: Any, others: list[Any]) -> Array:
    """Entry by entry, how far the others are from the gradient."""
    spread = np.zeros(gradient.shape)
    for other in others:
        if other is not None and other.shape == gradient.shape and other.dtype.kind in "fiub":
            spread = np.fmax(spread, abs(np.asarray(other, np.float64) - gradient))
    return spread


def widest(pair: Pair, inputs: Sequence[Array]) -> tuple[list[Array], float]:
    """The inputs in float64 if forward computes in that too, and its relative rounding."""
    wide = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in inputs]
    try:
        outputs = pair.outputs(wide)
    except Exception:  # whatever a function of one dtype raises at another
        outputs = pair.outputs(inputs)
        wide = list(inputs)
    if all(y.dtype == np.float64 for y in outputs):
        return wide, float(np.finfo(np.float64).eps)
    return list(inputs), float(np.finfo(np.float32).eps)


def generator(seed: int) -> np.random.Generator:
    """A stream of the checker's own: inputs drawn from `default_rng(seed)` by the caller
    must not come back as cotangents. (A cotangent equal to x makes the gradient through
    batchnorm vanish, and the check with it.)
    """
    return np.random.default_rng([seed, 0x6772_6164])


def real_array(where: str, value: Any) -> Array:
    array = np.array(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"check: {where} has dtype {array.dtype}, expected real numbers")
    return array


def float_dtype(array: Array) -> np.dtype:
    return array.dtype if array.dtype.kind == "f" else np.dtype(np.float64)


def as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def copies(arrays: Sequence[Array]) -> list[Array]:
    return [array.copy() for array in arrays]


def flat(outputs: Sequence[Array]) -> Array:
    """All outputs as one vector of float64."""
    return np.concatenate([np.asarray(y, np.float64).ravel() for y in outputs])
