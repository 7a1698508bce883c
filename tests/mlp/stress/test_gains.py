"""Gains of layers after an update, against NumPy."""

import numpy as np
import pytest

from mlp import MLP
from mlp.stress import gains as g
from mlp.stress import theory

ROWS = 5


def measured(net):
    table = np.empty((net.nlayers, g.MEASURES))
    room = np.empty(g.PARTS * ROWS * max(net._widths), net.dtype)
    return g.measure_gains(net._state, net._memory, ROWS, room, table), table


def log2_norm(values):
    return np.log2(np.linalg.norm(values))


def with_one(x):
    """log₂ of a norm, and of that of the bias's ones."""
    return np.log2(np.linalg.norm(x) + np.sqrt(ROWS))


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "tanh", "gelu", "identity"])
def test_gains_are_those_of_numpy(name, rng):
    net = MLP(4, 3, [6, 5], name, lr=0.3, bias_init_fn=lambda n: rng.standard_normal(n))
    x, y = rng.standard_normal((ROWS, 4)), rng.integers(0, 3, ROWS)
    net.forward(x)
    net.backward(y)
    phis = [theory.activation(activation.name) for activation in net.activations]
    inputs = [x, *(activation.state.copy() for activation in net.activations)]
    dys = [net.linear_layers[i + 1].dx.copy() for i in range(2)]
    dzs = [
        dy * phi.derivative(x @ linear.W + linear.b)
        for dy, phi, x, linear in zip(dys, phis, inputs, net.linear_layers, strict=False)
    ]
    shifted = np.exp(inputs[3] - inputs[3].max(axis=1, keepdims=True))
    dzs.append((shifted / shifted.sum(axis=1, keepdims=True) - np.eye(3)[y]) / ROWS)
    net.step()
    gradient, table = measured(net)
    assert gradient == pytest.approx(log2_norm(dzs[2]))
    zs = [x @ linear.W + linear.b for x, linear in zip(inputs, net.linear_layers, strict=False)]
    for i, linear in enumerate(net.linear_layers):
        both = np.vstack([linear.dW, linear.db])
        assert table[i, g.INPUT] == pytest.approx(with_one(inputs[i]))
        assert table[i, g.OUTPUT] == pytest.approx(with_one(inputs[i + 1]))
        out = log2_norm(phis[i].value(zs[i]))
        assert table[i, g.FORWARD] == pytest.approx(out - with_one(inputs[i]))
        assert table[i, g.SIZE] == pytest.approx(log2_norm(np.vstack([linear.W, linear.b])))
        along = log2_norm(both) - with_one(inputs[i]) - log2_norm(dzs[i])
        assert table[i, g.ALIGNED] == pytest.approx(along)
        assert table[i, g.NORMALISED] == 0
    for i in (1, 2):
        below = (dzs[i] @ net.linear_layers[i].W.T) * phis[i - 1].derivative(zs[i - 1])
        assert table[i, g.BACKWARD] == pytest.approx(log2_norm(below) - log2_norm(dzs[i]))


def test_gradient_is_that_before_the_last_activation(rng):
    net = MLP(4, 2, [6], ["relu", "tanh"], criterion="mse")
    y = rng.standard_normal((ROWS, 2))
    output = net.forward(rng.standard_normal((ROWS, 4)))
    net.backward(y)
    gradient, _ = measured(net)
    assert gradient == pytest.approx(log2_norm((output - y) * (1 - output**2) / ROWS))


def test_batchnorm_decides_how_large_an_output_is(rng):
    net = MLP(4, 3, [6], "relu", num_bn_layers=1)
    net.forward(rng.standard_normal((ROWS, 4)))
    output = net.activations[0].state.copy()
    net.backward(rng.integers(0, 3, ROWS))
    net.step()
    _, table = measured(net)
    np.testing.assert_array_equal(table[:, g.NORMALISED], [1, 0])
    assert table[0, g.OUTPUT] == pytest.approx(with_one(output))


def test_dead_layers_pass_nothing_on(rng):
    net = MLP(4, 3, [6, 5], "relu", bias_init_fn=lambda n: np.full(n, -100.0))
    net.forward(rng.standard_normal((ROWS, 4)))
    net.backward(rng.integers(0, 3, ROWS))
    net.step()
    _, table = measured(net)
    assert not np.isnan(table).any()
    assert table[0, g.FORWARD] == table[1, g.FORWARD] == -np.inf
    assert table[1, g.BACKWARD] == -np.inf
