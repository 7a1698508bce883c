"""Published predictions, each at several widths: within three standard errors, or c/n."""

import pytest

from mlp.stress import predictions
from mlp.stress.predictions import PREDICTIONS

pytestmark = pytest.mark.compiled


def holds(rows):
    rows = list(rows)
    failed = [row for row in rows if not row.holds]
    assert len({row.width for row in rows}) >= 3
    assert not failed


def test_tanh_is_critical_at_1_76():
    """Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017."""
    holds(predictions.critical_tanh())


def test_fixed_points_and_chi_of_tanh():
    """Poole, Lahiri, Raghu, Sohl-Dickstein & Ganguli 2016."""
    holds(predictions.fixed_points())


def test_mean_singular_values():
    """Glorot & Bengio 2010."""
    holds(predictions.singular_values())


def test_he_keeps_and_xavier_loses():
    """He, Zhang, Ren & Sun 2015."""
    holds(predictions.relu_gain())


def test_relu_batchnorm_explodes():
    """Yang, Pennington, Rao, Sohl-Dickstein & Schoenholz 2019."""
    holds(predictions.relu_batchnorm())


def test_linear_batchnorm_explodes():
    """Yang et al. 2019."""
    holds(predictions.linear_batchnorm())


def test_log_normal_law():
    """Hanin & Nica 2018."""
    holds(predictions.log_normal())


def test_spectra():
    """Pennington, Schoenholz & Ganguli 2017."""
    holds(predictions.spectra())


def test_gradient_correlation():
    """Balduzzi, Frean, Leary, Lewis, Ma & McWilliams 2017."""
    holds(predictions.gradient_correlation())


def test_descent_diverges_beyond_two_over_the_curvature():
    holds(predictions.stable_learning_rate())


def test_all_are_in_the_table():
    assert len(PREDICTIONS) == 10
