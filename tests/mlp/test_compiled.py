"""The network called from the user's own compiled code."""

import pickle
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

from mlp import MLP
from mlp.compiled import BUFFER_BYTES


def network(dtype=np.float64, **settings):
    net = MLP(4, 3, [7, 6], "tanh", num_bn_layers=1, dtype=dtype, seed=3, lr=0.05, **settings)
    net.params = net.params + np.random.default_rng(0).normal(0, 0.2, net.params.size).astype(dtype)
    return net


@numba.njit
def call(function, params, x, out):
    function(params, x, out)


@pytest.mark.parametrize("n", [0, 1, 2, 33])
def test_forward_is_the_networks(n, dtype, rng):
    net = network(dtype)
    x, labels = rng.standard_normal((8, 4)).astype(dtype), rng.integers(0, 3, 8)
    net.train_step(x, labels)  # running statistics worth the name
    forward, params = net.jit()
    x, out = rng.standard_normal((n, 4)).astype(dtype), np.full((n, 3), np.nan, dtype)
    call(forward, params, x, out)
    net.eval()
    np.testing.assert_allclose(out, net.forward(x), rtol=0, atol=20 * np.finfo(dtype).eps)


def test_one_sample_may_be_a_vector(rng):
    net = network()
    forward, params = net.jit()
    x, out = rng.standard_normal(4), np.empty(3)
    forward(params, x, out)
    net.eval()
    np.testing.assert_allclose(out, net.forward(x[None])[0], rtol=1e-14, atol=1e-15)


def test_a_batch_of_many_stretches(rng):
    """More rows than the buffers on the stack take at once."""
    net = MLP(3, 2, [BUFFER_BYTES // 64], seed=1)
    forward, params = net.jit()
    x, out = rng.standard_normal((21, 3)), np.empty((21, 2))
    forward(params, x, out)
    np.testing.assert_allclose(out, net.forward(x), rtol=1e-12, atol=1e-12)


def test_forward_sees_what_the_network_learns(rng):
    net = network()
    forward, params = net.jit()
    x, out = rng.standard_normal((5, 4)), np.empty((5, 3))
    net.train_step(x, rng.integers(0, 3, 5))
    forward(params, x, out)
    net.eval()
    np.testing.assert_allclose(out, net.forward(x), rtol=1e-13, atol=1e-14)


@pytest.mark.compiled
def test_forward_in_a_parallel_loop(rng):
    net = network()
    forward, params = net.jit()

    @numba.njit(parallel=True)
    def everywhere(params, x, out):
        for i in numba.prange(x.shape[0]):
            forward(params, x[i], out[i])

    x, out, serial = rng.standard_normal((500, 4)), np.empty((500, 3)), np.empty((500, 3))
    everywhere(params, x, out)
    for i in range(500):
        forward(params, x[i], serial[i])
    np.testing.assert_array_equal(out, serial)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("kind", ["classes", "rows", "mse"])
@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_training_is_the_networks(kind, optimizer, reduction, rng):
    check_training(kind, optimizer, reduction, np.float64, rng)


def test_training_in_float32(rng):
    check_training("classes", "momentum", "mean", np.float32, rng)


def check_training(kind, optimizer, reduction, dtype, rng):
    settings = {"optimizer": optimizer, "reduction": reduction}
    if kind == "mse":
        settings["criterion"] = "mse"
    ours, expected = network(dtype, **settings), network(dtype, **settings)
    train_step, params = ours.jit_train_step(9)
    for n in (9, 2, 5):
        x = rng.standard_normal((n, 4)).astype(dtype)
        y = (
            rng.integers(0, 3, n)
            if kind == "classes"
            else rng.dirichlet(np.ones(3), n).astype(dtype)
        )
        loss = train_step(params, x, y)
        assert loss == pytest.approx(expected.train_step(x, y), rel=1e-12)
    np.testing.assert_array_equal(ours.params, expected.params)
    assert ours.steps == expected.steps == 3


@pytest.mark.compiled
def test_nothing_is_allocated(rng):
    net = network()
    _nrt_python.memsys_enable_stats()
    step, params = net.jit_train_step(8)
    forward, plan = net.jit()
    x, y, out = rng.standard_normal((8, 4)), rng.integers(0, 3, 8), np.empty((8, 3))

    @numba.njit
    def many(params, plan, x, y, out):
        for _ in range(100):
            step(params, x, y)
            forward(plan, x, out)

    many(params, plan, x, y, out)
    before = rtsys.get_allocation_stats().alloc
    many(params, plan, x, y, out)
    assert rtsys.get_allocation_stats().alloc - before == 7  # one record for each array handed over


@pytest.mark.parametrize(
    ("x", "out", "message"),
    [((5, 3), (5, 3), "x has the wrong width"), ((5, 4), (5, 4), "out has the wrong shape"),
     ((5, 4), (4, 3), "out has the wrong shape"), ((4,), (2, 3), "out has the wrong shape")],
)  # fmt: skip
def test_forward_refuses_shapes(x, out, message):
    forward, params = network().jit()
    kept = np.full(out, 7.0)
    with pytest.raises(ValueError, match=message):
        forward(params, np.zeros(x), kept)
    assert (kept == 7).all()


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [(np.zeros((5, 3)), np.zeros(5, int), "x has the wrong width"),
     (np.zeros((9, 4)), np.zeros(9, int), "more rows than"),
     (np.zeros((1, 4)), np.zeros(1, int), "at least 2"),
     (np.zeros((5, 4)), np.zeros(4, int), "another number of rows"),
     (np.zeros((5, 4)), np.array([0, 1, 3, 0, 1]), "a class outside"),
     (np.zeros((5, 4)), np.array([0, 1, -1, 0, 1]), "a class outside"),
     (np.zeros((5, 4)), np.zeros((5, 4)), "y has the wrong width")],
)  # fmt: skip
def test_a_step_refuses_shapes_and_classes(x, y, message):
    net = network()
    step, params = net.jit_train_step(8)
    before = net.params.copy()
    with pytest.raises(ValueError, match=message):
        step(params, x, y)
    np.testing.assert_array_equal(net.params, before)


def test_classes_do_not_fit_mse():
    step, params = network(criterion="mse").jit_train_step(8)
    with pytest.raises(ValueError, match="expected target rows"):
        step(params, np.zeros((5, 4)), np.zeros(5, int))


WRONG_TYPES = [
    (np.zeros((5, 4), np.float32), np.zeros((5, 3)), "x is"),
    (np.zeros((5, 4)), np.zeros((5, 3), np.float32), "out is"),
    (np.zeros((4, 5)).T, np.zeros((5, 3)), "x is"),
    (np.zeros((5, 4)), np.zeros((3, 5)).T, "out is"),
    (np.zeros((5, 4), int), np.zeros((5, 3)), "x is"),
]


@pytest.mark.compiled
@pytest.mark.parametrize(("x", "out", "message"), WRONG_TYPES)
def test_dtypes_and_layouts_are_refused_while_compiling(x, out, message):
    forward, params = network().jit()
    with pytest.raises(numba.TypingError, match=message):
        forward(params, x, out)


@pytest.mark.compiled
def test_what_cannot_be_written_is_refused():
    forward, params = network().jit()
    out = np.zeros((5, 3))
    out.flags.writeable = False
    with pytest.raises(numba.TypingError, match="read-only"):
        forward(params, np.zeros((5, 4)), out)


def test_layers_too_wide_for_the_stack_are_refused():
    with pytest.raises(ValueError, match="expected at most"):
        MLP(1, 1, [BUFFER_BYTES]).jit()
    with pytest.raises(ValueError, match="max_rows"):
        network().jit_train_step(0)


IN_ANOTHER_PROCESS = """
import pickle, sys
import warnings
import numpy as np
warnings.simplefilter("ignore", ResourceWarning)
from mlp.compiled import forward, train_step
for name, function in ("forward", forward), ("train_step", train_step):
    try:
        last = np.zeros((1, 2)) if name == "forward" else np.zeros(1, np.int64)
        function(pickle.load(open(sys.argv[1], "rb"))[name], np.zeros((1, 3)), last)
    except ValueError as error:
        print(error)
"""


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="plain functions have no addresses")
def test_params_of_another_process_are_refused(tmp_path):
    """They hold addresses; there they would be those of anything."""
    net = MLP(3, 2)
    kept = {"forward": net.jit()[1], "train_step": net.jit_train_step(4)[1]}
    (tmp_path / "params").write_bytes(pickle.dumps(kept))
    done = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, str(tmp_path / "params")],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
    )  # fmt: skip
    expected = "params was made in another process, and is good only there"
    assert done.stdout.splitlines() == [f"forward: {expected}", f"train_step: {expected}"]
