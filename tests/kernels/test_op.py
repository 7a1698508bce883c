"""Declaring an operation: what is derived, and what is refused."""

import numpy as np
import pytest

from kernels import OPS, Hyper, Op, kernel
from kernels.op import parse_signature


@pytest.fixture
def table():
    """The table as it was, put back afterwards."""
    before = dict(OPS)
    yield OPS
    OPS.clear()
    OPS.update(before)


def declare(forward, backward=None, signature="()->()", **fields):
    return Op(forward, backward, signature, reference=lambda x: x, **fields)


def cube_forward(x, y):
    """y = x³."""
    for i in range(x.size):
        y[i] = x[i] ** 3


def cube_backward(dy, x, dx):
    """dx = 3·x²·dy."""
    for i in range(x.size):
        dx[i] = 3 * x[i] ** 2 * dy[i]


def test_an_activation_is_declared_in_one_place(table):
    op = declare(kernel(cube_forward), kernel(cube_backward))
    assert table["cube"] is op
    assert (op.inputs, op.outputs) == (("x",), ("y",))
    assert (op.cotangents, op.gradients) == (("y",), ("x",))
    x = np.array([[1.0, -2.0]])
    np.testing.assert_array_equal(op.value(x)[0], [[1, -8]])
    np.testing.assert_array_equal(op.vjp((np.ones((1, 2)),), x)[0], [[3, 12]])


def test_everything_follows_from_names_and_signature():
    op = OPS["batchnorm"]
    assert op.inputs == ("x", "gamma", "beta")
    assert op.outputs == ("y", "mean", "var", "rstd")
    assert op.cotangents == ("y",)
    assert op.gradients == op.inputs
    assert OPS["softmax_cross_entropy"].gradients == ("z",)
    assert OPS["gradient_descent"].gradients == ()
    assert OPS["relu"].is_elementwise
    assert not OPS["affine"].is_elementwise


def test_a_name_is_taken_once(table):
    declare(kernel(cube_forward))
    with pytest.raises(ValueError, match="cube: an op of this name is declared already"):
        declare(kernel(cube_forward))


def test_a_signature_of_another_length_is_refused(table):
    with pytest.raises(TypeError, match=r"cube: .* declares 2 inputs and 1 outputs"):
        declare(kernel(cube_forward), signature="(),()->()")


def test_an_argument_without_meaning_is_refused(table):
    def cube_backward(dy, x, dw):
        """Names a gradient of nothing."""

    with pytest.raises(TypeError, match="cube: backward's dw is neither"):
        declare(kernel(cube_forward), kernel(cube_backward))


def test_arguments_stand_in_order(table):
    def cube_backward(dx, dy, x):
        """Output first."""

    with pytest.raises(TypeError, match="cube: arguments are dx, dy, x, expected inputs, then"):
        declare(kernel(cube_forward), kernel(cube_backward))


@pytest.mark.parametrize(
    "wrong", ["", "()", "->", "(n,k)(k)->(n)", "(n,)->()", "n->n", "()->()->()"]
)
def test_signatures_that_are_not_gufunc_notation(wrong):
    with pytest.raises(ValueError, match="is not in gufunc notation"):
        parse_signature(wrong)


def test_signatures():
    assert parse_signature("(n,k), (k,m) ->(n,m),()") == (
        [("n", "k"), ("k", "m")],
        [("n", "m"), ()],
    )


def test_an_op_without_backward_says_so():
    with pytest.raises(TypeError, match="gradient_descent: this op has no backward"):
        OPS["gradient_descent"].vjp((np.ones(2),), np.ones(2), np.ones(2))


def test_settings_have_an_interval():
    assert Hyper(1.0).check("op: h", np.float32(0.5)) == 0.5
    assert Hyper(1.0, low=0).check("op: h", 3) == 3.0
    with pytest.raises(ValueError, match=r"op: h is -1.0, expected a number in \[0, inf\]"):
        Hyper(1.0, low=0).check("op: h", -1)
