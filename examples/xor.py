"""Exclusive or: check the gradients first, then train."""

import numpy as np

from gradcheck import check_network
from mlp import MLP


def main() -> None:
    """Print the check of the untrained network, and how training ends."""
    x = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    labels = np.array([0, 1, 1, 0])
    net = MLP(2, 2, hiddens=[16], activations="tanh", lr=0.5, momentum=0.9, seed=4)
    print(check_network(net, x, labels, title="before training"))
    print(net.fit(x, labels, epochs=300))
    print(f"exclusive or of {x.astype(int).tolist()}: {net.predict(x).tolist()}")


if __name__ == "__main__":
    main()
