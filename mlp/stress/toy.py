"""The toy problem's numbers: a 2-3-3-2 network, one input or three, and its learning rate.

The toy is that of a university deep-learning course's first homework; its biases are zero and
its targets do not sum to one, so that the gradient at the output never vanishes.
"""

import numpy as np

from mlp.network import MLP

Array = np.ndarray

LEARNING_RATE = 0.008

WEIGHTS = (
    np.array([[4.0, 2, -2], [5, 4, 5]]),
    np.array([[2.0, 5, 6], [2, -3, -3], [-2, 4, 3]]),
    np.array([[5.0, 5], [3, -1], [5, 4]]),
)
"""Of the three layers, (in, out) each."""

INPUTS = {
    "single": np.array([[4.0, 3]]),
    "batch": np.array([[4.0, 3], [5, 6], [7, 8]]),
}
TARGETS = {
    "single": np.array([[240.0, 4]]),
    "batch": np.array([[240.0, 4], [320, 2], [69, 5]]),
}


def network(activation: str, batchnorm: bool, dtype: str, lr: float) -> MLP:
    """The toy's network with its own weights: the activation on every layer, as the source has it,
    the output's included; and batchnorm on the hidden ones or not.
    """
    weights = iter(WEIGHTS)
    return MLP(
        2,
        2,
        hiddens=[3, 3],
        activations=[activation] * len(WEIGHTS),
        weight_init_fn=lambda n_in, n_out: next(weights),
        lr=lr,
        num_bn_layers=2 if batchnorm else 0,
        dtype=dtype,
    )
