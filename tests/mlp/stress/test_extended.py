"""Scaled arithmetic against float64, and past its end against mpmath."""

import mpmath
import numpy as np
import pytest

from mlp import MLP, stress
from mlp.activations import Identity, LeakyReLU
from mlp.optimizers import Adam, Nesterov
from mlp.stress import scaled as s
from mlp.stress import theory, toy
from mlp.stress.extended import record_extended
from mlp.stress.passes import toy_case


@pytest.mark.parametrize(
    ("name", "batchnorm", "which", "passes"),
    [("relu", False, "single", 6), ("relu", False, "batch", 6), ("tanh", False, "single", 30),
     ("sigmoid", False, "batch", 30), ("gelu", False, "single", 6), ("relu", True, "batch", 10)],
)  # fmt: skip
def test_series_are_those_of_float64(name, batchnorm, which, passes):
    plain = stress.run(activation=name, batchnorm=batchnorm, input=which, passes=passes)
    net, x, y = toy_case(None, name, batchnorm, which, "float64")
    extended = record_extended(net, x, y, passes)
    for key, values in plain.series.items():
        if batchnorm and not key.startswith(("output.", "W.", "loss")):
            continue  # some gradients are zero but for rounding
        np.testing.assert_allclose(extended[key], values, rtol=1e-9, atol=1e-9, err_msg=key)


def test_passes_beyond_float64_are_those_of_mpmath():
    """The toy with exponents without an end, to 50 digits."""
    study = stress.run(extended=True, passes=15)
    assert study.overflow_pass == 7
    expected = [float(mpmath.log(value, 2)) for value in largest_outputs(15)]
    np.testing.assert_allclose(study.of("output", "log2_max")[:, -1], expected, rtol=1e-12)
    sizes = study.series["log2_largest"]
    np.testing.assert_allclose(sizes[8:] / sizes[7:-1], 2, rtol=2e-3)


def largest_outputs(passes):
    """Gradient descent on the toy, in which every ReLU stays active, by hand in mpmath."""
    with mpmath.workdps(50):
        ws = [mpmath.matrix(w.tolist()) for w in toy.WEIGHTS]
        bs = [mpmath.zeros(1, w.cols) for w in ws]
        x, y = mpmath.matrix([[4, 3]]), mpmath.matrix([[240, 4]])
        lr = mpmath.mpf(toy.LEARNING_RATE)
        for _ in range(passes):
            inputs = [x]
            for i, (w, b) in enumerate(zip(ws, bs, strict=True)):
                z = inputs[-1] * w + b
                inputs.append(z if i == 2 else z.apply(lambda v: max(v, mpmath.mpf(0))))
            z = inputs[-1]
            yield max(abs(v) for v in z)
            top = max(z)
            e = z.apply(lambda v, top=top: mpmath.exp(v - top))
            delta = e / sum(e) - y
            for i in (2, 1, 0):
                dw, below = inputs[i].T * delta, delta * ws[i].T
                ws[i], bs[i] = ws[i] - lr * dw, bs[i] - lr * delta
                if i:
                    below = mpmath.matrix(
                        [[b if a > 0 else 0 for a, b in zip(inputs[i], below, strict=True)]]
                    )
                delta = below


@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid", "gelu", "softplus", "identity"])
def test_activations_far_out(name):
    phi = theory.activation(name)
    x = np.array([[-1.0, -0.25, 0.5, 0.75]])
    for exponent in (-50, 0, 30, 200, 900):
        with np.errstate(over="ignore"):
            expected = phi.value(np.ldexp(x, exponent))
        found = s.activate(phi, s.scaled(x, exponent)).to_floats()
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


def test_arithmetic(rng):
    a, b = rng.standard_normal((2, 3, 3))
    x, y = s.scaled(a, 5000), s.scaled(b, 4990)
    assert s.matmul(x, y).exponent > 9980
    total = s.add(x, y)
    np.testing.assert_allclose(
        np.ldexp(total.mantissa, total.exponent - 5000), a + b / 1024, rtol=1e-13
    )
    assert s.subtract(x, x).log2_max == -np.inf
    positive = s.scaled(np.abs(a), 5001)
    back = s.multiply(s.multiply(s.inverse_root(positive), s.inverse_root(positive)), positive)
    np.testing.assert_allclose(back.to_floats(), 1, rtol=1e-13)


@pytest.mark.parametrize(
    ("settings", "got"),
    [({"momentum": 0.9}, "momentum 0.9"), ({"optimizer": Adam()}, "optimizer adam"),
     ({"optimizer": Nesterov()}, "momentum 0.9"), ({"weight_decay": 0.5}, "weight_decay 0.5"),
     ({"max_norm": 3.0, "weight_decay": 0.5}, "weight_decay 0.5, max_norm 3")],
)  # fmt: skip
def test_other_training_is_refused(settings, got):
    net = MLP(2, 2, [3], **settings)
    with pytest.raises(ValueError, match=f"network with {got}; expected plain gradient descent"):
        stress.run(net, np.ones((2, 2)), np.array([0, 1]), extended=True)


def test_settings_of_activations_are_followed(rng):
    """A steep leaky ReLU: before the overflow, the series are those of float64."""
    net = MLP(2, 2, [3], [LeakyReLU(0.9), Identity()], lr=1e-3, criterion="mse")
    x, y = rng.standard_normal((4, 2)), rng.standard_normal((4, 2))
    plain = stress.run(net, x, y, passes=5)
    extended = record_extended(net, x, y, 5)
    np.testing.assert_allclose(extended["loss"], plain.series["loss"], rtol=1e-12)
