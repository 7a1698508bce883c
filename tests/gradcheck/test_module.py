"""check_module: layers of many styles that are right, and what is said of those that are not."""

import numpy as np
import pytest

from gradcheck import check_module
from tests.gradcheck import homework, layers


def weights(rng):
    return lambda n_in, n_out: rng.standard_normal((n_in, n_out))


def biases(rng):
    return lambda n_out: rng.standard_normal((1, n_out))


def course_linear(rng):
    return homework.Linear(3, 4, weights(rng), biases(rng))


def integer_linear(rng):
    integers = np.random.default_rng(4).integers(-3, 7, (3, 4))
    return homework.IntegerMLP.linear(3, 4, lambda a, b: integers, lambda n: np.zeros((1, n)))


CORRECT = {
    "course linear": course_linear,
    "course integer linear": integer_linear,
    "course batchnorm": lambda rng: homework.BatchNorm(3),
    "course relu": lambda rng: homework.ReLU(),
    "course sigmoid": lambda rng: homework.Sigmoid(),
    "course tanh": lambda rng: homework.Tanh(),
    "keeps its state": lambda rng: layers.Tanh(),
    "mask": lambda rng: layers.Relu(),
} | {
    name.__name__: name
    for name in (
        layers.Affine, layers.Dense, layers.ListLayer, layers.AttributeLayer, layers.ParamLayer,
        layers.TupleLayer, layers.FlatBias, layers.MeanAffine, layers.Norm, layers.CourseNorm,
        layers.Dropout, layers.GlobalDropout, layers.Prelu, layers.LayerNorm,
        layers.BufferAffine, layers.Sequence,
    )
}  # fmt: skip


@pytest.mark.parametrize("name", CORRECT)
def test_right_layers_pass(name, rng):
    layer = CORRECT[name](rng)
    report = check_module(layer, rng.standard_normal((6, 3)))
    assert report, str(report)
    assert not report.causes


PARAMETERS = {
    "course linear": ["x", "W", "b"],
    "Affine": ["x", "weight", "bias"],
    "Dense": ["x", "W", "b"],
    "ListLayer": ["x", "params[0]", "params[1]"],
    "AttributeLayer": ["x", "weights", "biases"],
    "ParamLayer": ["x", "W", "b"],
    "TupleLayer": ["x", "W", "b"],
    "Norm": ["x", "gamma", "beta"],
    "Prelu": ["x", "alpha"],
    "Sequence": ["x", "W1", "W2"],
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_found(name, rng):
    report = check_module(CORRECT[name](rng), rng.standard_normal((5, 3)))
    assert [finding.name for finding in report.findings] == PARAMETERS[name]


def test_losses_pass(rng):
    z, labels = rng.standard_normal((6, 3)), np.array([0, 1, 2, 0, 1, 2])
    assert check_module(layers.Loss(), z, labels)
    assert check_module(homework.SoftmaxCrossEntropy(), z, np.eye(3)[labels])


def test_indices_stay_integers(rng):
    report = check_module(layers.Embedding(rng), np.array([0, 3, 3, 1]))
    assert report, str(report)
    assert [finding.name for finding in report.findings] == ["W"]


def test_float32_layers_are_checked_in_float64(rng):
    x = rng.standard_normal((6, 3)).astype(np.float32)
    report = check_module(layers.Float32Affine(rng), x)
    assert report, str(report)
    assert max(finding.error_bar for finding in report.findings) < 1e-3


def test_means_over_the_batch_are_a_convention(rng):
    report = check_module(layers.MeanAffine(rng), rng.standard_normal((6, 3)))
    assert [cause.slug for cause in report.conventions] == ["batch-scale", "batch-scale"]


def test_names_may_be_given(rng):
    layer = course_linear(rng)
    layer.matrix, layer.W = layer.W, None
    layer.forward = lambda x: (setattr(layer, "x", x), x @ layer.matrix + layer.b)[1]
    layer.backward = lambda dy: (setattr(layer, "slope", layer.x.T @ dy), dy @ layer.matrix.T)[1]
    report = check_module(layer, rng.standard_normal((6, 3)), parameters={"matrix": "slope"})
    assert report, str(report)
    assert [finding.name for finding in report.findings] == ["x", "matrix"]
    with pytest.raises(ValueError, match="no array 'nothing'"):
        check_module(layer, rng.standard_normal((6, 3)), parameters={"nothing": "dW"})


def test_a_checked_layer_is_as_it_was(rng):
    layer, x = layers.Norm(rng), rng.standard_normal((6, 3))
    layer.forward(x)
    mean, gamma = layer.running_mean, layer.gamma
    before = {name: np.array(value) for name, value in vars(layer).items()}
    check_module(layer, x)
    assert layer.running_mean is mean
    assert layer.gamma is gamma
    assert set(vars(layer)) == set(before)
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(layer, name), value)


def test_a_layer_that_raises_is_as_it_was(rng):
    layer = course_linear(rng)
    layer.backward = lambda delta: delta @ layer.W
    before = layer.W.copy()
    report = check_module(layer, rng.standard_normal((6, 3)))
    assert report.verdict == "fail"
    assert "backward raised ValueError" in str(report)
    np.testing.assert_array_equal(layer.W, before)


def test_what_is_no_layer_is_refused():
    with pytest.raises(TypeError, match="lacks"):
        check_module(object(), np.ones((2, 2)))
    with pytest.raises(ValueError, match="mode is 'both'"):
        check_module(layers.Relu(), np.ones((2, 2)), mode="both")


def test_the_evaluation_of_batchnorm(rng):
    assert check_module(layers.Norm(rng), rng.standard_normal((6, 3)), mode="eval")


def unseeded(layer, x):
    layer.mask = np.random.default_rng().random(x.shape) < 0.7
    return x * layer.mask


def test_random_numbers_without_a_state_are_inconclusive(rng):
    layer = layers.Dropout(rng)
    layer.rng = None
    layer.forward = lambda x: unseeded(layer, x)
    report = check_module(layer, rng.standard_normal((6, 3)))
    assert report.verdict == "inconclusive"
    assert report.causes[0].slug == "not-deterministic"


@pytest.mark.parametrize("precision", ["f4", "f8"])
@pytest.mark.parametrize("layer", [layers.Norm, layers.CourseNorm])
def test_batchnorm_of_any_size_and_dtype(layer, precision, rng):
    """Its dx for two rows is rounding alone, and its statistics may be large."""
    assert check_module(layer(rng), rng.standard_normal((6, 3)).astype(precision))
    assert check_module(layer(rng), (1e3 * rng.standard_normal((8, 3))).astype(precision))
    assert check_module(layer(rng), rng.standard_normal((1, 3))).verdict != "fail"


calls = {"forward": 0, "backward": 0}
"""Of RaisesOnce: outside, because what a layer holds is put back between experiments."""


class RaisesOnce:
    """A right layer, one call of which raises."""

    def __init__(self, method, n):
        self.W = np.array([[1.0, -2.0], [0.5, 3.0], [0.25, 1.0]])
        self.fault = (method, n)

    def count(self, method):
        calls[method] += 1
        if (method, calls[method]) == self.fault:
            raise RuntimeError("odd")

    def forward(self, x):
        self.count("forward")
        self.x = x
        return x @ self.W

    def backward(self, dy):
        self.count("backward")
        self.dW = self.x.T @ dy
        return dy @ self.W.T


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_a_layer_that_raises_once_is_a_report(method, rng):
    """In whichever call: no traceback, and a verdict."""
    x = rng.standard_normal((4, 3))
    for n in [*range(1, 24), *range(24, 300, 23)]:
        calls.update(forward=0, backward=0)
        report = check_module(RaisesOnce(method, n), x)
        assert report.verdict in ("pass", "fail", "inconclusive"), n


class ScaledInTraining:
    """y = 2x in training, x in evaluation; backward knows of the first alone."""

    training = True

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        self.factor = 2.0 if self.training else 1.0
        return self.factor * x

    def backward(self, dy):
        return 2.0 * dy


def test_a_layer_is_checked_in_both_modes():
    layer = ScaledInTraining()
    report = check_module(layer, np.random.default_rng(0).standard_normal((6, 4)))
    assert report.causes[0].slug == "batchnorm-mode-confused", str(report)
    assert "right in training, wrong in evaluation" in str(report)
    assert layer.training
    assert check_module(layer, np.ones((6, 4)), mode="train")


class Lookup:
    def __init__(self):
        self.W = np.random.default_rng(1).standard_normal((6, 3))

    def forward(self, rows):
        self.rows = rows.astype(int)
        return self.W[self.rows]

    def backward(self, dy):
        self.dW = np.zeros_like(self.W)
        self.dW[self.rows] = dy


def test_whole_numbers_that_forward_rounds_down_are_indices():
    report = check_module(Lookup(), np.array([0, 1, 1, 5, 2, 1]))
    assert report.causes[0].slug == "overwrites-instead-of-accumulating", str(report)
    assert not any(f.note.startswith("right here") for f in report.findings)


class OddLookup(homework.Linear):
    """Keeps its attributes in a dictionary of its own, and forgets what a lookup must raise."""

    def __getattr__(self, name):
        return {}[name]


def test_an_odd_error_of_a_lookup_is_part_of_the_report(rng):
    report = check_module(OddLookup(3, 4, weights(rng), biases(rng)), np.ones((2, 3)))
    assert report.verdict == "fail"
    assert report.causes[0].slug == "raised"
    assert "KeyError" in report.findings[0].note
