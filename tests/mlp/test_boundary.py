"""The boundary of a training step, at its first call and at a glance: one set of errors."""

import copy

import numpy as np
import pytest

from mlp import MLP

CHANGED_IN_PLACE = pytest.mark.filterwarnings("ignore:Setting the:DeprecationWarning")
"""Newer versions of NumPy warn of it."""

X, LABELS = np.random.default_rng(0).normal(size=(3, 2)), np.array([0, 1, 0])


def stepped(**settings):
    """A network after a step, so that the next on as many rows passes at a glance."""
    net = MLP(2, 2, [3], seed=1, lr=0.1, **settings)
    net.train_step(X.astype(net.dtype), LABELS)
    return net


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def misaligned(array):
    raw = np.zeros(array.nbytes + 1, np.uint8)[1:]
    view = raw.view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def every_other(array):
    wide = np.repeat(array, 2, axis=-1)
    return wide[..., ::2]


@pytest.mark.parametrize(
    ("x", "labels", "kind", "message"),
    [
        (np.ones((3, 1)), LABELS, ValueError, r"x has shape \(3, 1\), expected \(N, 2\)"),
        (np.ones((3, 3)), LABELS, ValueError, r"x has shape \(3, 3\), expected \(N, 2\)"),
        (np.ones((3, 2, 1)), LABELS, ValueError, r"x has shape \(3, 2, 1\)"),
        (np.ones(6), LABELS, ValueError, r"x has shape \(6,\)"),
        (X.astype(np.float32), LABELS, TypeError, "x has dtype float32, expected float64"),
        (X.astype(np.float16), LABELS, TypeError, "x has dtype float16"),
        (np.ma.masked_array(X), LABELS, TypeError, "x is a masked array"),
        (X, [0, 2, 0], ValueError, r"labels\[1\] is 2, expected a class from 0 to 1"),
        (X, np.array([0, 1, -1]), ValueError, r"labels\[2\] is -1, expected a class"),
        (X, np.array([2, 1, 0]), ValueError, r"labels\[0\] is 2"),
        (X, np.array([0, -(2**63), 0]), ValueError, r"labels\[1\] is -9223372036854775808"),
        (X, np.array([0, 1, 5], np.int32), ValueError, r"labels\[2\] is 5"),
        (X, np.array([0, 1]), ValueError, "labels has 2 rows, expected 3"),
        (X, np.array([0, 1, 0, 1]), ValueError, "labels has 4 rows, expected 3"),
        (X, LABELS.astype(float), TypeError, "labels has dtype float64"),
        (X, np.array(1), ValueError, r"labels has shape \(\), expected \(3, 2\)"),
        (np.array(1.0), LABELS, ValueError, r"x has shape \(\)"),
        (None, None, TypeError, "x has dtype object"),
        (X, LABELS[:, None], ValueError, r"labels has shape \(3, 1\)"),
        (X, np.ma.masked_array(LABELS), TypeError, "labels is a masked array"),
    ],
)  # fmt: skip
def test_after_a_step_the_errors_are_those_of_the_first(x, labels, kind, message):
    for net in (MLP(2, 2, [3]), stepped(), stepped(optimizer="adam", max_norm=0.5)):
        memory, output, steps = net._memory.copy(), net.output, net.steps
        with pytest.raises(kind, match=f"MLP.train_step: {message}"):
            net.train_step(x, labels)
        np.testing.assert_array_equal(net._memory, memory)
        assert net.steps == steps
        assert (net.output is None) == (output is None)
        if output is not None:
            np.testing.assert_array_equal(net.output, output)


@pytest.mark.parametrize(
    ("x", "labels"),
    [
        (np.asfortranarray(X), LABELS),
        (every_other(X), LABELS),
        (X[::-1][::-1], LABELS),
        (read_only(X), read_only(LABELS)),
        (misaligned(X), misaligned(LABELS)),
        (X.astype(">f8"), LABELS.astype(">i8")),
        (X.view(np.matrix), LABELS),
        (X.tolist(), LABELS.tolist()),
        (X, LABELS.astype(np.int32)),
        (X, LABELS.astype(np.uint64)),
        (X, LABELS.astype(bool)),
        (X, every_other(LABELS)),
        (X.astype(np.dtype("f8", metadata={"unit": "m"})), LABELS),
    ],
)
def test_what_is_not_read_as_it_lies_is_converted(x, labels):
    expected, net = stepped(), stepped()
    assert net.train_step(x, labels) == expected.train_step(X, LABELS)
    np.testing.assert_array_equal(net._memory, expected._memory)


def test_memory_maps(tmp_path):
    x = np.memmap(tmp_path / "x", float, "w+", shape=X.shape)
    x[:] = X
    expected, net = stepped(), stepped()
    assert net.train_step(x, LABELS) == expected.train_step(X, LABELS)


@CHANGED_IN_PLACE
def test_an_array_that_has_changed_is_looked_at_again():
    """The same object, first right, then not."""
    net, x, labels = stepped(), X.copy(), LABELS.copy()
    net.train_step(x, labels)
    memory = net._memory.copy()
    x.shape = (2, 3)
    with pytest.raises(ValueError, match=r"x has shape \(2, 3\), expected \(N, 2\)"):
        net.train_step(x, labels)
    x.shape = (3, 2)
    x.dtype = np.int64
    with pytest.raises(ValueError, match="x holds numbers that float64 cannot represent"):
        net.train_step(x, labels)
    x.dtype = np.float64
    labels[2] = 2
    with pytest.raises(ValueError, match=r"labels\[2\] is 2"):
        net.train_step(x, labels)
    labels[2] = 0
    labels.dtype = np.float64
    with pytest.raises(TypeError, match="labels has dtype float64"):
        net.train_step(x, labels)
    np.testing.assert_array_equal(net._memory, memory)


def test_batches_of_every_size_in_turn():
    """Larger, smaller, empty: each agrees with a network that has seen no other size before."""
    rng, net = np.random.default_rng(2), stepped()
    for n in (1, 1, 8, 8, 0, 0, 3, 1):
        x, labels = rng.normal(size=(n, 2)), rng.integers(0, 2, n)
        fresh = copy.copy(net)
        assert net.train_step(x, labels) == fresh.train_step(x, labels)
        np.testing.assert_array_equal(net._memory, fresh._memory)


@pytest.mark.parametrize("labels", [[0, 1, 2], np.array([0, 1, 2])])
def test_a_refused_step_leaves_the_forward_before_it(labels):
    net, other = stepped(), stepped()
    for one in (net, other):
        one.forward(X)
    with pytest.raises(ValueError, match=r"labels\[2\] is 2"):
        net.train_step(X, labels)
    np.testing.assert_array_equal(net.backward(LABELS), other.backward(LABELS))
    with pytest.raises(ValueError, match=r"labels\[2\] is 2"):
        net.train_step(X, labels)
    np.testing.assert_array_equal(net.layer_gradients[0], other.layer_gradients[0])


def test_a_step_uses_up_the_forward_before_it():
    net = stepped()
    net.forward(X)
    net.backward(LABELS)
    for _ in range(2):
        net.train_step(X, LABELS)
        with pytest.raises(ValueError, match="expected a forward before it"):
            net.backward(LABELS)
        with pytest.raises(ValueError, match="expected a backward before it"):
            net.layer_gradients  # noqa: B018, reading it is the test


def test_the_mode_is_looked_at_each_time():
    net = stepped(num_bn_layers=1)
    net.eval()
    memory = net._memory.copy()
    with pytest.raises(ValueError, match=r"evaluation mode, expected train\(\)"):
        net.train_step(X, LABELS)
    np.testing.assert_array_equal(net._memory, memory)
    net.forward(X[:1])
    net.train()
    with pytest.raises(ValueError, match="x has 1 row, expected at least 2"):
        net.train_step(X[:1], LABELS[:1])
    np.testing.assert_array_equal(net._memory, memory)
    assert np.isfinite(net.train_step(X, LABELS))


def test_float32_takes_float32_alone():
    net = stepped(dtype=np.float32)
    memory = net._memory.copy()
    with pytest.raises(TypeError, match="x has dtype float64, expected float32"):
        net.train_step(X, LABELS)
    np.testing.assert_array_equal(net._memory, memory)


def test_classes_are_no_target_rows():
    net = MLP(2, 2, criterion="mse")
    net.train_step(X, np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"labels has shape \(3,\), expected \(3, 2\)"):
        net.train_step(X, LABELS)


def test_a_loss_of_minus_infinity_is_a_loss():
    """Target rows may be anything: what says no to a class says nothing of them."""
    net = MLP(2, 2, weight_init_fn="zeros", bias_init_fn=lambda n: np.full(n, 100.0))
    assert net.train_step(X, np.full((3, 2), 1e307)) == -np.inf


def test_a_step_like_the_last_is_not_prepared_again(monkeypatch):
    net = stepped()

    def fail(*_):
        raise AssertionError("prepared again")

    monkeypatch.setattr("mlp.training.prepare", fail)
    assert np.isfinite(net.train_step(X.copy(), LABELS.copy()))
    net.predict(X)  # which has memory of its own
    assert np.isfinite(net.train_step(X, LABELS))
    with pytest.raises(AssertionError, match="prepared again"):
        net.train_step(X[:2], LABELS[:2])
