"""The network: layers and training over the compiled kernels.

>>> import numpy as np
>>> from mlp import MLP
>>> net = MLP(2, 2, hiddens=[3, 3], activations="relu", seed=0)
>>> net.forward(np.array([[4.0, 3.0]])).shape
(1, 2)
"""

import kernels

if not hasattr(kernels, "OPS"):
    raise ImportError(
        "mlp needs the package `kernels` of backproof, but `import kernels` finds "
        f"{kernels.__file__}, which another distribution installed (Hugging Face's `kernels` "
        "has the same import name): use an environment with only one of the two"
    )

from mlp.activations import (
    ELU,
    GELU,
    Activation,
    Identity,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)
from mlp.criteria import CRITERIA, MSE, Criterion, SoftmaxCrossEntropy
from mlp.history import History
from mlp.initializers import INITIALIZERS, he, xavier
from mlp.layers import BatchNorm, Linear
from mlp.network import MLP
from mlp.nonfinite import NonFiniteLoss
from mlp.optimizers import OPTIMIZERS, Adam, AdamW, Momentum, Nesterov
from mlp.threads import get_num_threads, set_num_threads

__all__ = [
    "CRITERIA",
    "ELU",
    "GELU",
    "INITIALIZERS",
    "MLP",
    "MSE",
    "OPTIMIZERS",
    "Activation",
    "Adam",
    "AdamW",
    "BatchNorm",
    "Criterion",
    "History",
    "Identity",
    "LeakyReLU",
    "Linear",
    "Momentum",
    "Nesterov",
    "NonFiniteLoss",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "SoftmaxCrossEntropy",
    "Softplus",
    "Tanh",
    "get_num_threads",
    "he",
    "set_num_threads",
    "xavier",
]
