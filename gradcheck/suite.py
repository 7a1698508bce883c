"""What `python -m gradcheck` proves beside the toy: every operation, then whole networks.

Both are found by name, `kernels:OPS` and `mlp:MLP`, so that gradcheck depends on neither.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from gradcheck.check import check
from gradcheck.course import load
from gradcheck.network import check_network
from gradcheck.verdict import Report

OPS_TARGET, NETWORK_TARGET = "kernels:OPS", "mlp:MLP"

DTYPES = (np.float64, np.float32)

WIDTHS = (3, 5, 4, 3)
BATCH = 7
NAMES_TARGET = "mlp.activations:ACTIVATION_CODES"


def check_operations(seed: int = 0) -> Iterator[Report]:
    """A report for each operation that has a backward, in each dtype."""
    for name, op in load(OPS_TARGET).items():
        if op.backward is None:
            continue
        for dtype in DTYPES:
            sample = op.sample(np.random.default_rng(seed), dtype)

            def backward(dy: Any, *inputs: Any, op: Any = op) -> tuple[Any, ...]:
                gradients = dict(zip(op.gradients, op.vjp(dy, *inputs), strict=True))
                return tuple(gradients.get(input_name) for input_name in op.inputs)

            title = f"{name} {np.dtype(dtype).name}"
            yield check(op.value, backward, list(sample.values()), list(sample), seed, title)


def check_networks(seed: int = 0) -> Iterator[Report]:
    """A report for each activation with and without batchnorm, and for each kind of label."""
    for dtype in DTYPES:
        for activation in load(NAMES_TARGET):
            for batchnorm in (0, len(WIDTHS) - 2):
                yield check_one(seed, dtype, activation, batchnorm, "classes")
        for labels in ("soft", "mse"):
            yield check_one(seed, dtype, "tanh", 1, labels)


def check_one(seed: int, dtype: Any, activation: str, batchnorm: int, labels: str) -> Report:
    """One network with random parameters, biases, gammas and betas included."""
    rng = np.random.default_rng(seed)
    make = load(NETWORK_TARGET)
    criterion = "mse" if labels == "mse" else "softmax_cross_entropy"
    first, *hiddens, last = WIDTHS

    def network(kind: Any) -> Any:
        return make(
            first,
            last,
            hiddens,
            activation,
            criterion=criterion,
            num_bn_layers=batchnorm,
            dtype=kind,
        )

    net, twin = network(dtype), network(np.float64)
    net.params = net.params + 0.3 * rng.standard_normal(net.params.shape).astype(dtype)
    twin.params = net.params.astype(np.float64)
    x = rng.standard_normal((BATCH, first)).astype(dtype)
    if labels == "classes":
        y = rng.integers(0, last, BATCH)
    else:
        y = rng.dirichlet(np.ones(last), BATCH).astype(dtype)
    title = f"{activation}{' + batchnorm' if batchnorm else ''}, {labels}, {np.dtype(dtype).name}"
    return check_network(net, x, y, seed, twin, title)
