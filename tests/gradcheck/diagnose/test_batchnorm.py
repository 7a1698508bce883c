"""Mistakes in the backward of normalisations are named; right ones pass."""

import time

import numpy as np
import pytest

from gradcheck import check


def statistics(x, eps, axis=0, ddof=0, outside=False, centred=True):
    """u = x − mean and rstd."""
    u = x - x.mean(axis=axis, keepdims=True) if centred else x
    variance = (u * u).sum(axis=axis, keepdims=True) / (
        np.prod([x.shape[a] for a in np.atleast_1d(axis)]) - ddof
    )
    variance = variance.astype(x.dtype)
    return u, 1 / (np.sqrt(variance) + eps) if outside else 1 / np.sqrt(variance + eps)


def normalise(axis=0, eps=1e-5, ddof=0, outside=False, centred=True):
    eps_ = eps

    def forward(x, gamma, beta):
        u, r = statistics(x, x.dtype.type(eps_), axis, ddof, outside, centred)
        return gamma * (u * r) + beta

    return forward


def derive(formula, axis=0, eps=1e-5, ddof=0, outside=False, centred=True):
    """A backward whose dx is formula(g, dy, u, r, mean, n, gamma); dγ and dβ are right."""

    def backward(dy, x, gamma, beta):
        u, r = statistics(x, x.dtype.type(eps), axis, ddof, outside, centred)
        n = int(np.prod([x.shape[a] for a in np.atleast_1d(axis)]))

        def mean(array):
            return array.mean(axis=axis, keepdims=True)

        dx = formula(gamma * dy, dy, u, r, mean, n, gamma)
        return dx, (dy * u * r).sum(axis=0), dy.sum(axis=0)

    return backward


def right(g, dy, u, r, mean, n, gamma):
    return r * (g - mean(g) - u * r * mean(g * u * r))


DX = {
    "no mean": (
        "batchnorm-mean-term-missing",
        lambda g, dy, u, r, mean, n, gamma: r * (g - u * r * mean(g * u * r)),
    ),
    "no variance": (
        "batchnorm-variance-term-missing",
        lambda g, dy, u, r, mean, n, gamma: r * (g - mean(g)),
    ),
    "constant": (
        "batchnorm-statistics-constant",
        lambda g, dy, u, r, mean, n, gamma: r * g,
    ),
    "no gamma": (
        "batchnorm-gamma-missing",
        lambda g, dy, u, r, mean, n, gamma: right(dy, dy, u, r, mean, n, gamma),
    ),
    "gamma in front only": (
        "batchnorm-gamma-missing",
        lambda g, dy, u, r, mean, n, gamma: r * (g - mean(dy) - u * r * mean(dy * u * r)),
    ),
    "an extra mean that fades": (
        "batchnorm-terms-wrong",
        lambda g, dy, u, r, mean, n, gamma: right(g, dy, u, r, mean, n, gamma) - r * mean(g) / n,
    ),
    "sum for mean": (
        "batchnorm-terms-wrong",
        lambda g, dy, u, r, mean, n, gamma: r * (g - mean(g) - u * r * n * mean(g * u * r)),
    ),
    "sign of the variance": (
        "batchnorm-terms-wrong",
        lambda g, dy, u, r, mean, n, gamma: r * (g - mean(g) + u * r * mean(g * u * r)),
    ),
    "x̂ once unscaled": (
        "batchnorm-terms-wrong",
        lambda g, dy, u, r, mean, n, gamma: r * (g - mean(g) - u * mean(g * u * r)),
    ),
    "n - 1 in the last sum": (
        "batchnorm-unbiased-variance",
        lambda g, dy, u, r, mean, n, gamma: (
            r * (g - mean(g) - u * r * mean(g * u * r) * n / (n - 1))
        ),
    ),
}
SHAPES = [(3, 1), (20, 3), (300, 7)]


def draw(shape, size=1.0, mean=0.5, dtype=np.float64, is_unit=False, seed=0):
    rng = np.random.default_rng(seed)
    width = shape[-1]
    gamma = np.ones(width) if is_unit else rng.uniform(0.5, 2, width) * rng.choice([-1, 1], width)
    arrays = (mean + size * rng.standard_normal(shape), gamma, rng.standard_normal(width))
    return [a.astype(dtype) for a in arrays]


def named(report, slug, name="x"):
    assert report.verdict == "fail", str(report)
    causes = next(f for f in report.findings if f.name == name).causes
    assert causes, str(report)
    assert causes[0].slug == slug, [(c.slug, round(c.score, 3)) for c in causes]


@pytest.mark.usefixtures("repairs_at_one_shape")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("mistake", DX)
def test_a_wrong_term_is_named(mistake, shape):
    slug, formula = DX[mistake]
    report = check(normalise(), derive(formula), draw(shape), ["x", "gamma", "beta"])
    named(report, slug)


@pytest.mark.usefixtures("without_repairs")
@pytest.mark.parametrize("mistake", ["no mean", "no variance", "constant", "sum for mean"])
@pytest.mark.parametrize(
    "kind",
    [
        {"dtype": np.float32},
        {"mean": 1e4},
        {"size": 1e-6, "mean": 0.0},
        {"size": 1e3},
        {"is_unit": True},
    ],
    ids=str,
)
def test_also_at_other_sizes(mistake, kind):
    slug, formula = DX[mistake]
    arrays = draw((20, 3), **kind)
    eps = 1e-8 if kind.get("size") == 1e-6 else 1e-5
    report = check(normalise(eps=eps), derive(formula, eps=eps), arrays, ["x", "gamma", "beta"])
    named(report, slug)


@pytest.mark.parametrize("mistake", ["no mean", "no variance", "constant", "no gamma"])
def test_layer_norm(mistake):
    slug, formula = DX[mistake]
    report = check(normalise(axis=1), derive(formula, axis=1), draw((6, 5)), ["x", "gamma", "beta"])
    named(report, slug)


def test_rms_norm_without_its_variance_term():
    kind = {"axis": 1, "centred": False}
    report = check(
        normalise(**kind),
        derive(lambda g, dy, u, r, mean, n, gamma: r * g, **kind),
        draw((6, 5)),
    )
    named(report, "batchnorm-variance-term-missing", "input0")


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ({"eps": 1e-5}, {"eps": 0.0}),
        ({"eps": 1e-5}, {"eps": 1e-8}),
        ({"eps": 1e-3}, {"eps": 1e-5}),
        ({"eps": 1e-8}, {"eps": 1e-5}),
        ({"eps": 1e-5}, {"eps": 1e-5, "outside": True}),
        ({"eps": 1e-5, "outside": True}, {"eps": 1e-5}),
    ],
    ids=str,
)
@pytest.mark.usefixtures("repairs_at_one_shape")
@pytest.mark.parametrize("shape", [(3, 2), (20, 3), (300, 1)], ids=str)
def test_another_eps_is_named(there, here, shape):
    report = check(normalise(**there), derive(right, **here), draw(shape), ["x", "gamma", "beta"])
    named(report, "batchnorm-eps-mismatch")


@pytest.mark.usefixtures("repairs_at_one_shape")
@pytest.mark.parametrize("shape", [(3, 2), (20, 3), (300, 1)], ids=str)
@pytest.mark.parametrize(("there", "here"), [(0, 1), (1, 0), (1, 1)])
def test_another_variance_is_named(there, here, shape):
    """With ddof = 1 on both sides x̂·mean(dy·x̂) wants the factor n/(n − 1)."""
    report = check(
        normalise(ddof=there), derive(right, ddof=here), draw(shape), ["x", "gamma", "beta"]
    )
    named(report, "batchnorm-unbiased-variance")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)], ids=str)
def test_in_any_order_of_arguments(order):
    forward, backward = normalise(), derive(DX["no mean"][1])
    arrays = draw((5, 3))
    where = [order.index(k) for k in range(3)]

    def shuffled(*given):
        return forward(*(given[k] for k in where))

    def backward_shuffled(dy, *given):
        gradients = backward(dy, *(given[k] for k in where))
        return [gradients[k] for k in order]

    report = check(shuffled, backward_shuffled, [arrays[k] for k in order])
    named(report, "batchnorm-mean-term-missing", f"input{where[0]}")


@pytest.mark.parametrize(
    ("slug", "dgamma"),
    [
        ("batchnorm-parameter-gradient", lambda dy, x, u, r: (dy * x).sum(axis=0)),
        ("batchnorm-parameter-gradient", lambda dy, x, u, r: (dy * u).sum(axis=0)),
        (
            "batchnorm-eps-mismatch",
            lambda dy, x, u, r: (dy * u / np.sqrt(x.var(axis=0))).sum(axis=0),
        ),
        (
            "batchnorm-unbiased-variance",
            lambda dy, x, u, r: (dy * u / np.sqrt(x.var(axis=0, ddof=1) + 1e-3)).sum(axis=0),
        ),
    ],
)
def test_gradients_of_gamma(slug, dgamma):
    def backward(dy, x, gamma, beta):
        u, r = statistics(x, 1e-3)
        return (
            right(gamma * dy, dy, u, r, lambda a: a.mean(axis=0), len(x), gamma),
            dgamma(dy, x, u, r),
            dy.sum(axis=0),
        )

    report = check(normalise(eps=1e-3), backward, draw((20, 3)), ["x", "gamma", "beta"])
    named(report, slug, "gamma")


@pytest.mark.parametrize("mistake", ["no mean", "no variance", "constant", "no gamma"])
@pytest.mark.parametrize("after", ["relu", "tanh"])
def test_with_an_activation_after_and_an_affine_map_before(mistake, after):
    slug, formula = DX[mistake]
    inner, derived = normalise(), derive(formula)
    phi, slope = {
        "relu": (lambda z: np.maximum(z, 0), lambda z: 1.0 * (z > 0)),
        "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    }[after]

    def forward(x, w, gamma, beta):
        return phi(inner(x @ w, gamma, beta))

    def backward(dy, x, w, gamma, beta):
        z = x @ w
        dz, dgamma, dbeta = derived(dy * slope(inner(z, gamma, beta)), z, gamma, beta)
        return dz @ w.T, x.T @ dz, dgamma, dbeta

    rng = np.random.default_rng(3)
    x, w = rng.standard_normal((9, 4)), rng.standard_normal((4, 3))
    report = check(forward, backward, [x, w, *draw((9, 3))[1:]], ["x", "w", "gamma", "beta"])
    named(report, slug, "x")
    named(report, slug, "w")


@pytest.mark.parametrize("statistics_of", ["batch", "running"])
def test_the_training_formula_in_evaluation(statistics_of):
    def forward(x, gamma, beta, mean, variance):
        return gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta

    def backward(dy, x, gamma, beta, mean, variance):
        r = 1 / np.sqrt(variance + 1e-5)
        hat = (x - mean) * r
        if statistics_of == "batch":
            r = 1 / np.sqrt(x.var(axis=0) + 1e-5)
            hat = (x - x.mean(axis=0)) * r
        g = gamma * dy
        dx = r * (g - g.mean(axis=0) - hat * (g * hat).mean(axis=0))
        true = (x - mean) / np.sqrt(variance + 1e-5)
        return dx, (dy * true).sum(axis=0), dy.sum(axis=0), None, None

    rng = np.random.default_rng(1)
    arrays = [*draw((8, 3)), rng.standard_normal(3), rng.uniform(0.5, 2, 3)]
    report = check(forward, backward, arrays, ["x", "gamma", "beta", "mean", "variance"])
    named(report, "batchnorm-mode-confused")


def test_the_evaluation_formula_in_training():
    running = np.array([0.7, 1.9, 3.1])

    def formula(g, dy, u, r, mean, n, gamma):
        return g / np.sqrt(running + 1e-5)

    report = check(normalise(), derive(formula), draw((8, 3)), ["x", "gamma", "beta"])
    named(report, "batchnorm-mode-confused")


RIGHT = [
    *({"shape": shape, "eps": eps} for shape in SHAPES for eps in (1e-8, 1e-3)),
    {"shape": (2, 3)},
    {"shape": (20, 3), "outside": True},
    {"shape": (20, 3), "is_unit": True},
    {"shape": (20, 3), "mean": 1e4},
    {"shape": (20, 3), "size": 1e-6, "mean": 0.0, "eps": 1e-8},
    {"shape": (20, 3), "size": 1e3},
    {"shape": (6, 5), "axis": 1},
    {"shape": (20, 3), "dtype": np.float32},
    {"shape": (300, 7), "dtype": np.float32, "mean": 10.0},
]


@pytest.mark.parametrize("kind", RIGHT, ids=str)
@pytest.mark.parametrize("drawing", range(3))
def test_right_ones_never_fail(kind, drawing):
    drawn = {k: kind[k] for k in kind.keys() & {"shape", "size", "mean", "dtype", "is_unit"}}
    layer = {k: kind[k] for k in kind.keys() & {"axis", "eps", "outside"}}

    def exact(g, dy, u, r, mean, n, gamma):
        if not kind.get("outside"):
            return right(g, dy, u, r, mean, n, gamma)
        spread = np.sqrt(mean(u * u)) + 1e-300  # one row has none
        return r * (g - mean(g) - u * r * mean(g * u) / spread)

    arrays = draw(seed=drawing, **drawn)
    report = check(normalise(**layer), derive(exact, **layer), arrays, ["x", "gamma", "beta"])
    assert report.verdict != "fail", str(report)


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (1, 1), (2, 1)], ids=str)
def test_odd_shapes_raise_nothing(shape):
    check(normalise(), derive(DX["no mean"][1]), draw(shape))


def test_a_failing_check_is_quick():
    arrays = draw((20, 3))
    check(normalise(), derive(DX["no mean"][1]), arrays)
    began = time.process_time()
    check(normalise(), derive(DX["no mean"][1]), arrays)
    assert time.process_time() - began < 1.0  # whatever else keeps the machine busy


def test_channels_as_many_as_columns():
    """γ of two channels fits the last axis as well, and runs along axis 1."""
    rng = np.random.default_rng(2)
    x, gamma = rng.standard_normal((3, 2, 3, 2)), np.array([0.7, 1.6])

    def normalised(x):
        centred = x - x.mean(axis=(0, 2, 3), keepdims=True)
        return centred, 1 / np.sqrt((centred**2).mean(axis=(0, 2, 3), keepdims=True) + 1e-5)

    def forward(x, gamma):
        centred, rstd = normalised(x)
        return gamma[:, None, None] * centred * rstd

    def backward(dy, x, gamma):
        centred, rstd = normalised(x)
        d, hat = dy * gamma[:, None, None], centred * rstd
        return rstd * (d - hat * (d * hat).mean(axis=(0, 2, 3), keepdims=True)), None

    report = check(forward, backward, [x, gamma], ("x", "gamma"))
    assert report.causes[0].slug == "batchnorm-mean-term-missing", str(report)


def test_a_layer_norm_over_two_axes_with_as_many_parameters():
    rng = np.random.default_rng(3)
    x, gamma = rng.standard_normal((5, 3, 4)), 1 + rng.random((3, 4))

    def normalised(x):
        centred = x - x.mean(axis=(1, 2), keepdims=True)
        return centred / np.sqrt((centred**2).mean(axis=(1, 2), keepdims=True) + 1e-5)

    def backward(dy, x, gamma):
        rstd = 1 / np.sqrt(x.var(axis=(1, 2), keepdims=True) + 1e-5)
        d = dy * gamma
        return rstd * (d - d.mean(axis=(1, 2), keepdims=True)), None

    report = check(lambda x, gamma: normalised(x) * gamma, backward, [x, gamma], ("x", "gamma"))
    assert report.causes[0].slug == "batchnorm-variance-term-missing", str(report)
