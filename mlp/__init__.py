"""The network: layers and training over the compiled kernels.

>>> import numpy as np
>>> from mlp import MLP
>>> net = MLP(2, 2, hiddens=[3, 3], activations="relu", seed=0)
>>> net.forward(np.array([[4.0, 3.0]])).shape
(1, 2)
"""

from mlp.initializers import INITIALIZERS, he, xavier
from mlp.layers import (
    CRITERIA,
    ELU,
    GELU,
    MSE,
    Activation,
    BatchNorm,
    Criterion,
    Identity,
    LeakyReLU,
    Linear,
    ReLU,
    Sigmoid,
    SiLU,
    SoftmaxCrossEntropy,
    Softplus,
    Tanh,
)
from mlp.network import MLP

__all__ = [
    "CRITERIA",
    "ELU",
    "GELU",
    "INITIALIZERS",
    "MLP",
    "MSE",
    "Activation",
    "BatchNorm",
    "Criterion",
    "Identity",
    "LeakyReLU",
    "Linear",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "SoftmaxCrossEntropy",
    "Softplus",
    "Tanh",
    "he",
    "xavier",
]
