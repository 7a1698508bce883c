"""A slip at the activations inside a network whose loss is known: replayed with each of them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from gradcheck.activations import Activation
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.layers import Layers, Slope
from gradcheck.diagnose.loss import score_of
from gradcheck.diagnose.loss_identify import found_in
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
    if evidence.analytic[i] is None or not evidence.is_fixed:
        return
    known = found_in(evidence)
    if known is None or not isinstance(known.source, Layers):
        return
    phi = known.source.phi
    fields = {"name": evidence.names[i], "detail": f", for φ = {phi.name}", "right": phi.formula}
    fields["found"] = phi.formula.replace("y", "z")
    for slug, slope in SLIPS.items():
        other = replace(known, source=replace(known.source, slope=slope))
        with np.errstate(all="ignore"):
            score = score_of(evidence, known, i, known.loss.gradient, other)
        if score:
            yield cause(slug, score, **fields)


RECOGNISERS = (wrong_slope,)
