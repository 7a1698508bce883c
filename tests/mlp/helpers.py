"""The network and the data that the tests of training share."""

import numpy as np

from mlp import MLP

N, WIDTH, CLASSES = 45, 4, 3


def network(dtype=np.float64, **options):
    options = {"momentum": 0.9, "lr": 0.05, "num_bn_layers": 1, "seed": 1} | options
    return MLP(WIDTH, CLASSES, [6, 5], "tanh", dtype=dtype, **options)


def data(labels="classes", dtype=np.float64, n=N):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((n, WIDTH)).astype(dtype)
    if labels == "classes":
        return x, rng.integers(0, CLASSES, n)
    return x, rng.dirichlet(np.ones(CLASSES), n).astype(dtype)
