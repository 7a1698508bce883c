"""Functions that rely on what their inputs are: the check does not take it away."""

import numpy as np
import pytest

from gradcheck import check, check_gradient
from gradcheck.points import aside, varied
from gradcheck.structure import structure_of


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def cross_entropy(z, t):
    return -(t * np.log(softmax(z))).sum()


def one_hot(rng):
    return np.eye(4)[rng.integers(0, 4, 6)]


def probabilities(rng):
    return rng.dirichlet(np.ones(4), 6)


def orthogonal(rng):
    return np.linalg.qr(rng.standard_normal((4, 4)))[0]


def positive_definite(rng):
    a = rng.standard_normal((4, 4))
    return a @ a.T + np.eye(4)


def unit_rows(rng):
    a = rng.standard_normal((5, 4))
    return a / np.linalg.norm(a, axis=1, keepdims=True)


KEPT = {
    "of zeros and ones": lambda rng: (rng.random((6, 4)) > 0.4) * 1.0,
    "of rows that sum to one": probabilities,
    "of columns that sum to one": lambda rng: probabilities(rng).T,
    "of rows of norm one": unit_rows,
    "of columns of norm one": lambda rng: unit_rows(rng).T,
    "orthogonal": orthogonal,
    "symmetric": positive_definite,
    "triangular": lambda rng: np.linalg.cholesky(positive_definite(rng)),
    "sorted": lambda rng: np.sort(rng.standard_normal(7)),
    "between zero and one": lambda rng: rng.uniform(0.1, 0.9, (6, 4)),
}


@pytest.mark.parametrize("size", [0.1, 1.0, 6.0])
@pytest.mark.parametrize("name", KEPT)
def test_other_numbers_keep_to_it(name, dtype, size, rng):
    array = KEPT[name](rng).astype(dtype)
    assert structure_of(array).name == name
    other = np.asarray(varied(array, rng, size), dtype)
    assert structure_of(other).name == name
    assert not np.array_equal(other, array)


@pytest.mark.parametrize("size", [0.1, 6.0])
def test_what_stays_beside_that(size, rng):
    a, q = positive_definite(rng), orthogonal(rng)
    larger = varied(a, rng, size)
    np.testing.assert_allclose(np.linalg.eigvalsh(larger), size * np.linalg.eigvalsh(a), rtol=1e-12)
    turned = varied(q, rng, size)
    np.testing.assert_allclose(turned.T @ turned, np.eye(4), atol=1e-12)
    other = varied(one_hot(rng), rng, size)
    assert set(other.ravel()) == {0.0, 1.0}
    np.testing.assert_array_equal(other.sum(axis=1), np.ones(6))


@pytest.mark.parametrize("array", [
    np.ones((3, 4)), np.zeros((3, 3)), 2 * np.eye(3), np.array(1.0), np.array([0.5, 0.5]) * np.nan,
    np.arange(12.0).reshape(3, 4), np.array([2.0, 1.0]),
], ids=str)  # fmt: skip
def test_what_has_no_structure(array):
    found = structure_of(array)
    assert found is None


@pytest.mark.parametrize("name", KEPT)
def test_what_is_not_differentiated_keeps_its_rows(name, rng):
    array = KEPT[name](rng)
    other = aside(array, rng)
    if name in ("symmetric", "triangular", "sorted"):
        np.testing.assert_array_equal(other, array)
    else:
        assert sorted(map(tuple, other)) == sorted(map(tuple, array))


@pytest.mark.parametrize("targets", [one_hot, probabilities], ids=["one-hot", "soft"])
@pytest.mark.parametrize("is_differentiated", [False, True])
def test_targets_that_sum_to_one(targets, is_differentiated, rng):
    """p − t is the gradient for such targets alone: Σt·p − t is that for all."""

    def gradient(z, t):
        return softmax(z) - t, -np.log(softmax(z)) if is_differentiated else None

    inputs = [rng.standard_normal((6, 4)), targets(rng)]
    assert check_gradient(cross_entropy, gradient, inputs, ["z", "t"])
    counts = [inputs[0], 3 * inputs[1] + 0.5]
    assert check_gradient(cross_entropy, gradient, counts, ["z", "t"]).verdict == "fail"


def test_a_symmetric_matrix_stays_so(rng):
    """½·xᵀ·A·x has the gradient A·x for a symmetric A only."""

    def gradient(x, a):
        return a @ x, np.outer(x, x) / 2

    inputs = [rng.standard_normal(4), positive_definite(rng)]
    report = check_gradient(lambda x, a: x @ a @ x / 2, gradient, inputs, ["x", "a"])
    assert report
    assert "a is symmetric: so it was at the other points, too" in report.notes
    inputs[1] = rng.standard_normal((4, 4))
    assert not check_gradient(lambda x, a: x @ a @ x / 2, gradient, inputs)


def test_a_mask_that_is_given(rng):
    """dx·m is dx·m² for a mask of zeros and ones only."""
    mask = (rng.random((5, 4)) > 0.4) * 1.0
    inputs = [rng.standard_normal((5, 4)), mask]
    assert check(lambda x, m: x * m**2, lambda dy, x, m: (dy * m, None), inputs)


def deviation_backward(dy, x):
    return (dy * (x - x.mean(axis=0)) / len(x) / x.std(axis=0),)


def test_one_row_without_a_deviation_is_no_mistake(rng):
    x = rng.standard_normal((8, 4))
    report = check(lambda x: x.std(axis=0), deviation_backward, [x], ["x"])
    assert report
    assert any("forward does not depend on x" in note for note in report.notes)


def test_not_finite_for_one_row_where_forward_has_a_slope(rng):
    """(n − 1)/(n − 1) is 0/0 for one row, where forward is x²."""

    def backward(dy, x):
        return (2 * dy * x * np.float64(len(x) - 1) / np.float64(len(x) - 1),)

    report = check(np.square, backward, [rng.standard_normal((8, 4))], ["x"])
    assert report.verdict == "fail"
    assert "wrong with one row" in report.findings[0].note


def log_determinant(a):
    """Reads the lower triangle alone."""
    return 2 * np.log(np.diag(np.linalg.cholesky(a))).sum()


def test_gradients_of_symmetric_matrices(rng):
    """d log det A = A⁻¹, which is that of half a pair of entries; and the mistakes remain."""
    a = positive_definite(rng)
    report = check_gradient(log_determinant, lambda a: (np.linalg.inv(a),), [a], ["a"])
    assert report
    assert "a is symmetric, and da that along symmetric changes alone" in report.notes
    wrong = check_gradient(log_determinant, lambda a: (2 * np.linalg.inv(a),), [a], ["a"])
    assert wrong.verdict == "fail"

    def eigenvalues(dy, a):
        vectors = np.linalg.eigh(a)[1]
        return (vectors * dy @ vectors.T,)

    assert check(np.linalg.eigvalsh, eigenvalues, [a])


def binary(p, t):
    p = np.clip(p, 1e-7, 1 - 1e-7)
    return -(t * np.log(p) + (1 - t) * np.log1p(-p)).sum()


def test_numbers_between_zero_and_one(rng):
    """A clip that is never reached there is no mistake; beyond, it is for the caller to say."""

    def gradient(p, t):
        return (p - t) / (p * (1 - p)), None

    inputs = [rng.uniform(0.05, 0.95, (5, 3)), (rng.random((5, 3)) > 0.5) * 1.0]
    report = check_gradient(binary, gradient, inputs, ["p", "t"])
    assert report.verdict == "inconclusive"
    assert report.findings[0].note.startswith("right here, wrong where p is")
    assert check_gradient(binary, gradient, inputs, ["p", "t"], domain={"p": (0.0, 1.0)})


def test_a_mistake_above_one_is_not_lost(rng):
    report = check(lambda x: np.minimum(x, 1), lambda dy, x: (dy,), [rng.random((5, 3))], ["x"])
    assert report.verdict == "inconclusive"
    assert "wrong where x is above one" in report.findings[0].note


def test_columns_that_sum_to_one_are_not_cut(rng):
    """As many classes as rows: a smaller batch would break the targets."""

    def loss(z, t):
        return cross_entropy(z.T, t.T)

    inputs = [rng.standard_normal((4, 6)), one_hot(rng).T]
    assert check_gradient(loss, lambda z, t: (softmax(z.T).T - t, None), inputs)
