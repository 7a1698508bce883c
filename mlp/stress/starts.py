"""First weights and biases by name, of the networks of a sweep."""

import math
from dataclasses import dataclass

import numpy as np

from kernels.op import OPS
from mlp.arguments import by_name
from mlp.network import MLP
from mlp.stress import draws
from mlp.stress.normals import seed_keys
from mlp.stress.orthogonal import orthogonal
from mlp.stress.series import Array

NAMES = (*draws.NAMES, "scaled")
"""Those of a study of depth, where normal is normal:σ; and scaled:σ_w:σ_b, N(0, σ_w²/n) for
weights and N(0, σ_b²) for biases, as in mean-field theory."""


@dataclass(frozen=True)
class Start:
    """How weights and biases begin."""

    draw: draws.Draw
    sigma_w: float | None = None
    sigma_b: float = 0.0

    def weights(self, rng: np.random.Generator, n_in: int, n_out: int) -> Array:
        if self.sigma_w is not None:
            return rng.normal(0.0, self.sigma_w / math.sqrt(n_in), (n_in, n_out))
        if self.draw.name in ("orthogonal", "lsuv"):
            return orthogonal(rng.normal(size=(n_in, n_out)))
        found = np.empty((n_in, n_out), np.float32)
        self.draw.fill(seed_keys(int(rng.integers(2**63))), found)
        return found.astype(np.float64)

    def biases(self, rng: np.random.Generator, n_out: int) -> Array:
        return rng.normal(0.0, self.sigma_b, (1, n_out)) if self.sigma_b else np.zeros((1, n_out))

    def finish(self, net: MLP, x: Array) -> None:
        """With lsuv: scale each layer's weights until the batch's pre-activations have variance 1
        (Mishkin & Matas 2016, arXiv:1511.06422).
        """
        if not self.draw.unit_variance:
            return
        for layer, linear in enumerate(net.linear_layers):
            inputs = x
            if layer:
                net.forward(x)
                state = net.activations[layer - 1].state
                assert state is not None
                inputs = state
            spread = float(OPS["affine"].value(inputs, linear.W, 0 * linear.b[0])[0].std())
            if spread > 0:
                linear.W = linear.W / spread


def as_start(where: str, name: str) -> Start:
    """The start of that name: he, normal:0.1, scaled:1.3:0.3, …"""
    if not isinstance(name, str):
        raise TypeError(f"{where} is {name!r}, expected one of {', '.join(NAMES)}")
    word, *rest = name.split(":")
    by_name(where, word, NAMES)
    if word != "scaled":
        return Start(draws.as_draw(name))
    if len(rest) not in (1, 2):
        raise ValueError(f"{where} is {name!r}, expected scaled:σ_w or scaled:σ_w:σ_b")
    return Start(draws.normal(0.0), *(draws.number(f"{where}: {name}", text) for text in rest))
