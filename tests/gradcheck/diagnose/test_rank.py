"""Which of several causes that fit comes first: what was observed, and the simplest account."""

import numpy as np
import pytest

from gradcheck import check, check_gradient, check_module
from gradcheck.diagnose.causes import CAUSES, cause, widened


def draw(*shape, seed=4, scale=1.0):
    return scale * np.random.default_rng(seed).standard_normal(shape)


def sigmoid(x):
    return 0.5 * (1 + np.tanh(x / 2))


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def slugs(report):
    return [c.slug for c in report.causes]


# ---------------------------------------------------------------- what was observed


def test_an_input_that_is_modified_goes_before_what_fits_the_modified_one():
    def forward(x):
        np.tanh(x, out=x)
        return x.copy()

    report = check(forward, lambda dy, x: (dy * (1 - np.tanh(x) ** 2),), [draw(4, 3)], ("x",))
    assert slugs(report)[0] == "input-modified"
    assert "activation-derivative-at-output" in slugs(report)


def test_a_wider_cause_is_told_after_the_one_that_is_a_case_of_it():
    for slug, row in CAUSES.items():
        for wider in row.wider:
            found = {c.slug: c.score for c in widened([cause(slug)])}
            assert found[wider] < found[slug]


class LastRowMissing:
    """A linear layer whose dW is allocated, and written but for its last row."""

    def __init__(self):
        self.W, self.b = draw(4, 3, seed=1), draw(3, seed=2)
        self.dW, self.db = np.zeros((4, 3)), np.zeros(3)

    def forward(self, x):
        self.x = x.copy()
        return x @ self.W + self.b

    def backward(self, dy):
        self.dW, self.db = np.empty((4, 3)), dy.sum(axis=0)
        self.dW[:-1] = (self.x.T @ dy)[:-1]
        return dy @ self.W.T


def test_memory_that_is_not_written_is_no_stale_cache():
    assert slugs(check_module(LastRowMissing(), draw(5, 4)))[0] == "output-not-written"


@pytest.mark.parametrize("factor", [0.1, 0.25])
def test_a_leak_that_the_sign_of_dy_chooses_is_a_mask_on_dy(factor):
    x = draw(6, 6)
    report = check(
        lambda x: np.where(x > 0, x, factor * x),
        lambda dy, x: (dy * np.where(dy > 0, 1, factor),),
        [x + 0.2 * np.sign(x)],
    )
    assert slugs(report)[0] == "cotangent-masked"
    assert f"a factor of {factor}" in report.causes[0].sentence


# ---------------------------------------------------------------- few digits


def test_half_precision_is_no_layout():
    labels = np.arange(6) % 4

    def loss(z):
        return -np.log(softmax(z))[np.arange(6), labels].mean()

    def gradient(z):
        return ((softmax(z.astype(np.float16)) - np.eye(4)[labels]) / 6).astype(float)

    report = check_gradient(loss, gradient, [draw(6, 4)], ("z",))
    assert slugs(report)[0] == "reduced-precision"
    assert "layout-ignored" not in slugs(report)


def test_weights_in_half_precision_are_no_other_weights():
    report = check(
        lambda x, w: x @ w,
        lambda dy, x, w: (dy @ w.T.astype(np.float16).astype(float), x.T @ dy),
        [draw(7, 4), draw(4, 5, seed=5)],
        ("x", "w"),
    )
    assert slugs(report)[0] == "reduced-precision"


def test_a_layout_that_is_ignored_in_half_precision_is_still_seen():
    def backward(dy, x):
        flat = dy.ravel(order="K").reshape(x.shape)
        return ((flat * np.cos(x)).astype(np.float16).astype(float),)

    assert "layout-ignored" in slugs(check(np.sin, backward, [draw(5, 7)]))


# ---------------------------------------------------------------- parts of the domain


def test_a_region_that_few_entries_are_in():
    def backward(dy, x):
        return (dy * (1 - np.tanh(x) ** 2) * (abs(x) < 2.5),)

    x = np.linspace(-2.7, 2.6, 40).reshape(10, 4)
    report = check(np.tanh, backward, [x], ("x",))
    assert slugs(report)[0] == "region-wrong"
    assert "|x| > 2.5" in report.causes[0].sentence


def test_a_region_that_one_entry_is_in():
    x = np.random.default_rng(2).permutation(np.linspace(-2, 2, 12))
    report = check(np.tanh, lambda dy, x: (dy * (1 - np.tanh(x) ** 2) * (x < 1.9),), [x], ("x",))
    assert slugs(report)[0] == "region-wrong"
    assert "wrong where x > " in report.causes[0].sentence


def test_slopes_on_the_wrong_sides():
    x = draw(8, 5) + 0.0
    x += 0.2 * np.sign(x)
    a = np.array([0.1, 0.3, -0.4, 0.7, 0.2])
    report = check(
        lambda x, a: np.where(x > 0, x, a * x),
        lambda dy, x, a: (dy * np.where(x > 0, a, 1), (dy * x * (x <= 0)).sum(axis=0)),
        [x, a],
        ("x", "slope"),
    )
    assert slugs(report)[0] == "region-wrong"
    assert "turned around" in report.causes[0].sentence


# ---------------------------------------------------------------- formulas


@pytest.mark.parametrize(
    ("forward", "slope", "slug", "words"),
    [
        (np.tanh, lambda x: 1 - np.tanh(x), "activation-derivative-formula", "it is 1 − y²"),
        (sigmoid, lambda x: (sigmoid(x) * sigmoid(-x)) ** 2, "activation-derivative-twice", ""),
        (np.arctan, lambda x: 1 / np.sqrt(1 + x * x), "activation-derivative-formula", "√|φ'"),
        (np.exp, lambda x: x * np.exp(x - 1), "activation-derivative-formula", "rule for xⁿ"),
        (
            lambda x: -np.logaddexp(0, -x),
            sigmoid,
            "activation-derivative-formula",
            "taken as φ'(−x)",
        ),
        (np.tanh, lambda x: 1 - x * x, "output-formula-at-input", "1 − y²"),
        (sigmoid, sigmoid, "chain-rule-factor-missing", "(1 − y)"),
    ],
)
def test_formulas_of_a_derivative(forward, slope, slug, words):
    report = check(forward, lambda dy, x: (dy * slope(x),), [draw(6, 4)], ("x",))
    assert slugs(report)[0] == slug
    assert words in report.causes[0].sentence


def test_a_factor_that_one_term_of_two_lacks():
    def backward(dy, x, beta):
        s = sigmoid(beta * x)
        return dy * (s + x * s * (1 - s)), (dy * x * x * s * (1 - s)).sum(axis=0)

    inputs = [draw(6, 4), np.array([0.5, 1.3, 1.5, 2.0])]
    report = check(lambda x, beta: x * sigmoid(beta * x), backward, inputs, ("x", "beta"))
    assert slugs(report)[0] == "chain-rule-factor-missing"
    assert "the factor beta is missing in a term" in report.causes[0].sentence


def test_probabilities_that_are_clipped_from_below_alone():
    z, t = draw(6, 4, scale=4.0), softmax(draw(6, 4, seed=6))

    def loss(z, t):
        return -(t * np.log(softmax(z))).sum(axis=1).mean()

    report = check_gradient(
        loss, lambda z, t: ((np.maximum(softmax(z), 0.01) - t) / 6, None), [z, t], ("z", "t")
    )
    assert softmax(z).max() > 0.99
    assert slugs(report)[0] == "probability-clipped"
    assert "from below, at 0.01" in report.causes[0].sentence


def test_targets_smoothed_by_another_amount():
    z, t = draw(6, 4), np.eye(4)[np.arange(6) % 4]

    def loss(z, t):
        return -((0.9 * t + 0.1 / 4) * np.log(softmax(z))).sum(axis=1).mean()

    report = check_gradient(
        loss, lambda z, t: ((softmax(z) - 0.8 * t - 0.2 / 4) / 6, None), [z, t], ("z", "t")
    )
    assert slugs(report)[0] == "label-smoothing-mismatch"


# ---------------------------------------------------------------- normalisation


def by_given_statistics(x, gamma, beta, mean, var):
    return gamma * (x - mean) / np.sqrt(var + 1e-5) + beta


@pytest.mark.parametrize(
    ("front", "hat", "slug", "words"),
    [
        (lambda g, v: g / np.sqrt(v), None, "batchnorm-eps-mismatch", "none in backward"),
        (lambda g, v: 1 / np.sqrt(v + 1e-5), None, "batchnorm-gamma-missing", ""),
        (lambda g, v: g, None, "batchnorm-terms-wrong", "rstd in front is missing"),
        (lambda g, v: g / (np.sqrt(v) + 1e-5), None, "batchnorm-eps-mismatch", "outside"),
        (None, lambda u, v: u, "batchnorm-parameter-gradient", "without rstd"),
        (None, lambda u, v: u / np.sqrt(v + 1e-3), "batchnorm-eps-mismatch", "0.001 in backward"),
    ],
)
def test_evaluation_by_given_statistics(front, hat, slug, words):
    def backward(dy, x, gamma, beta, mean, var):
        rstd = 1 / np.sqrt(var + 1e-5)
        dx = dy * (gamma * rstd if front is None else front(gamma, var))
        xhat = (x - mean) * rstd if hat is None else hat(x - mean, var)
        return dx, (dy * xhat).sum(axis=0), dy.sum(axis=0), None, None

    var = np.random.default_rng(9).uniform(1e-4, 3e-3, 4)
    inputs = [draw(6, 4), draw(4, seed=1) + 2, draw(4, seed=2), draw(4, seed=3), var]
    report = check(by_given_statistics, backward, inputs, ("x", "gamma", "beta", "mean", "var"))
    assert slugs(report)[0] == slug
    assert words in report.causes[0].sentence


@pytest.mark.parametrize("is_whole", [False, True])
def test_means_over_the_other_axis(is_whole):
    def statistics(x, axis):
        mean, var = x.mean(axis, keepdims=True), x.var(axis, keepdims=True)
        rstd = 1 / np.sqrt(var + 1e-5)
        return (x - mean) * rstd, rstd

    def forward(x, gamma, beta):
        return gamma * statistics(x, 0)[0] + beta

    def backward(dy, x, gamma, beta):
        hat, rstd = statistics(x, 1 if is_whole else 0)
        d = dy * gamma
        means = d.mean(1, keepdims=True), (d * hat).mean(1, keepdims=True)
        right = statistics(x, 0)[0]
        return rstd * (d - means[0] - hat * means[1]), (dy * right).sum(0), dy.sum(0)

    inputs = [draw(6, 6), draw(6, seed=1) + 2, draw(6, seed=2)]
    report = check(forward, backward, inputs, ("x", "gamma", "beta"))
    assert slugs(report)[0] == "statistics-wrong-axis"


# ---------------------------------------------------------------- sums


def test_a_mean_where_some_outputs_do_not_depend_on_the_parameter():
    x = draw(16, 5)
    report = check(
        lambda x, a: np.where(x > 0, x, a * x),
        lambda dy, x, a: (dy * np.where(x > 0, 1, a), (dy * x * (x <= 0)).mean(axis=0)),
        [x + 0.2 * np.sign(x), draw(5, seed=1)],
        ("x", "slope"),
    )
    assert slugs(report)[0] == "divided-by-batch-twice"


def test_a_table_whose_rows_are_used_again():
    index = np.array([[0, 2, 2], [4, 0, 2]])

    def backward(dy, table):
        gradient = np.zeros_like(table)
        gradient[index] = dy
        return (gradient,)

    report = check(lambda table: table[index], backward, [draw(6, 3)], ("table",))
    assert slugs(report)[0] == "overwrites-instead-of-accumulating"


def test_a_bias_summed_over_the_batch_at_one_place_only():
    report = check(
        lambda x, b: x + b,
        lambda dy, x, b: (dy, dy[:, :, 0, 0].sum(axis=0).reshape(1, 3, 1, 1)),
        [draw(2, 3, 4, 2), draw(1, 3, 1, 1, seed=1)],
        ("x", "b"),
    )
    assert slugs(report)[0] == "terms-missing"
    assert "along axis (2, 3)" in report.causes[0].sentence


@pytest.mark.parametrize("phi", [lambda z: z, np.tanh])
def test_a_bias_that_forward_does_not_add(phi):
    def backward(dy, x, w, b):
        dz = dy if phi is not np.tanh else dy * (1 - np.tanh(x @ w) ** 2)
        return dz @ w.T, x.T @ dz, dz.sum(axis=0)

    inputs = [draw(5, 4), draw(4, 3, seed=1), draw(3, seed=2)]
    report = check(lambda x, w, b: phi(x @ w), backward, inputs, ("x", "w", "b"))
    assert slugs(report)[0] == "bias-left-out"


def test_a_gamma_that_forward_does_not_use_is_no_bias():
    report = check(
        lambda x, gamma: x + 0.0,
        lambda dy, x, gamma: (dy, (dy * x).sum(axis=0)),
        [draw(5, 4), draw(4, seed=1)],
        ("x", "gamma"),
    )
    assert "bias-left-out" not in slugs(report)
