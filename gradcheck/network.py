"""check_network: the gradients of a whole network, parameter by parameter."""

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.check import compare, generator
from gradcheck.course import parameters
from gradcheck.verdict import FAIL, Finding, Report

Array = np.ndarray


def check_network(
    net: Any, x: Any, labels: Any, seed: int = 0, twin: Any = None, title: str = "network"
) -> Report:
    """Compare every gradient of a network of the course's interface with differences.

    The scalar is the loss of the batch, computed here from the network's output:
    logsumexp(z) - y·z, or the squared error where the criterion is named so. Courses differ
    in whether a gradient is that of the sum or of the mean over the batch: either is found,
    array by array, and told as a note.

    Parameters
    ----------
    net : `forward(x)`, `backward(labels)`, `zero_grads()`, `linear_layers` with W, b, dW, db
        and, where it has batchnorm, `bn_layers` with gamma, beta, dgamma, dbeta. Its
        parameters are perturbed in place and put back.
    labels : integer classes (N,) or target rows (N, outputs).
    twin : the same network with the same parameters in float64, to take sharper differences
        of where `net` is float32.
    """
    x, labels = np.array(x), np.array(labels)
    rng = generator(seed)
    net.zero_grads()
    net.forward(x.copy())
    input_gradient = net.backward(labels.copy())
    gradients = [
        (name, layer, attribute, np.array(getattr(layer, "d" + attribute)))
        for name, layer, attribute in parameters(net)
    ]

    measured = net if twin is None else twin
    wide_x = x if twin is None else x.astype(np.float64)
    losses = loss_function(net, labels)
    epsilon = float(np.finfo(np.asarray(measured.forward(wide_x)).dtype).eps)
    keep = running_statistics(measured)
    weights = np.full(len(x), 1.0 / max(len(x), 1))
    layers = {name: layer for name, layer, _ in parameters(measured)}
    findings, notes, checked = [], [], 0

    def settle(name: str, function: Callable[[Array], Array], at: Array, gradient: Array) -> None:
        nonlocal checked
        finding, count, convention = compare_scaled(
            name, function, at, gradient, weights, rng, epsilon
        )
        findings.append(finding)
        checked += count
        if convention:
            notes.append(convention)

    for name, _, attribute, gradient in gradients:
        array = getattr(layers[name], attribute)
        before = np.array(array)

        def at(value: Array, array: Array = array) -> Array:
            array[...] = value
            return losses(measured.forward(wide_x))

        settle(name, at, before.astype(np.float64), gradient)
        array[...] = before
    if isinstance(input_gradient, np.ndarray):
        settle("input", lambda v: losses(measured.forward(v.astype(wide_x.dtype))),
               wide_x.astype(np.float64), input_gradient)
    for array, before in keep:
        array[...] = before
    return Report(title, seed, tuple(findings), checked, tuple(notes))


def compare_scaled(
    name: str, function: Callable[[Array], Array], x: Array, gradient: Array, weights: Array,
    rng: np.random.Generator, epsilon: float,
) -> tuple[Finding, int, str]:
    """The finding for the gradient of the mean loss or, failing that, of the sum."""
    finding, count = compare(name, function, x, gradient, weights, rng, epsilon)
    n = len(weights)
    if finding.verdict == FAIL and n > 1:
        as_sum, more = compare(name, function, x, gradient / n, weights, rng, epsilon)
        if as_sum.verdict != FAIL:
            return as_sum, count + more, f"{name}: the gradient of the sum over the batch"
    return finding, count, ""


def loss_function(net: Any, labels: Array) -> Callable[[Any], Array]:
    """Output (N, m) to the loss of each sample, in NumPy."""
    criterion = getattr(net, "criterion", None)
    name = str(getattr(criterion, "name", type(criterion).__name__)).lower()

    def squares(output: Any) -> Array:
        return np.asarray(((np.asarray(output, np.float64) - labels) ** 2).mean(axis=1))

    def cross_entropy(output: Any) -> Array:
        z = np.asarray(output, np.float64)
        peak = z.max(axis=1, keepdims=True)
        logsumexp = peak[:, 0] + np.log(np.exp(z - peak).sum(axis=1))
        picked = z[np.arange(len(z)), labels] if labels.ndim == 1 else (labels * z).sum(axis=1)
        return np.asarray(logsumexp - picked)

    return squares if "mse" in name or "square" in name else cross_entropy


def running_statistics(net: Any) -> list[tuple[Array, Array]]:
    """Arrays that every training forward moves, with their values now."""
    return [
        (getattr(layer, name), np.array(getattr(layer, name)))
        for layer in getattr(net, "bn_layers", ())
        for name in ("running_mean", "running_var")
        if hasattr(layer, name)
    ]
