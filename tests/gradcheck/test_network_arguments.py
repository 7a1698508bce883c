"""What check_network says of arguments that cannot be a check, and of odd networks."""

import re

import numpy as np
import pytest

from gradcheck import check_network

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75], [-0.3, 0.8, 1.1], [0.9, -1.4, 0.2]])
LABELS = np.array([0, 1, 1, 0])


class Linear:
    def __init__(self):
        self.W = np.array([[1.0, -2.0], [0.5, 3.0], [0.25, 1.0]])
        self.b = np.array([[0.1, -0.2]])


class Net:
    """One layer with softmax cross-entropy. `fault` is raised in a forward, the n-th."""

    def __init__(self, n=0, fault=None):
        self.linear_layers = [Linear()]
        self.n, self.fault, self.count = n, fault, 0

    def zero_grads(self):
        pass

    def forward(self, x):
        self.count += 1
        if self.count == self.n:
            raise self.fault
        self.x, layer = x, self.linear_layers[0]
        self.output = x @ layer.W + layer.b
        return self.output

    def backward(self, labels):
        e = np.exp(self.output - self.output.max(axis=1, keepdims=True))
        delta = (e / e.sum(axis=1, keepdims=True) - np.eye(2)[labels]) / len(labels)
        layer = self.linear_layers[0]
        layer.dW, layer.db = self.x.T @ delta, delta.sum(axis=0, keepdims=True)


class OneNumberEach(Net):
    def forward(self, x):
        return super().forward(x)[:, 0]


def without_layers():
    net = Net()
    net.linear_layers = None
    return net


def with_parameter(name, value):
    net = Net()
    setattr(net.linear_layers[0], name, value)
    return net


def read_only(array):
    array.flags.writeable = False
    return array


WRONG = [
    ({"net": with_parameter("b", None)}, TypeError, "net.linear_layers[0].b is of type NoneType"),
    ({"net": with_parameter("W", "a")}, TypeError, "net.linear_layers[0].W is of type str"),
    ({"net": with_parameter("W", np.array([["a"]]))}, TypeError, "W has dtype <U1"),
    ({"net": with_parameter("W", read_only(np.ones((3, 2))))}, ValueError, "W is read-only"),
    ({"twin": 3}, TypeError, "net is of type int, which has no method 'forward'"),
    ({"reduction": "x"}, ValueError, "reduction is 'x', expected 'mean', 'sum' or None"),
    ({"x": X[:0], "labels": LABELS[:0]}, ValueError, "x has no rows"),
    ({"net": None}, TypeError, "net is of type NoneType, which has no method 'forward'"),
    ({"net": without_layers()}, TypeError, "net.linear_layers is None, expected a list of layers"),
    ({"x": None}, TypeError, "x is None, expected an array of real numbers"),
    ({"x": 1.0}, ValueError, "x is one number, expected a batch of rows"),
    ({"x": [[1.0, 2.0], [3.0]]}, TypeError, "x is [[1.0, 2.0], [3.0]], expected an array"),
    ({"labels": ["a", "b", "b", "a"]}, TypeError, "labels is of dtype <U1, expected an array"),
    ({"labels": [0, 1]}, ValueError, "x has 4 rows, labels has 2"),
    ({"labels": [0, 1, 2, 0]}, ValueError, "labels contain 2, expected classes 0 to 1"),
    ({"labels": [0, -1, 1, 0]}, ValueError, "labels contain -1, expected classes 0 to 1"),
    ({"labels": np.ones((4, 3))}, ValueError, "labels have shape (4, 3), expected (4,) classes"),
]


@pytest.mark.parametrize(("changed", "error", "message"), WRONG)
def test_arguments_that_cannot_be_checked(changed, error, message):
    given = {"net": Net(), "x": X, "labels": LABELS} | changed
    with pytest.raises(error, match=f"check_network: .*{re.escape(message)}"):
        check_network(**given)


def test_an_output_that_is_no_batch_of_rows():
    report = check_network(OneNumberEach(), X, LABELS)
    assert report.verdict == "fail"
    assert "forward gives shape (4,), expected (4, outputs)" in report.findings[0].note


@pytest.mark.parametrize("fault", [RuntimeError("odd"), SystemExit(3), KeyError("w")])
def test_a_forward_that_raises_once_is_told(fault):
    """Whichever call it is: never a traceback."""
    for n in (1, 2, 3, 5):
        report = check_network(Net(n, fault), X, LABELS)
        assert report.verdict == "fail", n
        assert type(fault).__name__ in report.findings[0].note
        assert "test_network_arguments.py:" in report.findings[0].note
    later = [check_network(Net(n, fault), X, LABELS).verdict for n in range(9, 60, 7)]
    assert "fail" not in later  # its gradients were right


def test_inputs_that_are_not_numbers_are_inconclusive():
    report = check_network(Net(), X * np.nan, LABELS)
    assert report.verdict == "inconclusive"
    assert report.findings[0].note == "forward is not finite here"


class OddLookup(Net):
    def __getattr__(self, name):
        raise KeyError(name)


def test_an_odd_error_of_a_lookup_is_part_of_the_report():
    report = check_network(OddLookup(), X, LABELS)
    assert report.verdict == "fail"
    assert "KeyError" in report.notes[0]
