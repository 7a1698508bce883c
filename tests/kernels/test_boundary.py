"""The checked call: outputs, keywords, settings, overlap, and what reaches the compiled loop."""

import pickle

import numpy as np
import pytest

import kernels
from kernels import OPS, Kernel

CHANGED_IN_PLACE = pytest.mark.filterwarnings("ignore:Setting the:DeprecationWarning")
"""Newer versions of NumPy warn of it."""


@pytest.fixture
def affine(rng):
    return rng.standard_normal((4, 3)), rng.standard_normal((3, 5)), rng.standard_normal(5)


def test_positions_and_keywords_agree(affine):
    x, w, b = affine
    expected = x @ w + b
    out = np.empty((4, 5))
    np.testing.assert_allclose(kernels.affine_forward(x, b=b, w=w), expected)
    assert kernels.affine_forward(x, w, b, out) is out
    assert kernels.affine_forward(x, w, b, y=out) is out
    np.testing.assert_allclose(out, expected)


def test_integers_booleans_and_lists_are_converted_once():
    y = kernels.affine_forward([[4, 3]], np.array([[4, 2], [5, 4]]), [True, False])
    np.testing.assert_array_equal(y, [[32, 20]])
    assert y.dtype == np.float64
    y = kernels.affine_forward(np.ones((1, 2), np.float32), [[0.1, 2], [5, 4]], [0, 0])
    assert y.dtype == np.float32


def test_integers_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="relu_forward: x holds numbers that float64 cannot"):
        kernels.relu_forward(np.array([2**53 + 1]))
    with pytest.raises(ValueError, match="float32 cannot represent"):
        kernels.mse_forward(np.zeros((1, 1), np.float32), np.array([[2**24 + 1]]))
    with pytest.raises(ValueError, match="float32 cannot represent"):
        kernels.mse_forward(np.zeros((1, 1), np.float32), [[1e300]])
    assert kernels.relu_forward(np.array([2**60, -(2**63)])).tolist() == [2.0**60, 0]
    for wrong in (1e300, 10**400):
        with pytest.raises(ValueError, match="gradient_descent_update: lr is"):
            kernels.gradient_descent_update(*np.ones((2, 3), np.float32), wrong)


def test_rows_of_unequal_length_are_refused():
    for call in (
        lambda: kernels.softmax_cross_entropy_forward(np.zeros((2, 2)), [[1], [1, 2]]),
        lambda: kernels.softmax_cross_entropy_forward([[1], [1, 2]], [0, 1]),
    ):
        with pytest.raises(TypeError, match="softmax_cross_entropy_forward: (z|labels) is not an"):
            call()


def test_a_kernel_without_an_op_says_so():
    bare = kernels.kernel(lambda x, y: None)
    with pytest.raises(TypeError, match="no Op declares this kernel yet"):
        bare(1)


def test_momentum_reads_before_it_writes():
    w = np.arange(4.0)
    w_next, v_next = kernels.momentum_update(
        w, np.ones(4), np.full(4, 5.0), 0.1, 0.9, velocity_next=w
    )
    np.testing.assert_allclose(w_next, np.arange(4) + 4.4)
    assert v_next is w


def test_ops_are_pickled_by_name():
    assert pickle.loads(pickle.dumps(OPS["relu"])) is OPS["relu"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_settings_that_are_not_finite_are_refused(value):
    w = np.ones(3)
    with pytest.raises(ValueError, match=r"gradient_descent_update: lr is (nan|-?inf), expected"):
        kernels.gradient_descent_update(w, w, value)
    with pytest.raises(ValueError, match="leaky_relu_forward: slope is"):
        kernels.leaky_relu_forward(w, slope=value)


@pytest.mark.parametrize("value", ["0.1", None, 1j, True, [0.1]])
def test_settings_that_are_not_numbers_are_refused(value):
    with pytest.raises(TypeError, match=r"leaky_relu_forward: slope is .*expected a real number"):
        kernels.leaky_relu_forward(np.ones(3), slope=value)


def test_settings_keep_to_their_interval():
    with pytest.raises(ValueError, match=r"momentum_update: momentum is 1.5, expected .* \[0, 1\]"):
        kernels.momentum_update(*np.ones((3, 2)), momentum=1.5)
    with pytest.raises(ValueError, match="batchnorm_forward: eps is -1"):
        kernels.batchnorm_forward(np.ones((2, 1)), np.ones(1), np.ones(1), eps=-1.0)


def test_settings_are_used():
    x = np.array([-2.0, 3.0])
    np.testing.assert_array_equal(kernels.leaky_relu_forward(x, slope=0.5), [-1, 3])
    np.testing.assert_array_equal(kernels.leaky_relu_backward([1.0, 1], x, slope=0.5), [0.5, 1])
    value, vjp = OPS["leaky_relu"].value, OPS["leaky_relu"].vjp
    np.testing.assert_array_equal(value(x, slope=0.5)[0], [-1, 3])
    np.testing.assert_array_equal(vjp(([1.0, 1.0],), x, slope=0.5)[0], [0.5, 1])


def test_elementwise_ops_take_any_shape(rng):
    for shape in ((), (3,), (2, 3), (2, 1, 4), (0, 3)):
        x = rng.standard_normal(shape)
        y = kernels.relu_forward(x)
        assert y.shape == shape
        np.testing.assert_array_equal(y, np.maximum(x, 0))


def test_wrong_calls_name_the_argument(affine):
    x, w, b = affine
    with pytest.raises(TypeError, match="5 arguments given, expected at most 4"):
        kernels.affine_forward(x, w, b, None, None)
    with pytest.raises(TypeError, match="affine_forward: b is missing"):
        kernels.affine_forward(x, w)
    with pytest.raises(TypeError, match="unknown argument 'bias', expected one of x, w, b, y"):
        kernels.affine_forward(x, w, bias=b)
    with pytest.raises(TypeError, match="affine_forward: x is given twice"):
        kernels.affine_forward(x, w, b, x=x)
    with pytest.raises(ValueError, match=r"w has shape \(3, 5\), expected \(k, m\) with k=2"):
        kernels.affine_forward(x[:, :2], w, b)
    with pytest.raises(TypeError, match=r"x has dtype <U1, expected an array of float64"):
        kernels.affine_forward("a", w, b)
    with pytest.raises(TypeError, match="affine_forward: x is not an array"):
        kernels.affine_forward([[1.0, 2.0, 3.0], [1.0]], w, b)
    with pytest.raises(TypeError, match="x is a masked array"):
        kernels.affine_forward(np.ma.masked_array(x), w, b)


def test_wrong_outputs_are_refused_and_left_alone(affine):
    x, w, b = affine
    good = np.full((4, 5), 7.0)
    read_only = good.copy()
    read_only.flags.writeable = False
    cases = [
        (ValueError, "y has shape", np.full((5, 4), 7.0)),
        (ValueError, "y has shape", np.full(20, 7.0)),
        (TypeError, "y has dtype float32, expected float64", good.astype(np.float32)),
        (TypeError, "y is a list", good.tolist()),
        (ValueError, "y is read-only", read_only),
        (TypeError, "y has strides", np.full((5, 4), 7.0).T),
    ]
    for kind, message, out in cases:
        with pytest.raises(kind, match=f"affine_forward: {message}"):
            kernels.affine_forward(x, w, b, out)
        assert (np.array(out) == 7.0).all()


@CHANGED_IN_PLACE
@pytest.mark.parametrize("out", [np.empty((2, 3)), np.empty(6)[::1].reshape(2, 3)])
def test_a_kernel_looks_at_changed_arrays_again(out):
    x = np.arange(-3.0, 3).reshape(2, 3)
    kernels.relu_forward(x, out)
    np.testing.assert_array_equal(out, np.maximum(x, 0))
    out.shape = (3, 2)
    with pytest.raises(ValueError, match=r"y has shape \(3, 2\), expected \(2, 3\)"):
        kernels.relu_forward(x, out)
    out.shape = (2, 3)
    out.dtype = np.int64
    with pytest.raises(TypeError, match="y has dtype int64, expected float64"):
        kernels.relu_forward(x, out)
    out.dtype = np.float64
    out.flags.writeable = False
    with pytest.raises(ValueError, match="y is read-only"):
        kernels.relu_forward(x, out)


@CHANGED_IN_PLACE
def test_inputs_that_have_changed_are_looked_at_again(affine):
    x, w, b = affine
    out = kernels.affine_forward(x, w, b)
    before = out.copy()
    w.shape = (5, 3)
    with pytest.raises(ValueError, match=r"w has shape \(5, 3\), expected \(k, m\) with k=3"):
        kernels.affine_forward(x, w, b, out)
    w.shape = (3, 5)
    b.dtype = np.complex64
    with pytest.raises(TypeError, match="b has dtype complex64"):
        kernels.affine_forward(x, w, b, out)
    np.testing.assert_array_equal(out, before)


@pytest.mark.parametrize("make", [np.array, lambda a: np.array(a)[:], lambda a: a.view(np.matrix)])
def test_inputs_may_own_their_memory_or_not(affine, make):
    x, w, b = affine
    out = np.empty((4, 5))
    expected = kernels.affine_forward(x, w, b)
    for target in (out, out[:]):
        np.testing.assert_array_equal(kernels.affine_forward(make(x), w, b, target), expected)


def test_an_output_that_is_an_input_is_refused():
    square = np.eye(3)
    for y in (square, square[:]):
        with pytest.raises(ValueError, match="affine_forward: y overlaps x in memory"):
            kernels.affine_forward(square, np.ones((3, 3)), np.ones(3), y)
        with pytest.raises(ValueError, match="affine_forward: y overlaps w in memory"):
            kernels.affine_forward(np.ones((3, 3)), square, np.ones(3), y)
    np.testing.assert_array_equal(square, np.eye(3))


def test_labels_are_looked_at_at_every_call(rng):
    z, labels = rng.standard_normal((3, 4)), np.array([0, 1, 3])
    loss, p = kernels.softmax_cross_entropy_forward(z, labels)
    before = loss.copy()
    for wrong in (-1, 4):
        labels[1] = wrong
        with pytest.raises(ValueError, match=rf"labels\[1\] is {wrong}, expected a class from 0"):
            kernels.softmax_cross_entropy_forward(z, labels, loss, p)
    np.testing.assert_array_equal(loss, before)


def test_any_of_the_outputs_may_be_given(rng):
    """Outputs of one shape are told apart, also by a call that follows one with another."""
    x, gamma, beta = rng.standard_normal((4, 3)), np.ones(3), np.zeros(3)
    expected = dict(
        zip(["y", "mean", "var", "rstd"], kernels.batchnorm_forward(x, gamma, beta), strict=True)
    )
    for names in (["mean"], ["var"], ["rstd", "mean"], ["y"], list(expected), []):
        given = {name: np.full_like(expected[name], np.nan) for name in names}
        got = dict(zip(expected, kernels.batchnorm_forward(x, gamma, beta, **given), strict=True))
        for name, array in expected.items():
            np.testing.assert_array_equal(got[name], array)
            assert name not in given or got[name] is given[name]


def test_outputs_that_overlap_are_refused(rng):
    buffer = rng.standard_normal(40)
    x, y = buffer[:12].reshape(4, 3), buffer[8:28].reshape(4, 5)
    before = buffer.copy()
    with pytest.raises(ValueError, match="affine_forward: y overlaps x in memory"):
        kernels.affine_forward(x, np.ones((3, 5)), np.ones(5), y)
    with pytest.raises(ValueError, match="y overlaps x"):
        kernels.relu_forward(buffer[:10], buffer[1:11])
    with pytest.raises(ValueError, match="dx overlaps dw"):
        kernels.affine_backward(
            np.ones((3, 3)),
            np.ones((3, 3)),
            np.ones((3, 3)),
            buffer[:9].reshape(3, 3),
            buffer[:9].reshape(3, 3),
            np.empty(3),
        )
    np.testing.assert_array_equal(buffer, before)


def test_elementwise_kernels_work_in_place(elementwise, dtype, rng):
    sample = elementwise.sample(rng, dtype)
    expected = elementwise.forward(**sample)
    expected = expected if isinstance(expected, tuple) else (expected,)
    # An update writes w_next over w and velocity_next over velocity, not over the gradient.
    targets = [name for name in elementwise.inputs if name != "dw"][: len(expected)]
    outputs = {o: sample[i] for o, i in zip(elementwise.outputs, targets, strict=True)}
    elementwise.forward(**sample, **outputs)
    for got, array in zip(outputs.values(), expected, strict=True):
        np.testing.assert_array_equal(got, array)


def test_labels_of_every_integer_kind(rng):
    z = rng.standard_normal((3, 4))
    expected = kernels.softmax_cross_entropy_forward(z, np.array([0, 1, 1]))[0]
    for kind in (np.int8, np.uint8, np.int32, np.uint64, ">i4"):
        got = kernels.softmax_cross_entropy_forward(z, np.array([0, 1, 1], kind))[0]
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(kernels.softmax_cross_entropy_forward(z, [0, 1, 1])[0], expected)
    with pytest.raises(ValueError, match="labels holds 18446744073709551615"):
        kernels.softmax_cross_entropy_forward(z, np.array([0, 1, 2**64 - 1], np.uint64))


def test_one_hot_and_soft_targets_take_the_same_name(rng):
    z = rng.standard_normal((3, 4))
    labels = np.array([0, 3, 1])
    one_hot = np.eye(4)[labels]
    loss, p = kernels.softmax_cross_entropy_forward(z, labels)
    for targets in (one_hot, one_hot.astype(int), one_hot.tolist()):
        soft_loss, soft_p = kernels.softmax_cross_entropy_forward(z, targets)
        np.testing.assert_allclose(soft_loss, loss, rtol=1e-15)
        np.testing.assert_array_equal(soft_p, p)
    dz = kernels.softmax_cross_entropy_backward(np.ones(3), p, labels)
    np.testing.assert_allclose(
        kernels.softmax_cross_entropy_backward(np.ones(3), p, one_hot), dz, atol=1e-16
    )


def test_many_shapes_do_not_fill_the_memory(rng):
    for n in range(700):
        x = rng.standard_normal(n)
        np.testing.assert_array_equal(kernels.relu_forward(x), np.maximum(x, 0))
    assert len(kernels.relu_forward._layouts) <= 512


def test_kernels_are_pickled_by_reference():
    assert pickle.loads(pickle.dumps(kernels.relu_forward)) is kernels.relu_forward


def test_everything_public_is_checked():
    """No public name of the package is a bare dispatcher."""
    for name in kernels.__all__:
        value = getattr(kernels, name)
        assert not hasattr(value, "inspect_llvm"), name
        if name.endswith(("_forward", "_backward", "_update")):
            assert isinstance(value, Kernel)
            assert value.arguments
            assert value.__doc__
