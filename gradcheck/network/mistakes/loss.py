"""Mistakes in the derivative of the loss, softmax cross-entropy or the squared error."""

from collections.abc import Iterator, Mapping

import numpy as np

from gradcheck.activations import sigmoid
from gradcheck.network.losses import softmax
from gradcheck.network.mistakes.scene import Guess, Scene, mistake

Array = np.ndarray

PLACE = "criterion.derivative"

SMOOTHING = (0.05, 0.1, 0.15, 0.2, 0.3)
TEMPERATURES = (0.1, 0.5, 2.0, 3.0, 4.0, 5.0, 10.0)

CLIPS = (0.3, 0.25, 0.2, 0.15, 1e-1, 5e-2, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)


def loss_paths(scene: Scene) -> Iterator[Guess]:
    """Derivatives of the loss by the output that are not the right one."""
    z, y = scene.replay.output, scene.targets
    if scene.loss == "cross-entropy":
        found = cross_entropy_mistakes(z, y)
    elif scene.loss == "mse":
        found = squared_error_mistakes(z, y)
    else:
        return
    with np.errstate(all="ignore"):
        for slug, fields, value in (*found, *of_earlier_outputs(scene)):
            yield Guess(mistake(slug, PLACE, **fields), value * scene.weight)


Found = Iterator[tuple[str, Mapping[str, object], Array]]


def of_earlier_outputs(scene: Scene) -> Found:
    """The right derivative at an output of another forward."""
    y = scene.targets
    for early in scene.before:
        z = early.output
        if z.shape == y.shape:
            value = softmax(z) - y if scene.loss == "cross-entropy" else 2 * (z - y) / y.shape[1]
            yield "stale-cache", {"detail": "the output of a batch before"}, value


def cross_entropy_mistakes(z: Array, y: Array) -> Found:
    p = softmax(z)
    yield "one-hot-not-subtracted", {}, p
    yield "targets-not-normalised", {}, p * y.sum(axis=1, keepdims=True) - y
    yield "softmax-wrong-axis", {}, softmax(z, axis=0) - y
    shifted = np.exp(z - z.max(axis=1, keepdims=True))
    yield "softmax-wrong-axis", {}, shifted / shifted.sum(axis=0) - y
    yield "softmax-wrong-axis", {}, shifted / shifted.sum() - y
    whole = np.exp(z - z.max())
    yield "softmax-wrong-axis", {}, whole / whole.sum() - y
    for limit in CLIPS:
        clipped = np.clip(p, limit, 1 - limit)
        yield "probability-clipped", {"detail": f"at {limit:g}"}, clipped - y
        yield (
            "probability-clipped",
            {"detail": f"at {limit:g} from below"},
            np.maximum(p, limit) - y,
        )
    yield from other_losses(z, y, p)


def other_losses(z: Array, y: Array, p: Array) -> Found:
    """Right derivatives, but of something else."""
    meant = {"meant": "softmax(z) − y"}
    product = (y / p * p).sum(axis=1, keepdims=True)
    yield "loss-mismatch", {"taken": "z − y, of the squared error"} | meant, z - y
    yield "loss-mismatch", {"taken": "2(z − y), of the squared error"} | meant, 2 * (z - y)
    yield "gradient-at-probabilities", {"formula": "dz = softmax(z) − y"}, -y / p
    yield "loss-mismatch", {"taken": "−y/z, of −Σ y·log z"} | meant, -y / z
    yield "loss-mismatch", {"taken": "sigmoid(z) − y"} | meant, sigmoid(z) - y
    yield "loss-mismatch", {"taken": "softmax(y) − z, arguments swapped"} | meant, softmax(y) - z
    yield "loss-mismatch", {"taken": "softmax(softmax(z)) − y"} | meant, softmax(p) - y
    yield "loss-mismatch", {"taken": "exp(z) − y, not normalised"} | meant, np.exp(z) - y
    yield "derivative-taken-twice", {"function": "softmax"}, (p - y) * p * (1 - p)
    yield "loss-mismatch", {"taken": "(p − y)·z"} | meant, (p - y) * z
    yield "loss-mismatch", {"taken": "(p − y)·(1 − p)"} | meant, (p - y) * (1 - p)
    yield "loss-mismatch", {"taken": "(p − y)·p"} | meant, (p - y) * p
    yield "loss-mismatch", {"taken": "(p − y)²"} | meant, (p - y) ** 2
    for share in SMOOTHING:
        smooth = (1 - share) * y + share * y.sum(axis=1, keepdims=True) / y.shape[1]
        yield "loss-mismatch", {"taken": f"for targets smoothed by {share:g}"} | meant, p - smooth
    for t in TEMPERATURES:
        yield "loss-mismatch", {"taken": f"softmax(z/{t:g}) − y"} | meant, softmax(z / t) - y
    yield "loss-mismatch", {"taken": "y·(p − 1), the right class only"} | meant, y * (p - 1)
    yield "loss-mismatch", {"taken": "−log p − y"} | meant, -np.log(p) - y
    yield "loss-mismatch", {"taken": "log p − y"} | meant, np.log(p) - y
    yield "loss-mismatch", {"taken": "p·Σ(y/p·p) − y"} | meant, p * product - y
    hard = np.eye(z.shape[1])[z.argmax(axis=1)]
    yield "loss-mismatch", {"taken": "argmax(z) − y"} | meant, hard - y
    yield (
        "loss-mismatch",
        {"taken": "p − argmax(y), hard targets"} | meant,
        (p - np.eye(z.shape[1])[y.argmax(axis=1)]),
    )
    jacobian = p * (p - y) - p * (p * (p - y)).sum(axis=1, keepdims=True)
    yield "derivative-taken-twice", {"function": "softmax"}, jacobian


def squared_error_mistakes(z: Array, y: Array) -> Found:
    m = z.shape[1]
    meant = {"meant": "2(z − y)/m"}
    yield "one-hot-not-subtracted", {}, 2 * z / m
    yield "loss-mismatch", {"taken": "softmax(z) − y"} | meant, softmax(z) - y
    yield "loss-mismatch", {"taken": "(z − y)²"} | meant, (z - y) ** 2
    yield "loss-mismatch", {"taken": "|z − y|'s sign"} | meant, np.sign(z - y)
