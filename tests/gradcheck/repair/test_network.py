"""Methods of whole networks are mended; classes and objects stay as they are."""

import linecache
from itertools import count

import numpy as np
import pytest

from gradcheck import check_network
from tests.gradcheck.plants import HERE

NUMBER = count()

MISTAKES = {
    "dx": ("return delta @ self.W.T", "return -(delta @ self.W.T)", "sign-flipped"),
    "dW": ("self.x.T @ delta,", "(self.x**2).T @ delta,", "power-rule"),
    "tanh of dx": (
        "return delta @ self.W.T",
        "return np.tanh(delta @ self.W.T)",
        "cotangent-clipped",
    ),
    "a term in dx": (
        "return delta @ self.W.T",
        "return delta @ self.W.T + self.b.sum()",
        "term-without-cotangent",
    ),
    "derivative": (
        "return 1 - self.state**2",
        "return 1 - self.state",
        "activation-derivative-formula",
    ),
    "criterion": ("return self.p - self.y", "return (self.p - self.y) ** 2", "power-rule"),
    "dW times n": (
        "self.x.T @ delta,",
        "self.x.T @ delta * len(delta),",
        "scaled-by-batch",
    ),
    "loop": (
        "delta = self.linear_layers[i].backward(delta)",
        "delta = np.clip(self.linear_layers[i].backward(delta), -0.02, 0.02)",
        "cotangent-clipped",
    ),
}


def network(right="", wrong=""):
    """The homework with one line replaced, and a batch; its number."""
    text = (HERE / "homework.py").read_text()
    assert right in text
    line = text[: text.index(right)].count("\n") + 1
    text = text.replace(right, wrong) if right else text
    name = f"homework_{next(NUMBER)}.py"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    names: dict = {}
    exec(compile(text, name, "exec"), names)
    rng = np.random.default_rng(2)
    net = names["MLP"](
        5,
        3,
        [4, 6],
        [names["Tanh"](), names["Sigmoid"](), names["Tanh"]()],
        lambda a, b: rng.standard_normal((a, b)),
        lambda b: rng.standard_normal((1, b)),
        names["SoftmaxCrossEntropy"](),
        0.1,
    )
    return net, rng.standard_normal((7, 5)), np.eye(3)[rng.integers(0, 3, 7)], line


def without_spaces(text):
    return text.strip(",").replace(" ", "")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_method_is_mended_in_its_line(mistake):
    right, wrong, slug = MISTAKES[mistake]
    *given, line = network(right, wrong)
    report = check_network(*given)
    assert report.verdict == "fail"
    fixes = [c.fix for f in report.findings for c in f.causes if c.fix is not None]
    assert line in {fix.line for fix in fixes}, str(report)
    assert any(without_spaces(right) in without_spaces(fix.after) for fix in fixes), str(report)
    assert slug in [cause.slug for cause in report.causes[:3]], str(report)


def test_classes_and_objects_stay_as_they_are():
    net, x, labels, _ = network(*MISTAKES["dx"][:2])
    layer = net.linear_layers[0]
    backward, weights = type(layer).backward, layer.W.copy()
    keys = set(vars(layer)) | {"x", "dW", "db"}
    assert not check_network(net, x, labels)
    assert type(layer).backward is backward
    assert set(vars(layer)) <= keys
    np.testing.assert_array_equal(layer.W, weights)


def test_what_a_trial_leaves_behind_is_put_back():
    """An edit may leave a number where an array was: the next ones must not suffer from it."""
    net, x, labels, _ = network(*MISTAKES["dW times n"][:2])
    assert not check_network(net, x, labels)
    assert all(layer.dW.shape == layer.W.shape for layer in net.linear_layers)


def test_a_method_of_the_object_s_own_is_left_alone():
    """What is run is no method of the class, whose source says nothing of it."""
    net, x, labels, _ = network()
    own = type(net).backward

    def backward(labels):
        own(net, labels)
        net.linear_layers[1].dW *= -1

    net.backward = backward
    report = check_network(net, x, labels)
    assert report.causes[0].slug == "sign-flipped"
    assert net.backward is backward


def test_a_right_network_is_not_searched(monkeypatch):
    monkeypatch.setattr("gradcheck.network.mend.repaired", lambda *given: pytest.fail("searched"))
    net, x, labels, _ = network()
    assert check_network(net, x, labels)
