"""Bad input to the network: one clear error, and nothing changed."""

import numpy as np
import pytest

from mlp import MLP, Activation, BatchNorm, Criterion, Linear, ReLU, SoftmaxCrossEntropy


class OwnActivation(Activation):
    """What the engine cannot run must not be replaced by what it can."""

    def __init__(self):
        super().__init__("relu")

    def forward(self, x):
        return x


X, LABELS = np.ones((3, 2)), np.array([0, 1, 0])


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"hiddens": [3], "activations": ["relu"]}, ValueError,
         "activations has 1 entries, expected 2"),
        ({"hiddens": [3], "activations": ["relu"] * 3}, ValueError, "has 3 entries, expected 2"),
        ({"hiddens": [0]}, ValueError, "width is 0, expected at least 1"),
        ({"hiddens": [-1]}, ValueError, "width is -1"),
        ({"hiddens": [2.5]}, TypeError, "width is 2.5, expected a whole number"),
        ({"hiddens": 3}, TypeError, "hiddens is 3, expected a sequence"),
        ({"hiddens": [3], "activations": "rleu"}, ValueError, "did you mean 'relu'"),
        ({"hiddens": [3], "activations": [np.tanh, "relu"]}, TypeError, r"activations\[0\] is"),
        ({"criterion": "softmax"}, ValueError, "criterion is 'softmax', expected one of"),
        ({"criterion": 3}, TypeError, "criterion is 3"),
        ({"lr": np.nan}, ValueError, "lr is nan, expected"),
        ({"lr": "0.1"}, TypeError, "lr is '0.1', expected a real number"),
        ({"momentum": 1.5}, ValueError, r"momentum is 1.5, expected .*\[0, 1\]"),
        ({"num_bn_layers": 3}, ValueError, "num_bn_layers is 3, expected from 0 to 1"),
        ({"num_bn_layers": True}, TypeError, "num_bn_layers is True"),
        ({"dtype": np.float16}, TypeError, "dtype is .*expected float32 or float64"),
        ({"dtype": "nonsense"}, TypeError, "dtype is 'nonsense'"),
        ({"reduction": "none"}, ValueError, "reduction is 'none', expected one of mean, sum"),
        ({"weight_init_fn": "xavierr"}, ValueError, "did you mean 'xavier'"),
        ({"weight_init_fn": 3}, TypeError, "weight_init_fn is 3"),
        ({"bias_init_fn": 0.0}, TypeError, "bias_init_fn is 0.0"),
        ({"hiddens": [3], "activations": "Relu"}, ValueError, "did you mean 'relu'"),
        ({"criterion": Criterion()}, TypeError, "criterion is Criterion"),
        ({"activations": {"relu"}}, TypeError, "activations is {'relu'}, expected a sequence"),
        ({"activations": [OwnActivation()]}, TypeError, "expected a name or an activation of this"),
        ({"reduction": None}, TypeError, "reduction is None, expected one of mean, sum"),
        ({"seed": "a"}, TypeError, "MLP: seed is 'a', expected a seed or a Generator"),
        ({"seed": -1}, ValueError, "MLP: seed is -1"),
        ({"lr": 10**400}, ValueError, "lr is inf, expected a number that is finite"),
        ({"lr": 1e300, "dtype": np.float32}, ValueError, "expected a number that float32 can hold"),
        ({"dtype": None}, TypeError, "dtype is None"),
        ({"dtype": np.ones(2)}, TypeError, "dtype is array"),
        ({"weight_init_fn": lambda i, o: np.full((i, o), 1e300), "dtype": np.float32}, ValueError,
         "initial W holds numbers that float32 cannot represent"),
        ({"weight_init_fn": lambda i, o: np.ones(o)}, ValueError, r"W is given shape \(2,\)"),
        ({"weight_init_fn": lambda i, o: np.ones((o, i + 1))}, ValueError,
         r"W is given shape \(2, 3\), expected \(2, 2\)"),
        ({"weight_init_fn": lambda i, o: "abc"}, TypeError, "Linear: initial W has dtype"),
        ({"bias_init_fn": lambda o: np.ones((o, 1))}, ValueError, "b is given shape"),
    ],
)  # fmt: skip
def test_constructor(arguments, kind, message):
    with pytest.raises(kind, match=message):
        MLP(2, 2, **arguments)


@pytest.mark.parametrize(
    ("x", "kind", "message"),
    [
        (np.ones((3, 5)), ValueError, r"x has shape \(3, 5\), expected \(N, 2\)"),
        (np.ones(2), ValueError, r"x has shape \(2,\), expected \(N, 2\)"),
        (np.ones((3, 2), np.float32), TypeError, "x has dtype float32, expected float64"),
        (np.ones((3, 2), complex), TypeError, "x has dtype complex128"),
        (np.ones((3, 2), object), TypeError, "x has dtype object"),
        ([["a", "b"]], TypeError, "x has dtype"),
        (None, TypeError, "x has dtype object"),
    ],
)
@pytest.mark.parametrize("method", ["forward", "train_step"])
def test_batches(x, kind, message, method):
    net = MLP(2, 2, [3])
    state = net._memory.copy()
    arguments = (x,) if method == "forward" else (x, LABELS)
    with pytest.raises(kind, match=f"MLP.{method}: {message}"):
        getattr(net, method)(*arguments)
    np.testing.assert_array_equal(net._memory, state)


@pytest.mark.parametrize(
    ("labels", "kind", "message"),
    [
        ([0, 1], ValueError, "labels has 2 rows, expected 3"),
        ([0, 1, 2], ValueError, r"labels\[2\] is 2, expected a class from 0 to 1"),
        ([0, -1, 1], ValueError, r"labels\[1\] is -1"),
        ([[0], [0, 1]], TypeError, "labels is not an array"),
        ([0.0, 1.0, 0.0], TypeError, "labels has dtype float64, expected integer classes"),
        (np.ones((3, 3)), ValueError, r"labels has shape \(3, 3\), expected \(3, 2\)"),
        (np.ones((2, 2)), ValueError, r"labels has shape \(2, 2\), expected \(3, 2\)"),
        (np.ones((3, 2), complex), TypeError, "labels has dtype complex128"),
        (np.ones((3, 2), np.float32), TypeError, "labels has dtype float32"),
        (1, ValueError, r"labels has shape \(\), expected"),
    ],
)
@pytest.mark.parametrize("method", ["backward", "train_step", "error", "total_loss"])
def test_labels(labels, kind, message, method):
    net = MLP(2, 2, [3], num_bn_layers=1)
    net.forward(X)
    state = net._memory.copy()
    arguments = (X, labels) if method == "train_step" else (labels,)
    with pytest.raises(kind, match=f"MLP.{method}: {message}"):
        getattr(net, method)(*arguments)
    np.testing.assert_array_equal(net._memory, state)


def test_mean_squared_error_wants_target_rows():
    net = MLP(2, 2, criterion="mse")
    with pytest.raises(ValueError, match=r"labels has shape \(3,\), expected \(3, 2\)"):
        net.train_step(X, [0, 1, 0])


def test_backward_needs_a_forward_at_the_present_parameters():
    net = MLP(2, 2, [3])
    with pytest.raises(ValueError, match=r"MLP.backward: .* expected a forward before"):
        net.backward(LABELS)
    net.forward(X)
    net.backward(LABELS)
    net.step()
    with pytest.raises(ValueError, match="expected a forward before"):
        net.backward(LABELS)
    net.train_step(X, LABELS)
    with pytest.raises(ValueError, match="expected a forward before"):
        net.backward(LABELS)
    net.forward(X)
    net.eval()
    with pytest.raises(ValueError, match="expected a forward before"):
        net.backward(LABELS)


def test_results_before_there_are_any():
    net = MLP(2, 2, [3])
    assert net.output is None
    for look in (
        lambda: net.layer_outputs,
        lambda: net.error(LABELS),
        lambda: net.total_loss(LABELS),
    ):
        with pytest.raises(ValueError, match="expected a forward before"):
            look()
    net.forward(X)
    with pytest.raises(ValueError, match="expected a backward before"):
        net.layer_gradients  # noqa: B018, reading it is the test
    assert net.linear_layers[0].dx is None


def test_one_sample_has_no_variance():
    net = MLP(2, 2, [3], num_bn_layers=1)
    statistics = np.array(net.bn_layers[0].running_mean)
    with pytest.raises(ValueError, match=r"MLP.forward: x has 1 row, expected at least 2"):
        net.forward(X[:1])
    np.testing.assert_array_equal(net.bn_layers[0].running_mean, statistics)
    net.eval()
    net.forward(X[:1])
    with pytest.raises(ValueError, match=r"evaluation mode, expected train\(\)"):
        net.train_step(X, LABELS)


def test_assignments():
    net = MLP(2, 2, [3])
    before = net.params.copy()
    for wrong in (np.ones((3, 2)), np.ones(3), 1.0, np.ones((1, 2, 3))):
        with pytest.raises(ValueError, match=r"Linear.W is given shape .* expected \(2, 3\)"):
            net.linear_layers[0].W = wrong
    with pytest.raises(TypeError, match=r"Linear.W has dtype float32, expected float64"):
        net.linear_layers[0].W = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"MLP.params is given shape \(3,\), expected \(17,\)"):
        net.params = np.ones(3)
    with pytest.raises(ValueError, match="MLP: lr is inf"):
        net.lr = np.inf
    np.testing.assert_array_equal(net.params, before)


def test_layers_alone():
    layer = Linear(2, 3, lambda i, o: np.ones((i, o)))
    with pytest.raises(ValueError, match=r"Linear.backward: .*expected a forward before"):
        layer.backward(np.ones((4, 3)))
    with pytest.raises(ValueError, match="BatchNorm: alpha is 2"):
        BatchNorm(3, alpha=2)
    with pytest.raises(ValueError, match="relu: .*expected a forward before derivative"):
        ReLU().derivative()
    with pytest.raises(ValueError, match="softmax_cross_entropy: .*expected a forward before"):
        SoftmaxCrossEntropy().derivative()
    with pytest.raises(TypeError, match="leaky_relu: unknown setting 'alpha'"):
        Activation("leaky_relu", alpha=1.0)
    with pytest.raises(ValueError, match="did you mean 'softplus'"):
        Activation("sofplus")


def test_a_layer_alone_refuses_what_a_network_refuses():
    ones = lambda i, o: np.ones((i, o))  # noqa: E731, short and used once
    for wrong, kind, message in (
        ((0, 3, ones), ValueError, "Linear: in_feature is 0"),
        ((2, -1, ones), ValueError, "Linear: out_feature is -1"),
        ((2, 3, None), TypeError, "Linear: weight_init_fn is None"),
        ((2, 3, ones, None, "f2"), TypeError, "Linear: dtype is 'f2'"),
    ):
        with pytest.raises(kind, match=message):
            Linear(*wrong)
    with pytest.raises(ValueError, match=r"BatchNorm.forward: x has 1 row"):
        BatchNorm(2).forward(np.ones((1, 2)))
    with pytest.raises(TypeError, match="y is a masked array"):
        SoftmaxCrossEntropy().forward(np.ones((2, 2)), np.ma.array([0, 1]))
    layer = Linear(2, 3, ones)
    layer.forward(np.ones((5, 2)))
    with pytest.raises(ValueError, match="affine_forward: w has shape"):
        layer.forward(np.ones((4, 9)))
    assert layer.backward(np.ones((5, 3))).shape == (5, 2)  # the good forward still counts


def test_a_batch_beyond_memory_leaves_the_network_as_it_was():
    net = MLP(1, 2, [400_000])
    output = net.forward(np.ones((1, 1)))
    with pytest.raises(MemoryError):
        net.forward(np.ones((50_000_000, 1)))  # 160 terabytes
    np.testing.assert_array_equal(net.output, output)
    assert net.forward(np.ones((3, 1))).shape == (3, 2)
    with pytest.raises(AttributeError):
        net.reduction = "sum"
