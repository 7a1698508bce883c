"""Threads that share a step: the same bits for any number, and no way to hang or to abort."""

import copy
import gc
import multiprocessing
import os
import signal
import threading
import time

import numpy as np
import pytest

from mlp import MLP, get_num_threads, set_num_threads
from mlp.threads import POOL, Pace, Task

pytestmark = pytest.mark.compiled


@pytest.fixture(autouse=True)
def as_before():
    threads = get_num_threads()
    yield
    set_num_threads(threads)


@pytest.fixture
def always(monkeypatch):
    """Every call is shared, however small and however slow that is."""
    monkeypatch.setattr(Pace, "choose", lambda pace: True)


def network(seed=0, **options):
    defaults = {"hiddens": [70, 33], "activations": "tanh", "dtype": np.float32, "seed": seed}
    net = MLP(20, 5, **(defaults | options))
    net._shared_batch = 0
    return net


def batch(rows=37, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, 20)).astype(np.float32), rng.integers(0, 5, rows)


VARIANTS = {
    "relu": {"activations": "relu", "hiddens": [70, 130, 33]},
    "gelu": {"activations": "gelu"},
    "batchnorm": {"num_bn_layers": 2},
    "momentum": {"momentum": 0.9, "weight_decay": 0.01},
    "adam": {"optimizer": "adam"},
    "clipped": {"optimizer": "adamw", "max_norm": 0.1},
    "mse": {"criterion": "mse"},
    "one layer": {"hiddens": []},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_any_number_of_threads_gives_the_same_bits(variant, always):
    x, classes = batch()
    labels = np.eye(5, dtype=np.float32)[classes] if variant == "mse" else classes
    expected = None
    for threads in (1, 2, 3, 7):
        set_num_threads(threads)
        net = network(**VARIANTS[variant])
        losses = [net.train_step(x, labels) for _ in range(4)]
        history = net.fit(x, labels, epochs=2, batch_size=10)
        output, dx = net.forward(x), net.backward(labels)
        got = [
            losses,
            history.loss,
            net._memory,
            output,
            dx,
            net.predict(x),
            *net.evaluate(x, labels),
        ]
        expected = expected or got
        for one, other in zip(got, expected, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize("shape", [(24, 3), (14, 5), (72, 1), (136, 1), (138, 1)])
def test_the_last_share_of_an_update_is_no_short_loop(optimizer, shape, dtype, always):
    """Sizes a few beyond whole shares."""
    rng = np.random.default_rng(4)
    x, labels = rng.standard_normal((64, shape[0])).astype(dtype), rng.integers(0, shape[1], 64)
    expected = None
    for threads in (1, 2, 3):
        set_num_threads(threads)
        net = MLP(*shape, optimizer=optimizer, lr=1e-2, dtype=dtype)
        net._shared_batch = 0
        for _ in range(50):
            net.train_step(x, labels)
        expected = net.params.copy() if expected is None else expected
        np.testing.assert_array_equal(net.params, expected)


def test_large_products_are_split_without_a_trace(always):
    """Blocks of c, panels of both operands, and a width that no number of threads divides."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((150, 300)).astype(np.float32)
    labels = rng.integers(0, 11, 150)
    results = []
    for threads in (1, 2, 5):
        set_num_threads(threads)
        net = MLP(300, 11, [517, 260], dtype=np.float32, seed=1)
        net._shared_batch = 0
        net.train_step(x, labels)
        results.append(net.params.copy())
    for result in results:
        np.testing.assert_array_equal(result, results[0])


def test_a_refused_step_ends_for_all(always):
    set_num_threads(3)
    net, (x, labels) = network(), batch()
    net.train_step(x, labels)
    before = net.params.copy()
    with pytest.raises(ValueError, match=r"labels\[4\] is 5"):
        net.train_step(x, np.where(np.arange(37) == 4, 5, labels))
    np.testing.assert_array_equal(net.params, before)
    net.train_step(x, labels)
    assert (net.params != before).any()


@pytest.mark.parametrize("changed", ["to a wrong class", "from a wrong class"])
def test_labels_that_change_meanwhile_hold_up_nobody(changed, always, monkeypatch):
    """What the first thread sees counts for all: none waits for one that saw something else."""
    set_num_threads(3)
    net, (x, labels) = network(), batch()
    net.train_step(x, labels)
    twin = copy.copy(net)
    wrong = np.where(np.arange(37) == 4, 5, labels)
    seen, others = (labels, wrong) if changed == "to a wrong class" else (wrong, labels)

    def share(task, thread):
        arguments = list(task.arguments)
        arguments[3] = seen if thread == 0 else others
        return task.compiled(*arguments, thread, task.threads)

    monkeypatch.setattr(Task, "share", share)
    outcome = []

    def train():
        try:
            outcome.append(net.train_step(x, labels))
        except ValueError as error:
            outcome.append(str(error))

    thread = threading.Thread(target=train, daemon=True)
    thread.start()
    thread.join(timeout=20)
    assert not thread.is_alive()
    if seen is wrong:
        assert "labels[4] is 5, expected a class from 0 to 4" in outcome[0]
    else:
        set_num_threads(1)
        assert outcome == [twin.train_step(x, labels)]
    np.testing.assert_array_equal(net.params, twin.params)


def test_networks_may_train_in_threads_of_python(always):
    """One of them has the pool, the others work alone; each gets what it would by itself."""
    x, labels = batch()
    alone = [network(seed) for seed in range(4)]
    for net in alone:
        net.fit(x, labels, epochs=30)
    set_num_threads(3)
    together = [network(seed) for seed in range(4)]
    threads = [
        threading.Thread(target=net.fit, args=(x, labels), kwargs={"epochs": 30})
        for net in together
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.params, other.params)


def in_child(queue):
    net, (x, labels) = network(), batch()
    queue.put([net.train_step(x, labels) for _ in range(3)])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_has_threads_of_its_own(always):
    set_num_threads(2)
    net, (x, labels) = network(), batch()
    expected = [net.train_step(x, labels) for _ in range(3)]
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=in_child, args=(queue,))
    child.start()
    assert queue.get(timeout=60) == expected
    child.join(timeout=60)
    assert child.exitcode == 0


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers")
def test_interrupts_leave_completed_calls(always):
    """Wherever they come, no thread is left waiting and the pool is free again."""
    set_num_threads(2)
    net, (x, labels) = network(), batch()
    net.train_step(x, labels)

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    caught = 0
    gc.disable()  # what is raised while it calls somebody back is dropped, with a warning
    try:
        end = time.perf_counter() + 1.0
        while time.perf_counter() < end:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0005)
                while time.perf_counter() < end:
                    net.train_step(x, labels)
            except KeyboardInterrupt:
                caught += 1
    finally:
        gc.enable()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert caught > 20
    assert not POOL.busy.locked()
    assert np.isfinite(net.train_step(x, labels))


def test_the_faster_way_is_found_and_found_again():
    pace, seconds = Pace(), {True: 1.0, False: 2.0}

    def calls(count):
        chosen = []
        for _ in range(count):
            chosen.append(pace.choose())
            pace.note(chosen[-1], seconds[chosen[-1]])
        return chosen

    calls(40)
    assert sum(calls(1000)) > 950
    seconds[True] = 20.0  # somebody else is on a core
    calls(40)
    assert sum(calls(1000)) < 50
    seconds[True] = 1.0
    calls(4 * 1024)
    assert sum(calls(1000)) > 950


def test_a_way_that_is_far_slower_is_looked_at_once_a_time():
    pace, chosen = Pace(), []
    for _ in range(1100):
        chosen.append(pace.choose())
        pace.note(chosen[-1], 50.0 if chosen[-1] else 1.0)
    # Five calls to begin with, then one after each 16, 32, 64, 128, 256 and 512.
    assert sum(chosen) == 5 + 6


@pytest.mark.parametrize(
    ("widths", "rows", "shared"),
    [((784, 512, 256, 10), 128, True), ((64,) * 50 + (10,), 32, False), ((8, 8, 2), 1000, False)],
)
def test_only_large_layers_are_shared(widths, rows, shared, monkeypatch):
    """However much fifty small ones are together: threads meet in each."""
    calls = []

    def run(compiled, arguments, pace):
        calls.append(1)
        return compiled(*arguments, 0, 1)

    monkeypatch.setattr(POOL, "run", run)
    first, *hiddens, last = widths
    net = MLP(first, last, hiddens, dtype=np.float32)
    net.train_step(np.zeros((rows, first), np.float32), np.zeros(rows, int))
    assert bool(calls) == shared


def test_the_number_of_threads():
    set_num_threads(3)
    assert get_num_threads() == 3
    for wrong, kind in ((0, ValueError), (1000, ValueError), (2.0, TypeError), (True, TypeError)):
        with pytest.raises(kind, match="set_num_threads: threads"):
            set_num_threads(wrong)
    assert get_num_threads() == 3
