"""A network's passes in scaled arithmetic: the same formulas, with exponents that do not end."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlp.network import MLP
from mlp.optimizers import Momentum
from mlp.stress import theory
from mlp.stress.record import as_series, empty_table
from mlp.stress.scaled import (
    Array,
    Scaled,
    activate,
    add,
    inverse_root,
    matmul,
    multiply,
    scaled,
    slope,
    softmax_gradient,
    subtract,
    times,
    total,
)
from mlp.stress.tables import (
    ALIGNMENT,
    DB,
    DBETA,
    DEAD,
    DGAMMA,
    DW,
    DX_OF_LAYER,
    FLAT,
    FRACTIONS,
    OUTPUT,
    PREACTIVATION,
    SATURATED,
    W,
)


@dataclass
class Normalisation:
    """Batchnorm's parameters, and what its backward needs."""

    gamma: Scaled
    beta: Scaled
    eps: float
    centred: Scaled | None = None
    rstd: Scaled | None = None

    def forward(self, x: Scaled) -> Scaled:
        """γ·(x - mean)/√(var + eps) + β, by the batch's statistics."""
        rows = len(x.mantissa)
        self.centred = subtract(x, times(total(x, 0), 1 / rows))
        variance = times(total(multiply(self.centred, self.centred), 0), 1 / rows)
        self.rstd = inverse_root(add(variance, scaled(np.array([[self.eps]]))))
        return add(multiply(multiply(self.centred, self.rstd), self.gamma), self.beta)

    def backward(self, dy: Scaled) -> tuple[Scaled, Scaled, Scaled]:
        """dx = rstd·(dx̂ - mean(dx̂) - x̂·mean(dx̂·x̂)), dγ = Σ dy·x̂, dβ = Σ dy."""
        assert self.centred is not None
        assert self.rstd is not None
        part = 1 / len(dy.mantissa)
        normal = multiply(self.centred, self.rstd)
        dnormal = multiply(dy, self.gamma)
        mean = times(total(dnormal, 0), part)
        along = multiply(normal, times(total(multiply(dnormal, normal), 0), part))
        dx = multiply(subtract(subtract(dnormal, mean), along), self.rstd)
        return dx, total(multiply(dy, normal), 0), total(dy, 0)


class ScaledNetwork:
    """An MLP's layers in scaled arithmetic, trained by plain gradient descent."""

    def __init__(self, net: MLP):
        self.lr, self.criterion, self.reduction = net.lr, net.criterion.name, net.reduction
        self.weights = [scaled(layer.W.astype(np.float64)) for layer in net.linear_layers]
        self.biases = [scaled(layer.b.astype(np.float64)) for layer in net.linear_layers]
        self.norms = [
            Normalisation(
                scaled(bn.gamma.astype(np.float64)), scaled(bn.beta.astype(np.float64)), bn.eps
            )
            for bn in net.bn_layers
        ]
        self.phis = [theory.activation(phi.name, **phi.settings) for phi in net.activations]

    def train(self, x: Array, y: Array) -> tuple[Array, Scaled]:
        """One pass; what it leaves for the record, and the loss."""
        table = empty_table(len(self.weights))
        inputs, zs, output = self.forward(scaled(x), table)
        dz, loss = self.loss(output, y)
        table[-1, FRACTIONS, ALIGNMENT] = cosine(output, dz)
        self.backward(inputs, zs, dz, table)
        return table, loss

    def forward(self, x: Scaled, table: Array) -> tuple[list[Scaled], list[Scaled], Scaled]:
        """Each layer's input and pre-activations, and the output."""
        inputs, zs = [], []
        for i, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            inputs.append(x)
            z = add(matmul(x, w), b)
            if i < len(self.norms):
                z = self.norms[i].forward(z)
            x = activate(self.phis[i], z)
            zs.append(z)
            put(table[i], {PREACTIVATION: z, OUTPUT: x, W: w})
        return inputs, zs, x

    def loss(self, z: Scaled, y: Array) -> tuple[Scaled, Scaled]:
        """The gradient at the output, and the loss."""
        weight = 1 / len(y) if self.reduction == "mean" else 1.0
        if self.criterion == "mse":
            off = subtract(z, scaled(y))
            losses = times(total(multiply(off, off), 1), 1 / y.shape[1])
            gradient = times(off, 2 / y.shape[1])
        else:
            plain, losses = softmax_gradient(z, y)
            gradient = scaled(plain)
        return times(gradient, weight), times(total(losses, 0), weight)

    def backward(self, inputs: list[Scaled], zs: list[Scaled], dy: Scaled, table: Array) -> None:
        """Gradients from the last layer to the first, each followed by its update."""
        for i in range(len(self.weights) - 1, -1, -1):
            slopes = slope(self.phis[i], zs[i])
            flat = np.abs(slopes)
            table[i, FRACTIONS, DEAD] = (flat == 0).all(axis=0).mean()
            table[i, FRACTIONS, SATURATED] = (flat < FLAT).mean()
            dz = multiply(dy, scaled(slopes))
            if i < len(self.norms):
                dz, dgamma, dbeta = self.norms[i].backward(dz)
                put(table[i], {DGAMMA: dgamma, DBETA: dbeta})
                norm = self.norms[i]
                norm.gamma = subtract(norm.gamma, times(dgamma, self.lr))
                norm.beta = subtract(norm.beta, times(dbeta, self.lr))
            dw, db = matmul(inputs[i].transposed, dz), total(dz, 0)
            dy = matmul(dz, self.weights[i].transposed)
            put(table[i], {DW: dw, DB: db, DX_OF_LAYER: dy})
            self.weights[i] = subtract(self.weights[i], times(dw, self.lr))
            self.biases[i] = subtract(self.biases[i], times(db, self.lr))


def put(table: Array, tensors: dict[int, Scaled]) -> None:
    """log₂ of norm, largest value and mean square of each tensor."""
    for row, tensor in tensors.items():
        squares = float((tensor.mantissa**2).sum())
        if squares:
            log2_squares = math.log2(squares) + 2 * tensor.exponent
            mean = log2_squares - math.log2(tensor.mantissa.size)
            table[row] = log2_squares / 2, tensor.log2_max, mean


def cosine(a: Scaled, b: Scaled) -> float:
    """Of the angle between two arrays."""
    size = float(np.linalg.norm(a.mantissa) * np.linalg.norm(b.mantissa))
    return float((a.mantissa * b.mantissa).sum()) / size if size else 0.0


def check_extended(net: MLP) -> None:
    """An error where scaled arithmetic does not follow how the network is trained."""
    found = unfollowed(net)
    if found:
        raise ValueError(
            f"run: extended is given a network with {', '.join(found)}; expected plain gradient "
            "descent: scaled arithmetic follows nothing else"
        )


def unfollowed(net: MLP) -> list[str]:
    """What there is to a network's training besides gradient descent."""
    found = []
    if not isinstance(net.optimizer, Momentum):
        found.append(f"optimizer {net.optimizer.name}")
    elif net.momentum:
        found.append(f"momentum {net.momentum:g}")
    if net.weight_decay:
        found.append(f"weight_decay {net.weight_decay:g}")
    if net.max_norm is not None:
        found.append(f"max_norm {net.max_norm:g}")
    if net.bn and not net.train_mode:
        found.append("batchnorm in evaluation")
    return found


def record_extended(net: MLP, x: Any, y: Any, passes: int) -> dict[str, Array]:
    """The series of all passes, whatever their size."""
    targets = np.asarray(y)
    if targets.ndim == 1:
        targets = np.eye(net._widths[-1])[targets]
    network = ScaledNetwork(net)
    inputs, targets = np.asarray(x, np.float64), targets.astype(np.float64)
    tables, losses = zip(*(network.train(inputs, targets) for _ in range(passes)), strict=True)
    values = np.array([float(loss.to_floats()[0, 0]) for loss in losses])
    logarithms = np.array([loss.log2_max for loss in losses])
    return as_series(np.array(tables), values, net.lr, logarithms)
