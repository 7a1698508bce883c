"""A training step that is compiled for one architecture, beside the one that serves all."""

import numba
import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

from mlp import MLP

ROWS = 5


def network(activation="relu", dtype=np.float64, **options):
    options = {"lr": 0.05, "momentum": 0.9, "seed": 2} | options
    if options.get("optimizer", "momentum") not in ("momentum", "nesterov"):
        del options["momentum"]
    net = MLP(3, 4, [5, 2], activation, dtype=dtype, **options)
    net.params = net.params + np.random.default_rng(0).normal(0, 0.2, net.params.size).astype(dtype)
    return net


def batch(kind, rng, dtype=np.float64, rows=ROWS):
    x = rng.standard_normal((rows, 3)).astype(dtype)
    if kind == "classes":
        return x, rng.integers(0, 4, rows)
    return x, rng.dirichlet(np.ones(4), rows).astype(dtype)


CASES = [
    ("classes", {}),
    ("rows", {"activation": "elu", "num_bn_layers": 1, "reduction": "sum", "dtype": np.float32}),
]
MORE = [
    ("mse", {"activation": "tanh", "criterion": "mse", "momentum": 0.0}),
    ("classes", {"activation": "gelu", "weight_decay": 0.01, "optimizer": "adam"}),
    ("classes", {"activation": "leaky_relu", "optimizer": "nesterov"}),
    ("classes", {"activation": "identity", "max_norm": 0.1}),
    ("classes", {"activation": "sigmoid", "optimizer": "adamw"}),
    ("rows", {"num_bn_layers": 2, "max_norm": 0.1}),
    ("mse", {"activation": "softplus", "criterion": "mse", "reduction": "sum"}),
]
"""Of an adaptive optimizer only without batchnorm, before which the gradient of a bias is 0 and
all that is computed of it is rounding."""


@pytest.mark.parametrize(
    ("kind", "options"), CASES + [pytest.param(*case, marks=pytest.mark.thorough) for case in MORE]
)
def test_it_is_the_step_of_every_network(kind, options, rng):
    ours, expected = network(**options), network(**options)
    train_step, params = ours.jit_train_step(ROWS, specialized=True)
    spacing = float(np.finfo(ours.dtype).eps)
    for lr in (0.05, 0.02):
        ours.lr = expected.lr = lr  # it is a setting, no constant
        x, y = batch(kind, rng, ours.dtype)
        loss = train_step(params, x, y)
        assert loss == pytest.approx(expected.train_step(x, y), rel=20 * spacing)
    np.testing.assert_allclose(ours.params, expected.params, rtol=0, atol=40 * spacing)
    assert ours.steps == expected.steps == 2
    for layer, other in zip(ours.bn_layers, expected.bn_layers, strict=True):
        np.testing.assert_allclose(layer.running_var, other.running_var, rtol=40 * spacing)


@pytest.mark.compiled
def test_in_compiled_code_it_allocates_nothing(rng):
    net = network()
    _nrt_python.memsys_enable_stats()
    step, params = net.jit_train_step(ROWS, specialized=True)
    x, y = batch("classes", rng)

    @numba.njit
    def many(params, x, y):
        for _ in range(100):
            step(params, x, y)

    many(params, x, y)
    before = rtsys.get_allocation_stats().alloc
    many(params, x, y)
    assert rtsys.get_allocation_stats().alloc - before == 4  # one record for each array handed over


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [(np.zeros((5, 2)), np.zeros(5, int), "x has the wrong width"),
     (np.zeros((4, 3)), np.zeros(4, int), "another number of rows than it is specialized for"),
     (np.zeros((5, 3)), np.zeros(4, int), "y has another number of rows"),
     (np.zeros((5, 3)), np.array([0, 1, 4, 0, 1]), "a class outside"),
     (np.zeros((5, 3)), np.array([0, 1, -1, 0, 1]), "a class outside"),
     pytest.param(np.zeros((5, 3)), np.zeros((5, 3)), "y has the wrong width",
                  marks=pytest.mark.thorough)],
)  # fmt: skip
def test_wrong_batches_are_refused_and_change_nothing(x, y, message):
    net = network()
    step, params = net.jit_train_step(ROWS, specialized=True)
    before = net.params.copy()
    with pytest.raises(ValueError, match=message):
        step(params, x, y)
    np.testing.assert_array_equal(net.params, before)


def test_another_networks_params_are_refused(rng):
    """Its places would be read as ours."""
    step, _ = network().jit_train_step(ROWS, specialized=True)
    others = [
        MLP(3, 4, [2, 5], "relu").jit_train_step(ROWS, specialized=True)[1],
        network("tanh").jit_train_step(ROWS, specialized=True)[1],
        network().jit_train_step(ROWS + 1, specialized=True)[1],
        network().jit_train_step(ROWS)[1],
    ]
    for params in others:
        with pytest.raises(ValueError, match="another network's, or was not specialized"):
            step(params, *batch("classes", rng))


def test_networks_of_one_architecture_share_a_step():
    one, other = network(seed=1), network(seed=2)
    assert one.jit_train_step(4, specialized=True)[0] is other.jit_train_step(4, True)[0]


@pytest.mark.thorough
def test_one_row_has_no_variance():
    step, params = network(num_bn_layers=1).jit_train_step(1, specialized=True)
    with pytest.raises(ValueError, match="at least 2 with batchnorm"):
        step(params, np.zeros((1, 3)), np.zeros(1, int))
