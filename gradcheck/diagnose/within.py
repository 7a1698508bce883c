"""A slip at the activations inside a network whose loss is known: replayed with each of them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from gradcheck.activations import Activation
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.layers import Layers, Slope
from gradcheck.diagnose.loss import score_of
from gradcheck.diagnose.loss_identify import Known, found_in
from gradcheck.verdict import Cause

Array = np.ndarray


def missing(phi: Activation, z: Array, y: Array, above: Array) -> Array:
    return np.ones(z.shape)


def at_output(phi: Activation, z: Array, y: Array, above: Array) -> Array:
    return phi.derivative(y, phi.value(y))


def formula_at_input(phi: Activation, z: Array, y: Array, above: Array) -> Array:
    return phi.usual(z) if phi.usual is not None else phi.derivative(z, y)


def on_gradient(phi: Activation, z: Array, y: Array, above: Array) -> Array:
    return (above > 0) * 1.0


def twice(phi: Activation, z: Array, y: Array, above: Array) -> Array:
    return phi.derivative(z, y) ** 2


SLIPS: Mapping[str, Slope] = {
    "activation-derivative-missing": missing,
    "cotangent-masked": on_gradient,
    "activation-derivative-at-output": at_output,
    "output-formula-at-input": formula_at_input,
    "activation-derivative-twice": twice,
}


def wrong_slope(evidence: Evidence, i: int) -> Iterator[Cause]:
    """φ' left out, taken elsewhere, or of the gradient in place of z."""
    if evidence.analytic[i] is None:
        return
    known = found_in(evidence)
    if known is None or not isinstance(known.source, Layers):
        return
    phi = known.source.phi
    fields = {"name": evidence.names[i], "detail": f", for φ = {phi.name}", "right": phi.formula}
    fields["found"] = phi.formula.replace("y", "z")
    places = [None, *range(1, len(known.source.steps) + 1)]
    for slug, slope in SLIPS.items():
        for only in places if len(places) > 2 else (None,):
            other = replace(known.source, slope=slope, only=only)
            if score := replayed(evidence, known, i, other):
                yield cause(slug, score, **fields)
    for k, (w, _) in enumerate(known.source.steps):
        shape = evidence.inputs[w].shape
        if shape[0] == shape[1]:
            score = replayed(evidence, known, i, replace(known.source, untransposed=k))
            name = evidence.names[w]
            detail = f"{name} was not transposed: δ·{name}"
            yield cause("wrong-weights", score, detail=detail, x="h", w=name)


def replayed(evidence: Evidence, known: Known, i: int, source: Layers) -> float:
    """How well the gradient is explained, if it is carried down in another way."""
    with np.errstate(all="ignore"):
        other = replace(known, source=source)
        return score_of(evidence, known, i, known.loss.gradient, other)


RECOGNISERS = (wrong_slope,)
