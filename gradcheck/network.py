"""check_network: the gradients of a whole network, parameter by parameter."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.arrays import generator, jitter, largest_difference
from gradcheck.compare import Comparison, Quantity, compare
from gradcheck.course import parameters
from gradcheck.rounding import JITTERS
from gradcheck.verdict import FAIL, PASS, Finding, Report

Array = np.ndarray


def check_network(
    net: Any,
    x: Any,
    labels: Any,
    seed: int = 0,
    twin: Any = None,
    title: str = "network",
    reduction: str | None = None,
) -> Report:
    """Compare every gradient of a network of the course's interface with differences.

    The scalar is the loss of the batch, computed here from the network's output:
    logsumexp(z) - y·z, or the squared error where the criterion is named so, reduced as
    `reduction` or, by default, `net.reduction` says. Where neither is there, courses differ:
    gradients of the mean and of the sum both count, array by array, and a note tells them.

    Parameters
    ----------
    net : `forward(x)`, `backward(labels)`, `zero_grads()`, `linear_layers` with W, b, dW, db
        and, where it has batchnorm, `bn_layers` with gamma, beta, dgamma, dbeta. Its
        parameters are perturbed in place; they and the running statistics are put back.
    labels : integer classes (N,) or target rows (N, outputs).
    twin : the same network with the same parameters in float64, to take sharper differences
        of where `net` is float32. Default: `net.astype(float64)`, where there is that method.
    reduction : "mean", "sum" or None.
    """
    x, labels = np.array(x), np.array(labels)
    rng = generator(seed)
    reduction = reduction or getattr(net, "reduction", None)
    if twin is None and x.dtype == np.float32 and hasattr(net, "astype"):
        twin = net.astype(np.float64)
    measured = net if twin is None else twin
    with preserved(net), preserved(measured):
        gradients = gradients_of(net, x, labels)
        spreads = rounding_spreads(net, x, labels, gradients, rng)
        places = Places(measured, x if measured is net else x.astype(np.float64), labels)
        mean = np.full(len(x), 1.0 / max(len(x), 1))
        weights = np.ones(len(x)) if reduction == "sum" else mean
        findings, notes, checked = [], [], 0
        for name, gradient in gradients.items():
            at, value = places.varied(name)
            quantity = Quantity(name, at, value, gradient, weights, places.epsilon, spreads[name])
            if reduction:
                comparison, convention = compare(quantity, rng), ""
            else:
                comparison, convention = compare_scaled(quantity, rng)
            finding, count = comparison.finding, comparison.count
            findings.append(finding)
            notes += [convention] if convention else []
            checked += count
        gradients_of(net, x, labels)  # outputs and gradients are those of the network as it is
    if notes and any(
        f.excess < 1 < abs(f.analytic) / (f.error_bar or 1)
        for f in findings
        if not is_noted(f, notes)
    ):
        notes.append("the others are of the mean: together, gradients of no single loss")
    return Report(title, seed, tuple(findings), checked, tuple(notes))


def rounding_spreads(
    net: Any, x: Array, labels: Array, gradients: dict[str, Array], rng: np.random.Generator
) -> dict[str, Array]:
    """How far each gradient moves when everything moves by one unit in the last place."""
    others = []
    for _ in range(JITTERS):
        with preserved(net):
            for _, layer, attribute in parameters(net):
                array = getattr(layer, attribute)
                array[...] = jitter([array], rng)[0]
            others.append(gradients_of(net, jitter([x], rng)[0], labels))
    return {
        name: largest_difference(gradient, [other[name] for other in others])
        for name, gradient in gradients.items()
    }


def is_noted(finding: Finding, notes: list[str]) -> bool:
    return any(note.startswith(f"{finding.name}:") for note in notes)


class Places:
    """The losses of a batch as functions of one array at a time."""

    def __init__(self, net: Any, x: Array, labels: Array):
        self.net, self.x = net, x
        self.losses = loss_function(net, labels)
        self.arrays = {name: getattr(layer, a) for name, layer, a in parameters(net)}
        self.epsilon = float(np.finfo(np.asarray(net.forward(x.copy())).dtype).eps)

    def varied(self, name: str) -> tuple[Callable[[Array], Array], Array]:
        """The losses as a function of the array of that name, and its present value."""
        if name == "input":
            return lambda v: self.losses(self.net.forward(v.astype(self.x.dtype))), self.x
        array = self.arrays[name]
        before = np.array(array)

        def at(value: Array) -> Array:
            array[...] = value
            try:
                return self.losses(self.net.forward(self.x.copy()))
            finally:
                array[...] = before

        return at, before.astype(np.float64)


def gradients_of(net: Any, x: Array, labels: Array) -> dict[str, Array]:
    """Every gradient of one forward and backward, by the name of its array."""
    net.zero_grads()
    net.forward(x.copy())
    returned = net.backward(labels.copy())
    found = {}
    for name, layer, attribute in parameters(net):
        gradient, shape = np.array(getattr(layer, "d" + attribute)), getattr(layer, attribute).shape
        is_row = gradient.shape == shape[1:] and shape[0] == 1  # db (out,) for b (1, out)
        found[name] = gradient.reshape(shape) if is_row else gradient
    if isinstance(returned, np.ndarray):
        found["input"] = returned.copy()
    return found


@contextmanager
def preserved(net: Any) -> Iterator[None]:
    """Puts parameters and running statistics back, whatever happens within.

    Integer parameters, which perturbations would be truncated in, are floating for as long.
    """
    layers = [(layer, attribute) for _, layer, attribute in parameters(net)]
    layers += [
        (layer, name) for layer in getattr(net, "bn_layers", ())
        for name in ("running_mean", "running_var") if hasattr(layer, name)
    ]  # fmt: skip
    kept = [(layer, name, getattr(layer, name)) for layer, name in layers]
    values = [np.array(array) for _, _, array in kept]
    for layer, name, array in kept:
        if array.dtype.kind != "f":
            setattr(layer, name, array.astype(np.float64))
    try:
        yield
    finally:
        for (layer, name, array), value in zip(kept, values, strict=True):
            array[...] = value
            if getattr(layer, name) is not array:
                setattr(layer, name, array)


def compare_scaled(quantity: Quantity, rng: np.random.Generator) -> tuple[Comparison, str]:
    """The comparison with the gradient of the mean loss or, if that fits better, of the sum."""
    comparison = compare(quantity, rng)
    n, gradient = len(quantity.weights), quantity.gradient
    if comparison.finding.verdict != FAIL or n < 2 or gradient.dtype.kind != "f":
        return comparison, ""
    spread = None if quantity.spread is None else quantity.spread / n
    as_sum = compare(replace(quantity, gradient=gradient / n, spread=spread), rng)
    if as_sum.finding.verdict == FAIL and as_sum.finding.excess > comparison.finding.excess:
        return comparison, ""
    convention = f"{quantity.name}: the gradient of the sum over the batch"
    return as_sum, convention if as_sum.finding.verdict == PASS else ""


def loss_function(net: Any, labels: Array) -> Callable[[Any], Array]:
    """Output (N, m) to the loss of each sample, in NumPy."""
    criterion = getattr(net, "criterion", None)
    name = str(getattr(criterion, "name", type(criterion).__name__)).lower()

    def squares(output: Any) -> Array:
        return np.asarray(((np.asarray(output, np.float64) - labels) ** 2).mean(axis=1))

    def cross_entropy(output: Any) -> Array:
        z = np.asarray(output, np.float64)
        peak = z.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(z - peak).sum(axis=1))
        if labels.ndim == 1:
            return np.asarray(peak[:, 0] - z[np.arange(len(z)), labels] + log_sum)
        rest = 1 - labels.sum(axis=1)
        return np.asarray((labels * (peak - z)).sum(axis=1) + peak[:, 0] * rest + log_sum)

    return squares if "mse" in name or "square" in name else cross_entropy
