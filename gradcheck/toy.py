"""The toy problem as data: a 2-3-3-2 network with every output and gradient published.

The source is the toy of a university deep-learning course's first homework. It lists the
gradients of weights and biases in the order of the layers, under captions in the reverse
order; here each stands under the layer that it belongs to. Its gradients start from
softmax(z) - y with targets y that do not sum to one, and so they are those of
logsumexp(z) - y·z.
"""

from dataclasses import dataclass

import numpy as np

Array = np.ndarray

INPUT_SIZE, OUTPUT_SIZE, HIDDENS = 2, 2, (3, 3)
LEARNING_RATE = 0.008

WEIGHTS = (
    np.array([[4.0, 2, -2], [5, 4, 5]]),
    np.array([[2.0, 5, 6], [2, -3, -3], [-2, 4, 3]]),
    np.array([[5.0, 5], [3, -1], [5, 4]]),
)
"""Weights of the three layers; NumPy's legacy generator gives them from `SEEDS`. Biases are 0."""

SEEDS = (4, 1, 2)
"""`RandomState(seed).randint(-3, 7, size=(in, out))` gives the weights of each layer."""

CAPTIONS = (
    "The source lists the gradients of weights (1.1-1.3, 4.1-4.3) and biases (2.1-2.3, 5.1-5.3) "
    "in layer order under captions in reverse order; here each is under its own layer."
)

BLIND = (
    "What the toy cannot show: its pre-activations are all positive, its biases zero, its rows run "
    "one by one. A missing ReLU mask, a bias left out of forward, or a misplaced 1/N all pass; "
    "gradcheck.check_network on random data sees them."
)

QUANTITIES = (
    "output of H1", "output of H2", "output",
    "dW1", "dW2", "dW3",
    "db1", "db2", "db3",
    "gradient wrt output of H2", "gradient wrt output of H1", "gradient wrt input",
)  # fmt: skip
"""What is published of each sample, in the order of the source."""


@dataclass(frozen=True)
class Sample:
    """One input with its target, and what is published of it, quantity by quantity."""

    x: Array
    target: Array
    published: dict[str, Array]

    @property
    def count(self) -> int:
        return sum(value.size for value in self.published.values())


def sample(x, target, *published) -> Sample:  # type: ignore[no-untyped-def]
    arrays = [np.array(value, np.float64) for value in published]
    return Sample(
        np.array([x], np.float64),
        np.array([target], np.float64),
        dict(zip(QUANTITIES, arrays, strict=True)),
    )


BATCH = (
    sample(
        [4, 3], [240, 4],
        [31, 20, 7], [88, 123, 147], [1544, 905],
        [[-53044, 13368, -16220], [-39783, 10026, -12165]],
        [[-37665, -22103, -37541], [-24300, -14260, -24220], [-8505, -4991, -8477]],
        [[-21032, -352], [-29397, -492], [-35133, -588]],
        [-13261, 3342, -4055], [-1215, -713, -1211], [-239, -4],
        [-1215, -713, -1211], [-13261, 3342, -4055], [-38250, -73212],
    ),
    sample(
        [5, 6], [320, 2],
        [50, 34, 20], [128, 228, 258], [2614, 1444],
        [[-88015, 22320, -27095], [-105618, 26784, -32514]],
        [[-80250, -47750, -80150], [-54570, -32470, -54502], [-32100, -19100, -32060]],
        [[-40832, -256], [-72732, -456], [-82302, -516]],
        [-17603, 4464, -5419], [-1605, -955, -1603], [-319, -2],
        [-1605, -955, -1603], [-17603, 4464, -5419], [-50646, -97254],
    ),
    sample(
        [7, 8], [69, 5],
        [68, 46, 26], [176, 306, 348], [3538, 1966],
        [[-27195, 6629, -8022], [-31080, 7576, -9168]],
        [[-24820, -13532, -24480], [-16790, -9154, -16560], [-9490, -5174, -9360]],
        [[-11968, -880], [-20808, -1530], [-23664, -1740]],
        [-3885, 947, -1146], [-365, -199, -360], [-68, -5],
        [-365, -199, -360], [-3885, 947, -1146], [-11354, -21367],
    ),
)  # fmt: skip

SINGLE = BATCH[0]
"""The single input of the source is the batch's first row, with the same numbers again."""

CASES = (("single input", SINGLE), *((f"batch row {i}", row) for i, row in enumerate(BATCH, 1)))

BATCH_X = np.concatenate([row.x for row in BATCH])
BATCH_TARGETS = np.concatenate([row.target for row in BATCH])
