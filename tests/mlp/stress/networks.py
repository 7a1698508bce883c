"""Random networks with inputs and targets, of which some explode under gradient descent."""

import numpy as np

from mlp import MLP

UNBOUNDED = ("relu", "relu", "relu", "leaky_relu", "identity", "gelu", "elu")
ACTIVATIONS = (*UNBOUNDED, "tanh", "sigmoid")


def random_case(rng):
    """Widths, depth 2 to 6, initial scale, learning rate, activation, loss and dtype are random."""
    depth = int(rng.integers(2, 7))
    widths = [int(w) for w in rng.integers(1, 33, depth + 1)]
    widths[0], widths[-1] = int(rng.integers(1, 17)), int(rng.integers(2, 9))
    scale, lr = 10 ** rng.uniform(-0.7, 0.7), 10 ** rng.uniform(-4, 1)
    kind = str(rng.choice(["classes", "targets", "mse"]))
    dtype = str(rng.choice(["float32", "float64"]))
    net = MLP(
        widths[0],
        widths[-1],
        hiddens=widths[1:-1],
        activations=str(rng.choice(ACTIVATIONS)),
        weight_init_fn=lambda i, o: rng.normal(0, scale * np.sqrt(2 / i), (i, o)),
        lr=lr,
        criterion="mse" if kind == "mse" else "softmax_cross_entropy",
        dtype=dtype,
    )
    rows = int(rng.integers(1, 9))
    x = rng.normal(0, 10 ** rng.uniform(-0.5, 1), (rows, widths[0])).astype(dtype)
    if kind == "classes":
        y = rng.integers(0, widths[-1], rows)
    elif kind == "targets":  # which do not sum to one, as the toy's
        y = rng.uniform(0, 100, (rows, widths[-1])).astype(dtype)
    else:
        y = rng.normal(0, 1, (rows, widths[-1])).astype(dtype)
    return net, x, y
