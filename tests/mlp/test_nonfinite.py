"""Training that leaves the finite numbers: what is named, and which parameters are left."""

import copy

import numpy as np
import pytest

from mlp import MLP, NonFiniteLoss, training
from tests.mlp.helpers import CLASSES, WIDTH, data, network


@pytest.fixture(params=["rarely", "often"])
def checkpoints(request, monkeypatch):
    """Checkpoints almost never, and before every slice."""
    share = {"rarely": 1e-9, "often": 1e9}[request.param]
    monkeypatch.setattr(training, "CHECKPOINT_SHARE", share)


def learned(net, memory):
    """All but the gradients, which training need not keep."""
    start = net._plan.gradients_at
    return np.delete(memory, slice(start, start + net._plan.n_parameters))


def stopped(net, x, y, message, **options):
    """Fit until it stops; the parameters must be those of the last finite loss."""
    twin = copy.copy(net)
    with pytest.raises(NonFiniteLoss, match=message) as caught:
        net.fit(x, y, shuffle=False, **options)
    assert isinstance(caught.value, FloatingPointError)
    size, finite = options["batch_size"], [twin._memory.copy()]
    with np.errstate(all="ignore"):
        for _ in range(options.get("epochs", 1)):
            for start in range(0, len(x), size):
                before = twin._memory.copy()
                loss = twin.train_step(x[start : start + size], y[start : start + size])
                if not np.isfinite(loss):
                    break
                finite.append(before)
                if not np.isfinite(twin.params).all():
                    break
            else:
                continue
            break
    np.testing.assert_array_equal(learned(net, net._memory), learned(net, finite[-1]))
    assert np.isfinite(net.params).all()


def test_nan_in_the_data_is_named_by_its_row(slices, checkpoints):
    x, y = data()
    x[29, 2] = np.nan
    stopped(network(), x, y, r"MLP.fit: epoch 1, step 4: x\[29, 2\] of the data set is nan;",
            batch_size=8)  # fmt: skip


def test_the_row_is_that_of_the_data_set_when_it_is_shuffled():
    x, y = data()
    x[29, 2] = -np.inf
    with pytest.raises(NonFiniteLoss, match=r"x\[29, 2\] of the data set is -inf"):
        network().fit(x, y, batch_size=8)


def test_divergence_is_named_by_layer_and_range(slices, checkpoints):
    """Too large a learning rate: every parameter is finite still when the loss overflows."""
    x, y = data("mse")
    net = MLP(WIDTH, CLASSES, [6], "identity", criterion="mse", lr=4.0, seed=1)
    message = (
        r"epoch 1, step 6: loss mse: losses\[0\] is inf, with outputs in "
        r"\[-\d.*e\+15\d, \d.*e\+15\d\], targets in \[0\.\d+, 0\.\d+\]; expected finite numbers"
    )
    stopped(net, x, y, message, batch_size=8)


def test_forward_that_overflows(slices):
    net = MLP(2, 2, [2], "relu", lr=0.0, weight_init_fn=lambda i, o: np.full((i, o), 1e100))
    x, y = np.ones((6, 2)), np.zeros(6, int)
    x[4:] = 1e150
    message = (
        r"epoch 1, step 3: forward of layer 2, affine: y\[0, 0\] is inf, with x in "
        r"\[2e\+250, 2e\+250\], W in \[1e\+100, 1e\+100\], b in \[0, 0\];"
    )
    stopped(net, x, y, message, batch_size=2)


def test_backward_that_overflows():
    net = MLP(2, 2, [], weight_init_fn="zeros", reduction="sum")
    x, y = np.full((4, 2), 1.5e308), np.zeros(4, int)
    stopped(net, x, y, r"backward of layer 1, affine: dW\[0, 0\] is -inf, with dy in \[-0.5, 0.5\]",
            batch_size=4)  # fmt: skip


def test_update_that_overflows(checkpoints):
    """The loss after it is finite: only the parameter shows it."""
    net = MLP(2, 2, [], weight_init_fn="zeros", lr=1e308, reduction="sum")
    x, y = np.zeros((8, 2)), np.zeros(8, int)
    stopped(net, x, y, r"update of layer 1, affine: b\[0, 0\] is inf, with dW in \[0, 0\], db in "
            r"\[-4, 4\]", batch_size=8)  # fmt: skip


def test_loss_that_overflows():
    net = MLP(2, 2, [], weight_init_fn=lambda i, o: np.eye(2) * 1e10)
    message = (
        r"loss softmax_cross_entropy: losses\[0\] is (-inf|nan), with outputs in "
        r"\[0, 1e\+10\], targets in \[1e\+308, 1e\+308\]"
    )
    stopped(net, np.eye(2), np.full((2, 2), 1e308), message, batch_size=2)


def test_losses_whose_sum_overflows_are_finite():
    """Only the epoch's mean is infinite then, and nothing is to blame."""
    net = MLP(1, 1, [], ["identity"], weight_init_fn="zeros", criterion="mse", lr=0.0)
    history = net.fit(np.ones((8, 1)), np.full((8, 1), 1.2e154), batch_size=1)
    assert history.loss == [np.inf]
    assert net.steps == 8


def test_a_batchnorm_layer_is_named(checkpoints):
    net = MLP(1, 2, [], num_bn_layers=1)
    net.bn_layers[0].gamma = [[1.0, 1.7e308]]
    x, y = np.linspace(-1, 1, 8)[:, None], np.arange(8) % 2
    stopped(net, x, y, r"forward of layer 1, batchnorm: y\[0, 1\] is -?inf, with x in .*, gamma in "
            r"\[1, 1.7e\+308\], beta in \[0, 0\]", batch_size=8)  # fmt: skip


def test_train_step_still_returns_what_it_finds():
    assert np.isnan(network().train_step(np.full((2, WIDTH), np.nan), [0, 1]))
