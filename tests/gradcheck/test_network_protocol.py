"""What a network must keep between calls: the batch, parameters, statistics, large logits."""

import numpy as np
import pytest

from gradcheck import check_network
from mlp import MLP
from tests.gradcheck.plants import edited, planted

FORWARD = "for i, (layer, activation) in enumerate("
BACKWARD = "self.criterion.forward(self.output, labels)"
LINEAR = "return x @ self.W + self.b"
LOSS = "e = np.exp(x - x.max(axis=1, keepdims=True))"
MOVE = "self.running_mean = self.alpha * self.running_mean + (1 - self.alpha) * x.mean(axis=0)"


def network(edits, batchnorm=0, criterion="SoftmaxCrossEntropy"):
    """A small one without an activation before the loss."""
    names, rng = edited("homework", edits), np.random.default_rng(2)

    class Identity:
        def forward(self, x):
            self.state = x
            return x

        def derivative(self):
            return np.ones_like(self.state)

    net = names["MLP"](
        3, 3, [5, 4], [names["Tanh"](), names["Tanh"](), Identity()],
        lambda a, b: rng.standard_normal((a, b)), lambda b: rng.standard_normal((1, b)),
        names[criterion](), 0.1, num_bn_layers=batchnorm,
    )  # fmt: skip
    return net, rng.standard_normal((8, 3)), np.eye(3)[rng.integers(0, 3, 8)]


def found(report, name):
    finding = next(f for f in report.findings if f.name == name)
    return finding.verdict, finding.causes[0].slug if finding.causes else ""


RENAMED = ("class SoftmaxCrossEntropy", "class Criterion")
RIGHT = {
    "plain": ([], {}),
    "batchnorm": ([], {"batchnorm": 2}),
    "a criterion of another name": ([RENAMED], {"criterion": "Criterion"}),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_networks_keep_everything(name):
    edits, options = RIGHT[name]
    report = check_network(*network(edits, **options))
    assert report, str(report)
    assert not any("not tested" in note for note in report.notes)


@pytest.mark.parametrize(("edit", "name"), [
    ((FORWARD, f"x -= 0.5\n        {FORWARD}"), "x"),
    ((BACKWARD, f"labels *= 0.5\n        {BACKWARD}"), "labels"),
], ids=["x", "labels"])  # fmt: skip
def test_arguments_are_left_alone(edit, name):
    report = check_network(*network([edit]))
    assert found(report, name) == ("fail", "input-modified")


def test_backward_makes_no_step():
    step = "self.W -= 0.1 * self.dW\n        return dx"
    edit = ("return delta @ self.W.T\n", f"dx = delta @ self.W.T\n        {step}\n")
    report = check_network(*network([edit]))
    assert found(report, "linear_layers[0].W") == ("fail", "parameter-modified")
    assert found(report, "linear_layers[0].b") == ("pass", "")


@pytest.mark.parametrize("edit", [
    (LOSS, "e = np.exp(x)"),
    (LOSS, "e = np.exp(x - 3)"),
], ids=["no shift", "a fixed shift"])  # fmt: skip
@pytest.mark.parametrize("criterion", ["SoftmaxCrossEntropy", "Criterion"])
def test_exp_overflows_in_the_criterion(edit, criterion):
    edits = [edit, *([RENAMED] if criterion == "Criterion" else [])]
    report = check_network(*network(edits, criterion=criterion))
    assert found(report, "criterion") == ("fail", "max-shift-missing")


AVERAGES = {
    "swapped": (MOVE, MOVE.replace("self.alpha *", "(1 - self.alpha) *", 1).replace(
        "+ (1 - self.alpha)", "+ self.alpha"), "α and 1 − α are swapped"),
    "the variance": (MOVE, MOVE.replace("x.mean", "x.var"), "it gets the variance"),
    "the sum": (MOVE, MOVE.replace("x.mean", "x.sum"), "no average of it and the batch"),
}  # fmt: skip


@pytest.mark.parametrize("name", AVERAGES)
def test_running_statistics_are_averages(name):
    old, new, detail = AVERAGES[name]
    report = check_network(*network([(old, new)], batchnorm=2))
    place = "bn_layers[1] running statistics"
    assert found(report, place) == ("fail", "running-statistics-drift")
    assert detail in next(f.note for f in report.findings if f.name == place)


def with_modes(change):
    """Our own network, whose forward in evaluation has something changed."""

    class Net(MLP):
        def forward(self, x):
            if not self.train_mode:
                change(self, x)
            return super().forward(x)

    net = Net(3, 3, [5, 4], "tanh", seed=1, num_bn_layers=2)
    rng = np.random.default_rng(3)
    return net, rng.standard_normal((8, 3)), rng.integers(0, 3, 8)


def nothing(net, x):
    """Evaluation as it is."""


def drifts(net, x):
    net.bn_layers[1].running_var[...] *= 0.9


def looks(net, x):
    net.bn_layers[0].running_mean[...] = x.mean()


def test_evaluation_leaves_statistics_alone():
    net, x, labels = with_modes(nothing)
    assert check_network(net, x, labels)
    assert net.train_mode
    net, x, labels = with_modes(drifts)
    report = check_network(net, x, labels)
    place = "bn_layers[1] running statistics"
    assert found(report, place) == ("fail", "running-statistics-drift")
    np.testing.assert_array_equal(net.bn_layers[1].running_var, 1.0)


def test_samples_are_apart_in_evaluation():
    """A layer whose evaluation stops the averages, and normalises with the batch all the same."""
    kept = [(f"self.running_{what} = self", f"if self.training: self.running_{what} = self")
            for what in ("mean", "var")]  # fmt: skip
    net, x, labels = network(kept, batchnorm=1)
    (layer,) = net.bn_layers
    layer.training = True
    net.train = lambda: setattr(layer, "training", True)
    net.eval = lambda: setattr(layer, "training", False)
    report = check_network(net, x, labels)
    assert found(report, "forward") == ("fail", "batchnorm-mode-confused")
    assert layer.training


def test_dead_units_are_told_layer_by_layer():
    net, x, y = planted("homework", [], "ReLU")
    net.linear_layers[0].b[0, 1] = -50
    net.linear_layers[1].b[0, :2] = -80
    report = check_network(net, x, y)
    assert report
    assert {c.slug for c in report.conventions} == {"dead-unit"}
    assert "1 of 4 units of linear_layers[0]" in report.conventions[0].sentence
    assert "2 of 4 units of linear_layers[1]" in report.conventions[1].sentence


def test_one_bias_that_forward_leaves_out():
    net, x, y = planted("homework", [(LINEAR, "return x @ self.W + self.b * (len(self.W) != 5)")])
    report = check_network(net, x, y)
    assert found(report, "linear_layers[0].b") == ("fail", "bias-left-out")
    assert "forward: forward leaves out the bias of linear layer 0" in report.notes
