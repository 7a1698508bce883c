"""fit against the same steps one by one, against NumPy, and where it is interrupted."""

import os
import pickle
import signal
import threading
import time

import numpy as np
import pytest

from mlp import MLP, History, feed, training
from tests.mlp.helpers import CLASSES, N, data, network
from tests.mlp.oracle import Oracle


def batches_of(n, size, epochs, seed=0, *, merged=True):
    """Row numbers of every step, written from what `fit` promises."""
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        order = rng.permutation(n)
        cuts = list(range(size, n, size))
        if merged and cuts and n - cuts[-1] == 1:
            cuts.pop()
        yield np.split(order, cuts)


def step_by_step(net, x, y, size, epochs, **options):
    for epoch in batches_of(len(x), size, epochs, **options):
        for rows in epoch:
            net.train_step(x[rows], y[rows])


# ------------------------------------------------------------------------ the same steps


@pytest.mark.parametrize("labels", ["classes", "soft", "mse"])
@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_fit_does_the_steps_that_train_step_does(labels, optimizer, dtype, slices):
    options = {"optimizer": optimizer, "momentum": 0.0, "max_norm": 1.0}
    options["criterion"] = "mse" if labels == "mse" else "softmax_cross_entropy"
    one, other = network(dtype, **options), network(dtype, **options)
    x, y = data(labels, dtype)
    history = one.fit(x, y, epochs=3, batch_size=11, seed=5)
    step_by_step(other, x, y, 11, 3, seed=5)
    np.testing.assert_array_equal(one._memory, other._memory)
    assert one.steps == 3 * 4  # 11, 11, 11 and 12: a single row joins the batch before
    assert len(history.loss) == 3
    assert history is one.history


def test_history_has_the_same_bits_whatever_the_slices(dtype, monkeypatch):
    found = []
    for seconds in (0.0, training.SLICE_SECONDS, 1e9):
        monkeypatch.setattr(training, "SLICE_SECONDS", seconds)
        net = network(dtype)
        found.append(net.fit(*data(dtype=dtype), epochs=4, batch_size=7))
    for history in found[1:]:
        assert history.loss == found[0].loss
        assert history.error == found[0].error


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("labels", ["classes", "soft", "mse"])
def test_history_agrees_with_numpy(labels, reduction):
    criterion = "mse" if labels == "mse" else "softmax_cross_entropy"
    net = network(criterion=criterion, reduction=reduction, lr=0.01)
    oracle = Oracle(net)
    x, y = data(labels)
    targets = np.eye(CLASSES)[y] if labels == "classes" else y
    losses, errors = [], []
    for epoch in batches_of(N, 8, 2):
        total = wrong = 0
        for rows in epoch:
            z = oracle.forward(x[rows])
            total += oracle.losses(targets[rows]).sum()
            wrong += (z.argmax(axis=1) != targets[rows].argmax(axis=1)).sum()
            oracle.backward(targets[rows])
            oracle.step()
        losses.append(total / N)
        errors.append(wrong / N)
    history = net.fit(x, y, epochs=2, batch_size=8)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-12)
    assert history.error == ([] if labels == "mse" else errors)
    assert history.seconds > 0


@pytest.mark.parametrize(
    ("n", "size", "expected"),
    [(9, 4, [4, 5]), (5, 4, [5]), (8, 4, [4, 4]), (3, 2, [3]), (10, 4, [4, 4, 2]), (2, 9, [2])],
)
def test_a_single_row_joins_the_batch_before_it_with_batchnorm(n, size, expected, slices):
    one, other = network(), network()
    x, y = data(n=n)
    one.fit(x, y, epochs=2, batch_size=size, shuffle=False)
    stops = np.cumsum(expected)
    for _ in range(2):
        for start, stop in zip(stops - expected, stops, strict=True):
            other.train_step(x[start:stop], y[start:stop])
    np.testing.assert_array_equal(one._memory, other._memory)


def test_without_batchnorm_a_single_row_is_a_batch():
    one, other = network(num_bn_layers=0), network(num_bn_layers=0)
    x, y = data(n=9)
    one.fit(x, y, batch_size=4)
    step_by_step(other, x, y, 4, 1, merged=False)
    assert one.steps == 3
    np.testing.assert_array_equal(one._memory, other._memory)


def test_a_generator_goes_on_and_a_seed_begins_again():
    straight, halves, seeds = network(), network(), network()
    x, y = data()
    straight.fit(x, y, epochs=4, seed=np.random.default_rng(8))
    rng = np.random.default_rng(8)
    halves.fit(x, y, epochs=2, seed=rng)
    halves, rng = pickle.loads(pickle.dumps((halves, rng)))  # training goes on elsewhere
    halves.fit(x, y, epochs=2, seed=rng)
    np.testing.assert_array_equal(halves._memory, straight._memory)
    seeds.fit(x, y, epochs=2, seed=8)
    seeds.fit(x, y, epochs=2, seed=8)
    assert (seeds.params != straight.params).any()


def test_data_larger_than_a_slice(monkeypatch):
    x, y = data(n=500)
    one, other = network(), network()
    one.fit(x, y, epochs=2, batch_size=7)
    monkeypatch.setattr(feed, "SLICE_BYTES", 300)
    other.fit(x, y, epochs=2, batch_size=7)
    np.testing.assert_array_equal(one._memory, other._memory)


def test_validation_uses_running_statistics_and_changes_nothing():
    x, y = data()
    one, other = network(), network()
    history = one.fit(x, y, epochs=2, validation=(x[:9], y[:9]))
    losses = []
    rng = np.random.default_rng(0)
    for _ in range(2):
        other.fit(x, y, seed=rng)
        losses.append(other.evaluate(x[:9], y[:9]))
    np.testing.assert_array_equal(one._memory, other._memory)
    assert list(zip(history.validation_loss, history.validation_error, strict=True)) == losses
    assert one.train_mode


@pytest.mark.compiled  # in plain Python it would take minutes
@pytest.mark.parametrize("optimizer", ["momentum", "nesterov", "adam", "adamw"])
def test_it_learns_two_moons(optimizer, dtype):
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, np.pi, 200)
    y = np.arange(200) % 2
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x[y == 1] = [1, 0.5] - x[y == 1]
    lr = 0.01 if optimizer.startswith("adam") else 0.05
    momentum = 0.0 if optimizer.startswith("adam") else 0.9
    net = MLP(2, 2, [32], "tanh", lr=lr, momentum=momentum, optimizer=optimizer, dtype=dtype)
    history = net.fit(x.astype(dtype), y, epochs=150)
    assert history.error[-1] < history.error[0]
    assert net.evaluate(x.astype(dtype), y)[1] == 0
    np.testing.assert_array_equal(net.predict(x.astype(dtype)), y)


def test_a_history_says_what_it_is():
    assert repr(History()) == "<History of 0 epochs in 0 s>"
    history = History(seconds=1.5)
    history.add(0.25, 0.125)
    assert repr(history) == "<History of 1 epoch in 1.5 s: loss 0.25, error 12.50%>"
    history.add(2.0, None, validation=True)
    assert repr(history).endswith("loss 0.25, error 12.50%, validation loss 2>")


def test_no_epochs_are_no_steps():
    net = network()
    before = net._memory.copy()
    history = net.fit(*data(), epochs=0)
    assert history.loss == []
    np.testing.assert_array_equal(net._memory, before)


# --------------------------------------------------------------------------- interrupted


@pytest.fixture
def interruptible():
    """Where the suite runs in the background, it inherits a SIGINT that is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.compiled
@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_is_answered_at_a_completed_step():
    """Ctrl-C: within 0.1 s, and the network is what so many steps make of it.

    The promise is the library's, not the scheduler's: the fastest of a few answers counts.
    """
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((4000, 64)), rng.integers(0, 10, 4000)
    make = lambda: MLP(64, 10, [128, 128], lr=0.001, seed=1)  # noqa: E731, used twice below
    make().fit(x[:64], y[:64])  # compiled
    delays = []
    for _ in range(3):
        net, sent = make(), []

        def interrupt(sent=sent):
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

        timer = threading.Timer(0.3, interrupt)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            net.fit(x, y, epochs=100_000)
        delays.append(time.perf_counter() - sent[0])
        timer.join()
    assert min(delays) < 0.1
    steps, twin = net.steps, make()
    assert steps > 0
    per_epoch = -(-4000 // 32)
    assert len(net.history.loss) in (steps // per_epoch, (steps - 1) // per_epoch)
    for epoch in batches_of(4000, 32, steps // per_epoch + 1):
        for rows in epoch:
            if twin.steps < steps:
                twin.train_step(x[rows], y[rows])
    np.testing.assert_array_equal(net._memory, twin._memory)
    assert np.isfinite(net.fit(x, y).loss[0])


# ----------------------------------------------------------------------- wrong arguments

X, Y = data()


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"x": X[:, :2]}, ValueError, r"MLP.fit: x has shape \(45, 2\), expected \(N, 4\)"),
        ({"x": X.astype(np.float32)}, TypeError, "MLP.fit: x has dtype float32, expected float64"),
        ({"x": X[:0], "y": Y[:0]}, ValueError, r"x has shape \(0, 4\), expected at least 1 row"),
        ({"x": X[:1], "y": Y[:1]}, ValueError, "x has 1 row, expected at least 2"),
        ({"y": Y[:-1]}, ValueError, "MLP.fit: y has 44 rows, expected 45"),
        ({"y": np.where(np.arange(45) == 30, 3, Y)}, ValueError,
         r"MLP.fit: y\[30\] is 3, expected a class from 0 to 2"),
        ({"y": Y.astype(float)}, TypeError, "MLP.fit: y has dtype float64, expected integer"),
        ({"y": np.ones((45, 2))}, ValueError, r"y has shape \(45, 2\), expected \(45, 3\)"),
        ({"epochs": -1}, ValueError, "MLP.fit: epochs is -1, expected at least 0"),
        ({"epochs": 1.5}, TypeError, "MLP.fit: epochs is 1.5, expected a whole number"),
        ({"epochs": True}, TypeError, "MLP.fit: epochs is True"),
        ({"batch_size": 0}, ValueError, "MLP.fit: batch_size is 0, expected at least 2"),
        ({"batch_size": 1}, ValueError, "MLP.fit: batch_size is 1, expected at least 2"),
        ({"batch_size": None}, TypeError, "MLP.fit: batch_size is None"),
        ({"shuffle": 3}, TypeError, "MLP.fit: shuffle is 3, expected True or False"),
        ({"progress": "yes"}, TypeError, "MLP.fit: progress is 'yes', expected True or False"),
        ({"seed": "a"}, TypeError, "MLP.fit: seed is 'a', expected a seed or a Generator"),
        ({"validation": X}, TypeError, r"validation is ndarray, expected \(x, y\)"),
        ({"validation": (X, Y, Y)}, TypeError, "validation is tuple, expected"),
        ({"validation": (X, Y[:-1])}, ValueError, "MLP.fit: validation y has 44 rows"),
        ({"validation": (X[:, :1], Y)}, ValueError, "MLP.fit: validation x has shape"),
    ],
)  # fmt: skip
def test_wrong_arguments_change_nothing(arguments, kind, message):
    net = network()
    net.forward(X)
    memory, state = net._memory.copy(), net._state
    with pytest.raises(kind, match=message):
        net.fit(**{"x": X, "y": Y} | arguments)
    np.testing.assert_array_equal(net._memory, memory)
    assert net._state is state
    assert net.history is None
    net.backward(Y)  # the forward still counts


def test_evaluation_mode_is_refused():
    net = network()
    net.eval()
    with pytest.raises(ValueError, match=r"MLP.fit: .* evaluation mode, expected train\(\)"):
        net.fit(X, Y)


def test_a_batch_beyond_memory_changes_nothing():
    net = MLP(1, 1, [2_000_000], criterion="mse")
    output = net.forward(np.ones((1, 1)))
    n = 10_000_000
    with pytest.raises(MemoryError):
        net.fit(np.zeros((n, 1)), np.zeros((n, 1)), batch_size=n)
    np.testing.assert_array_equal(net.output, output)
    assert net.history is None


def test_lists_and_integers_are_converted_once():
    one, other = network(), network()
    x = np.arange(24).reshape(6, 4) % 5
    one.fit(x.tolist(), [0, 1, 2, 0, 1, 2])
    other.fit(x.astype(float), np.array([0, 1, 2, 0, 1, 2], np.int8))
    np.testing.assert_array_equal(one._memory, other._memory)


def test_there_is_no_last_batch_to_look_at():
    net = network()
    net.fit(X, Y)
    assert net.output is None
    with pytest.raises(ValueError, match="expected a forward before"):
        net.backward(Y)
