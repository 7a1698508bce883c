"""Grids: counted, checked; a cell's numbers come from its description."""

import itertools

import numpy as np
import pytest

from mlp.stress.cell import measure, problem
from mlp.stress.grid import Cell, Grid
from mlp.stress.orthogonal import orthogonal
from mlp.stress.starts import NAMES, as_start

SMALL = {"depth": (3,), "width": (6,), "seeds": 1, "passes": 2, "batch": 4}


def test_cells_are_all_combinations():
    grid = Grid(init=("he", "xavier"), depth=(1, 2), lr=(0.1, 0.2, 0.3), seeds=4)
    cells = list(grid)
    expected = itertools.product(("he", "xavier"), (1, 2), (0.1, 0.2, 0.3), range(4))
    assert [(c.init, c.depth, c.lr, c.seed) for c in cells] == list(expected)
    assert grid.count == len(cells) == len({cell.key for cell in cells}) == 48


def test_a_billion_cells_are_counted_not_made():
    grid = Grid(depth=range(1, 1001), width=range(1, 1001), seeds=1000)
    assert grid.count == 10**9
    with pytest.raises(ValueError, match=r"got 1,000,000,000 cells \(.*1,000 depth.*100,000"):
        grid.check_count()
    grid.check_count(limit=10**9)
    assert Grid(depth=range(1, 10**30)).count == 10 * (10**30 - 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"init": ("hee",)}, "init is 'hee', .* 'he'"),
        ({"init": ("normal:x",)}, "'x'"),
        ({"init": ("scaled:1:2:3",)}, "expected scaled:σ_w"),
        ({"activation": ("rellu",)}, "activation is 'rellu'.*'relu'"),
        ({"normalization": ("batch_norm",)}, "normalization is 'batch_norm'.*'batchnorm'"),
        ({"depth": (0,)}, "depth is 0, expected at least 1"),
        ({"depth": range(9)}, "depth is 0, expected at least 1"),
        ({"depth": range(5, 5)}, "at least one value"),
        ({"depth": ()}, "at least one value"),
        ({"depth": (5, 5)}, "has 5 twice"),
        ({"width": (0,)}, "width is 0, expected at least 1"),
        ({"passes": 0}, "passes is 0, expected at least 1"),
        ({"seeds": 0}, "seeds is 0, expected at least 1"),
        ({"lr": (0.0,)}, "lr is 0.0, expected a positive number"),
        ({"criterion": "msee"}, "criterion is 'msee'.*'mse'"),
        ({"batch": 1, "normalization": ("batchnorm",)}, "batch is 1, expected at least 2"),
    ],
)
def test_bad_values_get_one_clear_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        Grid(**arguments)


def test_a_cell_is_a_function_of_its_description():
    """Whatever ran before; another seed is another network, and so is another rate."""
    first, second = Grid(**{**SMALL, "seeds": 2})
    (other,) = Grid(**SMALL, lr=(0.02,))
    assert measure(first) == measure(first)
    results = [measure(cell) for cell in (second, first, other)]
    assert results[1] == measure(first)
    assert len({str(result) for result in results}) == 3


@pytest.mark.parametrize("name", ["he", "xavier", "uniform", "normal:0.1", "scaled:1.5:0.3"])
def test_spread_of_weights(name):
    """Each to three standard errors of its variance."""
    n = 200
    variance = {"he": 2 / n, "xavier": 1 / n, "uniform": 1 / (3 * n), "normal:0.1": 0.01,
                "scaled:1.5:0.3": 1.5**2 / n}[name]  # fmt: skip
    start, rng = as_start("init", name), np.random.default_rng(1)
    w = start.weights(rng, n, n)
    assert w.var() == pytest.approx(variance, rel=3 * np.sqrt(2 / w.size))
    b = start.biases(rng, 2000)
    assert b.std() == pytest.approx(0.3 if ":0.3" in name else 0, rel=0.05)


@pytest.mark.parametrize("shape", [(7, 7), (5, 8), (8, 5), (1, 4)])
def test_orthogonal(shape):
    normals = np.random.default_rng(0).normal(size=shape)
    w = orthogonal(normals)
    gram = w @ w.T if shape[0] <= shape[1] else w.T @ w
    assert w.shape == shape
    np.testing.assert_allclose(gram, np.eye(min(shape)), atol=1e-14)
    q, r = np.linalg.qr(normals.T if shape[0] <= shape[1] else normals)
    q *= np.sign(np.diag(r))
    np.testing.assert_allclose(w, q.T if shape[0] <= shape[1] else q, atol=1e-13)


@pytest.mark.compiled
def test_lsuv_gives_unit_variance_in_each_layer():
    (cell,) = Grid(init=("lsuv",), activation=("tanh",), depth=(4,), width=(16,), seeds=1)
    net, x, _ = problem(cell)
    for linear in net.linear_layers:
        z = x @ linear.W + linear.b
        assert z.var() == pytest.approx(1, rel=1e-12)
        x = np.tanh(z)


@pytest.mark.parametrize(
    "name", [n if n not in ("normal", "scaled") else f"{n}:0.5" for n in NAMES]
)
def test_every_start_runs(name):
    for normalization in ("none", "batchnorm"):
        (cell,) = Grid(init=(name,), normalization=(normalization,), **SMALL)
        assert measure(cell)["loss_first"] > 0


@pytest.mark.compiled
def test_growth_in_a_relu_network_of_he():
    """He et al. 2015: mean squares stay; over the seeds their logarithms fall by 5/(2n) a layer
    (Hanin & Nica 2018).
    """
    grid = Grid(depth=(11,), width=(64,), seeds=40, passes=1, batch=1)
    found = np.array([measure(cell)["log2_output_growth"] for cell in grid])
    drift = -5 / 64 / 2 / np.log(2)
    assert abs(found.mean() - drift) < 3 * found.std() / np.sqrt(len(found)) + 1 / 64


def test_growth_of_gradients_by_hand():
    """Backward of a ReLU network with squared errors, in NumPy."""
    (cell,) = Grid(depth=(5,), width=(16,), seeds=1, passes=1, batch=8)
    net, x, targets = problem(cell)
    weights = [linear.W for linear in net.linear_layers]
    inputs = [x]
    for w in weights[:-1]:
        inputs.append(np.maximum(inputs[-1] @ w, 0))
    delta, sizes = inputs[-1] @ weights[-1] - targets, []
    for layer in range(4, -1, -1):
        delta = delta @ weights[layer].T
        sizes.append(np.mean(delta**2))
        delta = delta * (inputs[layer] > 0)
    expected = np.log2(sizes[-1] / sizes[0]) / 4
    assert measure(cell)["log2_gradient_growth"] == pytest.approx(expected, rel=1e-9)


def test_a_network_that_explodes():
    cell = Cell("normal:5", "relu", "none", 4, 8, 0.1, 0, 20, 4, "mse", "float32")
    result = measure(cell)
    assert 1 <= result["overflow_pass"] <= 20
    assert result["first_nonfinite"]["pass"] == result["overflow_pass"]
