"""Theory against published numbers, closed forms and Gauss-Hermite quadrature."""

import math

import numpy as np
import pytest

from kernels.activation import ACTIVATIONS
from mlp.stress import theory
from mlp.stress.theory import activation

TANH, RELU, IDENTITY = (activation(name) for name in ("tanh", "relu", "identity"))


@pytest.mark.parametrize(
    ("sigma_w", "q", "chi"), [(1.3, 0.607, 0.940), (2.5, 4.079, 1.585), (4.0, 12.604, 2.36726)]
)
def test_fixed_points_of_tanh(sigma_w, q, chi):
    """The setting of Poole et al. 2016; the last χ by mpmath, as a rule of Gauss and Hermite
    with 100 nodes is 5 % off there.
    """
    found = theory.fixed_point(TANH, sigma_w, 0.3)
    assert found == pytest.approx(q, rel=1e-3)
    assert theory.chi(TANH, found, sigma_w) == pytest.approx(chi, rel=1e-3)


@pytest.mark.compiled  # as plain Python it takes half a minute
def test_critical_tanh():
    """Schoenholz et al. 2017: sigma_w² = 1.76 at sigma_b² = 0.05."""
    sigma_w = theory.critical_sigma_w(TANH, math.sqrt(0.05))
    assert sigma_w**2 == pytest.approx(1.76095, rel=1e-5)


@pytest.mark.compiled
def test_critical_relu_is_he():
    assert theory.critical_sigma_w(RELU, 0.0) ** 2 == pytest.approx(2, rel=1e-12)


@pytest.mark.parametrize("name", [op.name for op in ACTIVATIONS])
def test_expectations_agree_with_gauss_hermite(name):
    """numpy's rule of 150 nodes, as sharp as a kink allows."""
    phi = activation(name)
    nodes, weights = np.polynomial.hermite_e.hermegauss(150)
    for q in (0.1, 1.0, 9.0):
        expected = weights @ phi.value(math.sqrt(q) * nodes) ** 2 / math.sqrt(2 * math.pi)
        found = theory.expectation(lambda u: phi.value(u) ** 2, q)
        assert found == pytest.approx(expected, rel=2e-3 if name in ("relu", "elu") else 1e-3)


def test_moments_are_exact():
    for q in (1e-6, 1.0, 1e8):
        assert theory.expectation(np.square, q) == pytest.approx(q, rel=1e-13)
        relu = theory.expectation(lambda u: np.maximum(u, 0) ** 2, q)
        assert relu == pytest.approx(q / 2, rel=1e-13)
        mean = theory.expectation(lambda u: np.maximum(u, 0), q)
        assert mean == pytest.approx(math.sqrt(q / (2 * math.pi)), rel=1e-13)


@pytest.mark.parametrize(
    ("name", "growth"),
    [("relu", math.pi / (math.pi - 1)), ("gelu", 1.319), ("tanh", 1.178), ("softplus", 1.081),
     ("sigmoid", 1.034), ("identity", 1.0)],
)  # fmt: skip
def test_batchnorm_growth(name, growth):
    assert theory.batchnorm_growth(activation(name)) == pytest.approx(growth, rel=1e-3)


def test_supercritical_relu_grows_without_end():
    assert theory.fixed_point(RELU, 2.0, 0.1) == math.inf
    assert theory.fixed_point(RELU, 1.0, 0.3) == pytest.approx(0.09 / 0.5, rel=1e-9)
    assert theory.fixed_point(IDENTITY, 0.5, 0.0) == pytest.approx(0, abs=1e-90)


def test_laws():
    assert theory.linear_batchnorm_growth(8) == 1.2
    assert theory.linear_batchnorm_growth(3) == math.inf
    assert theory.product_law([30] * 30) == pytest.approx((-2.5, 5.0))
    assert theory.mean_singular_value(1.0) == pytest.approx(0.849, abs=5e-4)
    assert theory.mean_singular_value(1 / 3) == pytest.approx(0.490, abs=5e-4)
    assert theory.singular_value_spread(5, "gaussian", True) == 10
    assert theory.singular_value_spread(5, "orthogonal", False) == 0
    assert theory.depth_scale(math.exp(-0.1)) == pytest.approx(10)
    with pytest.raises(ValueError, match="expected gaussian, orthogonal"):
        theory.singular_value_spread(5, "uniform", False)
