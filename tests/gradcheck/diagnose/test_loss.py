"""Mistakes in the gradients of losses and softmaxes are named; right ones pass."""

import numpy as np
import pytest

from gradcheck import check, check_gradient


def softmax(z, axis=-1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def logsumexp(z):
    top = z.max(axis=-1, keepdims=True)
    return (top + np.log(np.exp(z - top).sum(axis=-1, keepdims=True)))[:, 0]


def entropy(z, y):
    return (logsumexp(z) - (z * y).sum(axis=1)).mean()


def strict_entropy(z, y):
    return -(y * np.log(softmax(z))).sum(axis=1).mean()


def smoothed(z, y):
    return entropy(z, 0.9 * y + 0.1 / y.shape[1])


def binary(z, y):
    return (np.logaddexp(0, z) - z * y).mean()


def binary_p(p, y):
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()


def likelihood(p, y):
    return -(y * np.log(p)).sum(axis=1).mean()


def squared(z, y):
    return ((z - y) ** 2).mean()


def half_squared(z, y):
    return 0.5 * ((z - y) ** 2).sum() / len(z)


def absolute(z, y):
    return abs(z - y).mean()


def hinge(z, y):
    return np.maximum(0, 1 - z * (2 * y - 1)).mean()


def huber(z, y, delta=0.7):
    e = abs(z - y)
    return np.where(e < delta, e * e / 2, delta * (e - delta / 2)).sum()


def decayed(z, y):
    return entropy(z, y) + 0.05 * (z * z).sum()


def n(z):
    return len(z)


LOSSES = {
    "targets forgotten": ("one-hot-not-subtracted", entropy, lambda z, y: softmax(z) / n(z)),
    "and the mean": ("one-hot-not-subtracted", entropy, lambda z, y: softmax(z)),
    "sign": ("sign-flipped", entropy, lambda z, y: (y - softmax(z)) / n(z)),
    "no mean": ("scaled-by-batch", entropy, lambda z, y: softmax(z) - y),
    "mean twice": ("divided-by-batch-twice", entropy, lambda z, y: (softmax(z) - y) / n(z) ** 2),
    "wrong axis": ("softmax-wrong-axis", entropy, lambda z, y: (softmax(z, 0) - y) / n(z)),
    "clipped": (
        "probability-clipped",
        entropy,
        lambda z, y: (np.clip(softmax(z), 0.1, 0.9) - y) / n(z),
    ),
    "Jacobian again": (
        "derivative-taken-twice",
        entropy,
        lambda z, y: (softmax(z) - y) * softmax(z) * (1 - softmax(z)) / n(z),
    ),
    "at probabilities": (
        "gradient-at-probabilities",
        entropy,
        lambda z, y: -y / softmax(z) / n(z),
    ),
    "right class only": (
        "loss-half-missing",
        entropy,
        lambda z, y: y * (softmax(z) - y) / n(z),
    ),
    "smoothing": (
        "label-smoothing-mismatch",
        smoothed,
        lambda z, y: (softmax(z) - y) / n(z),
    ),
    "binary, targets": ("one-hot-not-subtracted", binary, lambda z, y: sigmoid(z) / z.size),
    "binary, σ' again": (
        "derivative-taken-twice",
        binary,
        lambda z, y: (sigmoid(z) - y) * sigmoid(z) * sigmoid(-z) / z.size,
    ),
    "binary, at p": (
        "gradient-at-probabilities",
        binary,
        lambda z, y: (sigmoid(z) - y) / (sigmoid(z) * sigmoid(-z)) / z.size,
    ),
    "binary, half": ("loss-half-missing", binary, lambda z, y: -y * sigmoid(-z) / z.size),
    "binary, clipped": (
        "probability-clipped",
        binary,
        lambda z, y: (np.clip(sigmoid(z), 0.2, 0.8) - y) / z.size,
    ),
    "squared, sign only": (
        "gradient-of-another-loss",
        squared,
        lambda z, y: np.sign(z - y) / z.size,
    ),
    "squared, factor 2": ("scaled-by-constant", squared, lambda z, y: (z - y) / z.size),
    "squared, no mean": ("scaled-by-batch", half_squared, lambda z, y: z - y),
    "absolute, no sign": (
        "gradient-of-another-loss",
        absolute,
        lambda z, y: (z - y) / z.size,
    ),
    "hinge, everywhere": ("region-wrong", hinge, lambda z, y: -(2 * y - 1) / z.size),
    "huber, not clipped": ("region-wrong", huber, lambda z, y: z - y),
    "huber, sign only": ("region-wrong", huber, lambda z, y: 0.7 * np.sign(z - y)),
    "decay": ("weight-decay-mismatch", decayed, lambda z, y: (softmax(z) - y) / n(z)),
    "decay halved": (
        "weight-decay-mismatch",
        decayed,
        lambda z, y: (softmax(z) - y) / n(z) + 0.05 * z,
    ),
}
PROBABILITIES = {
    "p − y": ("gradient-at-logits", binary_p, lambda p, y: (p - y) / p.size),
    "half": ("loss-half-missing", binary_p, lambda p, y: -y / p / p.size),
    "likelihood, p − y": ("gradient-at-logits", likelihood, lambda p, y: (p - y) / n(p)),
    "likelihood, no 1/p": ("loss-half-missing", likelihood, lambda p, y: -y / n(p)),
    "added": ("probability-clipped", likelihood, lambda p, y: -y / (p + 1e-3) / n(p)),
}


def draw(shape, size=1.5, seed=0):
    rng = np.random.default_rng(seed)
    z = size * rng.standard_normal(shape)
    return z, np.eye(shape[1])[rng.integers(0, shape[1], shape[0])]


def named(report, slug, name):
    assert report.verdict == "fail", str(report)
    causes = next(f for f in report.findings if f.name == name).causes
    assert causes, str(report)
    assert causes[0].slug == slug, [(c.slug, round(c.score, 3)) for c in causes]


@pytest.mark.parametrize("shape", [(3, 4), (20, 3)], ids=str)
@pytest.mark.parametrize("mistake", LOSSES)
def test_a_wrong_gradient_is_named(mistake, shape):
    slug, loss, gradient = LOSSES[mistake]
    report = check_gradient(loss, lambda z, y: (gradient(z, y), None), draw(shape), ["z", "y"])
    named(report, slug, "z")


@pytest.mark.parametrize("shape", [(3, 4), (20, 3)], ids=str)
@pytest.mark.parametrize("mistake", PROBABILITIES)
def test_of_probabilities(mistake, shape):
    slug, loss, gradient = PROBABILITIES[mistake]
    z, y = draw(shape)
    arrays = [softmax(z), y]
    report = check_gradient(loss, lambda p, y: (gradient(p, y), None), arrays, ["p", "y"])
    named(report, slug, "p")


@pytest.mark.parametrize("loss", [entropy, strict_entropy], ids=["linear", "strict"])
def test_targets_that_do_not_sum_to_one(loss):
    """Each of the two losses with the gradient of the other."""

    def gradient(z, y):
        total = y.sum(axis=1, keepdims=True) if loss is entropy else 1
        return (softmax(z) * total - y) / len(z), None

    z, _ = draw((5, 3))
    report = check_gradient(loss, gradient, [z, np.random.default_rng(1).uniform(0, 3, (5, 3))])
    named(report, "targets-not-normalised", "input0")


@pytest.mark.parametrize("mistake", ["targets forgotten", "wrong axis", "clipped", "smoothing"])
def test_with_labels_and_with_targets_that_stay_inside(mistake):
    slug, loss, gradient = LOSSES[mistake]
    z, y = draw((8, 4))
    labels = y.argmax(axis=1)
    report = check_gradient(
        lambda z, k: loss(z, np.eye(4)[k]),
        lambda z, k: (gradient(z, np.eye(4)[k]), None),
        [z, labels],
        ["z", "labels"],
    )
    named(report, slug, "z")
    if mistake != "smoothing":
        report = check_gradient(lambda z: loss(z, y), lambda z: (gradient(z, y),), [z], ["z"])
        named(report, slug, "z")


HIDDEN = {
    "half": (binary_p, "loss-half-missing", lambda p, y: -y / p / p.size),
    "likelihood": (likelihood, "gradient-at-logits", lambda p, y: (p - y) / n(p)),
    "no targets": (squared, "one-hot-not-subtracted", lambda p, y: 2 * p / p.size),
    "divided twice": (
        entropy,
        "scaled-by-constant",
        lambda z, y: (softmax(z) - y) / n(z) / y.shape[1],
    ),
}


@pytest.mark.parametrize("mistake", HIDDEN)
def test_targets_of_any_loss_that_stay_inside(mistake):
    loss, slug, gradient = HIDDEN[mistake]
    z, y = draw((6, 4))
    p = softmax(z)
    report = check_gradient(lambda p: loss(p, y), lambda p: (gradient(p, y),), [p], ["p"])
    named(report, slug, "p")


def test_targets_inside_that_sum_to_anything():
    z, _ = draw((5, 4))
    y = np.random.default_rng(1).uniform(0, 3, z.shape)
    report = check_gradient(
        lambda z: strict_entropy(z, y) * len(z), lambda z: (softmax(z) - y,), [z], ["z"]
    )
    named(report, "targets-not-normalised", "z")


def test_a_square_without_targets_is_no_loss():
    z, _ = draw((5, 4))
    report = check_gradient(lambda z: (z * z).sum(), lambda z: (z,), [z], ["z"])
    named(report, "scaled-by-constant", "z")


def test_one_decay_in_the_loss_and_the_other_in_the_gradient():
    x, w = np.random.default_rng(1).standard_normal((9, 5)), np.linspace(-1, 2, 5)
    report = check_gradient(
        lambda w: ((x @ w) ** 2).sum() + 0.3 * abs(w).sum(),
        lambda w: (2 * x.T @ (x @ w) + 0.6 * w,),
        [w],
        ["w"],
    )
    named(report, "weight-decay-mismatch", "w")
    assert "0.6·w in the gradient, 0.3·sign(w) in the loss" in report.causes[0].sentence


@pytest.mark.parametrize("mistake", ["targets forgotten", "wrong axis", "right class only"])
def test_after_an_affine_map(mistake):
    slug, loss, gradient = LOSSES[mistake]
    rng = np.random.default_rng(2)
    x, w, b = (rng.standard_normal(s) for s in ((6, 5), (5, 3), (3,)))
    _, y = draw((6, 3))

    def backward(x, w, b, y):
        dz = gradient(x @ w + b, y)
        return dz @ w.T, x.T @ dz, dz.sum(axis=0), None

    names = ["x", "w", "b", "y"]
    report = check_gradient(lambda x, w, b, y: loss(x @ w + b, y), backward, [x, w, b, y], names)
    named(report, slug, "x")
    named(report, slug, "w")


MAPS = {
    "log softmax, dy": (
        "softmax-sum-missing",
        lambda z: np.log(softmax(z)),
        lambda dy, z: (dy,),
    ),
    "log softmax, p·dy": (
        "softmax-sum-missing",
        lambda z: np.log(softmax(z)),
        lambda dy, z: (dy - softmax(z) * dy,),
    ),
    "log softmax, mean": (
        "softmax-sum-missing",
        lambda z: np.log(softmax(z)),
        lambda dy, z: (dy - softmax(z) * dy.mean(axis=1, keepdims=True),),
    ),
    "softmax, diagonal": (
        "softmax-jacobian-diagonal",
        softmax,
        lambda dy, z: (softmax(z) * (1 - softmax(z)) * dy,),
    ),
    "softmax, no sum": ("softmax-sum-missing", softmax, lambda dy, z: (softmax(z) * dy,)),
    "softmax, over the batch": (
        "softmax-wrong-axis",
        softmax,
        lambda dy, z: (softmax(z) * (dy - (softmax(z) * dy).sum(axis=0)),),
    ),
}


@pytest.mark.parametrize("shape", [(3, 4), (20, 3)], ids=str)
@pytest.mark.parametrize("mistake", MAPS)
def test_softmax_as_a_layer(mistake, shape):
    slug, forward, backward = MAPS[mistake]
    named(check(forward, backward, [draw(shape)[0]], ["z"]), slug, "z")


RIGHT = {
    "entropy": (entropy, lambda z, y: (softmax(z) - y) / n(z)),
    "binary": (binary, lambda z, y: (sigmoid(z) - y) / z.size),
    "squared": (squared, lambda z, y: 2 * (z - y) / z.size),
    "absolute": (absolute, lambda z, y: np.sign(z - y) / z.size),
    "hinge": (hinge, lambda z, y: -(2 * y - 1) * (z * (2 * y - 1) < 1) / z.size),
    "huber": (huber, lambda z, y: np.clip(z - y, -0.7, 0.7)),
    "smoothed": (smoothed, lambda z, y: (softmax(z) - 0.9 * y - 0.1 / y.shape[1]) / n(z)),
    "decayed": (decayed, lambda z, y: (softmax(z) - y) / n(z) + 0.1 * z),
}


@pytest.mark.parametrize("shape", [(1, 4), (3, 2), (20, 7)], ids=str)
@pytest.mark.parametrize("name", RIGHT)
def test_right_ones_never_fail(name, shape):
    loss, gradient = RIGHT[name]
    report = check_gradient(loss, lambda z, y: (gradient(z, y), None), draw(shape), ["z", "y"])
    assert report.verdict != "fail", str(report)


def test_backward_without_the_shift():
    z, y = draw((4, 3))
    z += 1000.0

    def gradient(z, y):
        with np.errstate(all="ignore"):
            return (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) - y) / n(z), None

    named(check_gradient(entropy, gradient, [z, y], ["z", "y"]), "max-shift-missing", "z")


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (1, 3)], ids=str)
def test_odd_shapes_raise_nothing(shape):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape), np.ones(shape)]
    check(lambda z, y: z - y, lambda dy, z, y: (2 * dy, dy), arrays)
