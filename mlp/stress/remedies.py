"""What would have prevented an overflow: each remedy is tried on the same run."""

from typing import Any

import numpy as np

from mlp.network import MLP
from mlp.stress.record import Recorder
from mlp.stress.series import Array, Remedy, Study

CLIPPING_NORM = 1.0
"""Of all gradients together: what is usual."""

HALVINGS = 60
"""Of the learning rate, at most."""


def try_remedies(net: MLP, x: Array, y: Array, passes: int) -> list[Remedy]:
    """Initialisation, learning rate, clipping and batchnorm, one at a time."""
    return [
        tried("initialisation", "the default for the activation, seed 0", fresh(net), x, y, passes),
        lower_learning_rate(net, x, y, passes),
        tried(
            "clipping", f"gradients of norm {CLIPPING_NORM:g} at most",
            variant(net, max_norm=CLIPPING_NORM), x, y, passes,
        ),
        *batchnorm(net, x, y, passes),
    ]  # fmt: skip


def tried(name: str, change: str, net: MLP, x: Array, y: Array, passes: int) -> Remedy:
    """Run it and see."""
    overflow, largest = outcome(net, x, y, passes)
    return Remedy(name, change, overflow, largest)


def outcome(net: MLP, x: Array, y: Array, passes: int) -> tuple[int | None, float]:
    """The pass of the overflow, and log₂ of the largest value of the last finite pass."""
    recorder, overflow = Recorder(net, len(x)), None
    for number in range(1, passes + 1):
        net.forward(x)
        net.backward(y)
        finite = recorder.record()
        net.step()
        if not finite or not np.isfinite(net.params).all():
            overflow = number
            break
    sizes = recorder.series()["log2_largest"]
    finite_sizes = sizes[np.isfinite(sizes)]
    return overflow, float(finite_sizes[-1]) if len(finite_sizes) else np.inf


def lower_learning_rate(net: MLP, x: Array, y: Array, passes: int) -> Remedy:
    """Halved until all passes are finite."""
    overflow, largest, lr = None, np.inf, net.lr
    for _ in range(HALVINGS):
        lr /= 2
        lower = variant(net, lr=lr)
        overflow, largest = outcome(lower, x, y, passes)
        if overflow is None:
            break
    return Remedy("learning rate", f"{lr:.3g} instead of {net.lr:.3g}", overflow, largest)


def batchnorm(net: MLP, x: Array, y: Array, passes: int) -> list[Remedy]:
    """On hidden layers; not where there is one already, nor for a single row."""
    if len(x) < 2 or net.nlayers < 2 or net.num_bn_layers > 0:
        return []
    normalised = variant(net, num_bn_layers=net.nlayers - 1)
    return [tried("batchnorm", "on hidden layers", normalised, x, y, passes)]


def untried(study: Study) -> str | None:
    """Why batchnorm is not among the remedies that were tried; None where it is, or is there."""
    if study.settings["batchnorm"] or study.settings["rows"] > 1:
        return None
    return "not tried: batchnorm needs two samples"


def variant(net: MLP, **changes: Any) -> MLP:
    """A network with the same weights and settings but for the changes."""
    new = rebuilt(net, **changes)
    for ours, theirs in zip(new.linear_layers, net.linear_layers, strict=True):
        ours.W, ours.b = theirs.W, theirs.b
    return new


def fresh(net: MLP) -> MLP:
    """The same network with initial weights of the library's own."""
    return rebuilt(net, weight_init_fn=None, seed=0)


def rebuilt(net: MLP, **changes: Any) -> MLP:
    """A network of the same layers and settings, but for the changes."""
    _, arguments, *_ = net.__reduce__()[1]
    settings = {"lr": net.lr, "weight_decay": net.weight_decay, "max_norm": net.max_norm}
    return MLP(**{**arguments, **settings, **changes})
