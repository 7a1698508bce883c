"""predict, predict_proba, evaluate: the forward of evaluation mode, which disturbs nothing."""

import threading

import numpy as np
import pytest

from mlp import MLP, inference
from tests.mlp.oracle import Oracle

RTOL = {np.float64: 1e-12, np.float32: 2e-5}


@pytest.fixture(params=["one batch", "many"])
def batches(request, monkeypatch):
    if request.param == "many":
        monkeypatch.setattr(inference, "ARENA_BYTES", 600)


def trained(dtype, criterion="softmax_cross_entropy"):
    """A network whose running statistics are not those it began with, and an oracle of it."""
    rng = np.random.default_rng(0)
    net = MLP(4, 3, [6], "tanh", num_bn_layers=1, criterion=criterion, lr=0.1, dtype=dtype)
    oracle = Oracle(net)
    for _ in range(5):
        x = rng.standard_normal((9, 4)).astype(dtype)
        y = rng.dirichlet(np.ones(3), 9).astype(dtype)
        net.train_step(x, y)
        oracle.forward(x.astype(float))
        oracle.backward(y.astype(float))
        oracle.step()
    return net, oracle, rng.standard_normal((41, 4)).astype(dtype)


def test_predict_gives_the_largest_output(dtype, batches):
    net, oracle, x = trained(dtype)
    z = oracle.forward(x.astype(float), training=False)
    classes = net.predict(x)
    assert classes.dtype == np.int64
    np.testing.assert_array_equal(classes, z.argmax(axis=1))
    p = net.predict_proba(x)
    assert p.dtype == dtype
    np.testing.assert_allclose(
        p, np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), rtol=RTOL[dtype]
    )


def test_predict_with_mse_gives_the_outputs(dtype, batches):
    net, oracle, x = trained(dtype, "mse")
    z = oracle.forward(x.astype(float), training=False)
    np.testing.assert_allclose(net.predict(x), z, rtol=0, atol=RTOL[dtype])
    with pytest.raises(ValueError, match="MLP.predict_proba: criterion is mse, expected softmax"):
        net.predict_proba(x)


@pytest.mark.parametrize("labels", ["classes", "soft", "mse"])
def test_evaluate_is_the_mean_loss_and_the_fraction_of_mistakes(labels, dtype, batches, rng):
    net, oracle, x = trained(dtype, "mse" if labels == "mse" else "softmax_cross_entropy")
    y = rng.integers(0, 3, 41) if labels == "classes" else rng.dirichlet(np.ones(3), 41)
    targets = np.eye(3)[y] if labels == "classes" else y.astype(dtype).astype(float)
    z = oracle.forward(x.astype(float), training=False)
    loss, error = net.evaluate(x, y if labels == "classes" else y.astype(dtype))
    assert loss == pytest.approx(oracle.losses(targets).mean(), rel=RTOL[dtype])
    if labels == "mse":
        assert error is None
    else:
        assert error == (z.argmax(axis=1) != targets.argmax(axis=1)).mean()


def test_a_pending_backward_is_not_disturbed(dtype):
    net, _, x = trained(dtype)
    twin, _, _ = trained(dtype)
    labels = np.arange(41) % 3
    net.forward(x)
    twin.forward(x)
    kept = net._memory.copy()
    net.predict(x[:7])
    net.predict_proba(x)
    net.evaluate(x, labels)
    assert net.train_mode
    np.testing.assert_array_equal(net._memory, kept)
    np.testing.assert_array_equal(net.output, twin.output)
    np.testing.assert_array_equal(net.backward(labels), twin.backward(labels))
    np.testing.assert_array_equal(net.grads, twin.grads)


def test_the_mode_does_not_matter():
    net, _, x = trained(np.float64)
    first = net.predict_proba(x)
    net.eval()
    np.testing.assert_array_equal(net.predict_proba(x), first)
    assert not net.train_mode


def test_a_row_with_nan_has_no_class_and_is_a_mistake(batches):
    net, _, x = trained(np.float64)
    x[3, 1] = np.nan
    classes = net.predict(x)
    assert classes[3] == -1
    assert (np.delete(classes, 3) >= 0).all()
    assert np.isnan(net.predict_proba(x)[3]).all()
    classes[3] = 0
    loss, error = net.evaluate(x, classes)
    assert np.isnan(loss)
    assert error == 1 / 41


def test_no_rows():
    net, _, x = trained(np.float64)
    assert net.predict(x[:0]).shape == (0,)
    assert net.predict_proba(x[:0]).shape == (0, 3)
    with pytest.raises(ValueError, match=r"MLP.evaluate: x has shape \(0, 4\), expected at least"):
        net.evaluate(x[:0], [])


def test_threads_may_ask_at_once():
    net, _, _ = trained(np.float64)
    rng = np.random.default_rng(1)
    questions = [rng.standard_normal((60, 4)) for _ in range(8)]
    expected = [net.predict_proba(x) for x in questions]
    found = [None] * 8

    def ask(i):
        for _ in range(3):
            found[i] = net.predict_proba(questions[i])

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for got, answer in zip(found, expected, strict=True):
        np.testing.assert_array_equal(got, answer)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "evaluate"])
def test_wrong_arguments(method):
    net, _, x = trained(np.float64)
    more = ([0] * 41,) if method == "evaluate" else ()
    for wrong, kind, message in (
        (x[:, :2], ValueError, r"x has shape \(41, 2\), expected \(N, 4\)"),
        (x.astype(np.float32), TypeError, "x has dtype float32, expected float64"),
        (None, TypeError, "x has dtype object"),
    ):
        with pytest.raises(kind, match=f"MLP.{method}: {message}"):
            getattr(net, method)(wrong, *more)


def test_wrong_labels():
    net, _, x = trained(np.float64)
    with pytest.raises(ValueError, match=r"MLP.evaluate: y\[2\] is 3, expected a class from 0 to"):
        net.evaluate(x, [0, 1, 3] + [0] * 38)
    with pytest.raises(ValueError, match=r"MLP.evaluate: y has 2 rows, expected 41"):
        net.evaluate(x, [0, 1])
