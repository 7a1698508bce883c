"""Relations that a structure implies see what differences do not, and only what is wrong."""

import numpy as np
import pytest

from gradcheck import check, check_gradient
from gradcheck.invariants import structural_relations
from gradcheck.relations import Point
from gradcheck.subject import Subject


def batchnorm(x, gamma, beta, eps=1e-8, axis=0):
    u = x - x.mean(axis=axis, keepdims=True)
    return gamma * (u / np.sqrt((u * u).mean(axis=axis, keepdims=True) + x.dtype.type(eps))) + beta


def backward(dy, x, gamma, beta, eps=1e-8, axis=0):
    u = x - x.mean(axis=axis, keepdims=True)
    r = 1 / np.sqrt((u * u).mean(axis=axis, keepdims=True) + x.dtype.type(eps))
    g, hat = gamma * dy, u * r
    dx = r * (g - g.mean(axis=axis, keepdims=True) - hat * (g * hat).mean(axis=axis, keepdims=True))
    return dx, (dy * hat).sum(axis=0), dy.sum(axis=0)


def draw(shape=(12, 3), size=1.0, mean=0.0, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    x = mean + size * rng.standard_normal(shape)
    width = shape[-1]
    return [x.astype(dtype), np.ones(width, dtype), np.zeros(width, dtype)]


def first(report):
    assert report.verdict == "fail", str(report)
    return report.causes[0].slug


def test_gamma_missing_shows_at_gamma_one():
    def wrong(dy, x, gamma, beta):
        return backward(dy, x, np.ones_like(gamma), beta)

    assert first(check(batchnorm, wrong, draw(), further_points=False)) == (
        "batchnorm-gamma-missing"
    )


@pytest.mark.parametrize("size", [10.0, 100.0])
@pytest.mark.parametrize("other", [0.0, 1e-5 * 1e-4])
def test_an_eps_that_no_difference_can_see(size, other):
    """At a variance of 100 an eps of 1e-8 is a relative error of 1e-10."""

    def wrong(dy, x, gamma, beta):
        return backward(dy, x, gamma, beta, eps=other)

    report = check(batchnorm_of(1e-8), wrong, draw(size=size), further_points=False)
    assert first(report) == "batchnorm-eps-mismatch"


def batchnorm_of(eps):
    return lambda x, gamma, beta: batchnorm(x, gamma, beta, eps)


@pytest.mark.parametrize("shape", [(2, 3), (3, 1), (20, 7), (300, 3)], ids=str)
@pytest.mark.parametrize(
    "kind",
    [{}, {"mean": 1e4}, {"size": 1e-6}, {"size": 1e4}, {"dtype": np.float32}, {"mean": -3.0}],
    ids=str,
)
@pytest.mark.parametrize("eps", [1e-8, 1e-5, 1e-3])
def test_right_batchnorms_break_nothing(shape, kind, eps):
    def exact(dy, x, gamma, beta):
        return backward(dy, x, gamma, beta, eps)

    subject = Subject(batchnorm_of(eps), exact, ["x", "gamma", "beta"])
    for drawing in range(10):
        arrays = draw(shape, seed=drawing, **kind)
        outputs = subject.outputs(arrays)
        dy = np.random.default_rng(drawing + 100).standard_normal(shape).astype(arrays[0].dtype)
        point = Point(arrays, [dy], outputs, subject.gradients([dy], arrays))
        assert not list(structural_relations(subject, point))


def stable(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def naive(z):
    with np.errstate(all="ignore"):
        return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def through(p):
    return lambda dy, z: (p(z) * (dy - (p(z) * dy).sum(axis=1, keepdims=True)),)


@pytest.mark.parametrize(("forward", "back"), [(naive, naive), (stable, naive)])
def test_exp_that_overflows_is_seen_at_small_logits(forward, back, rng):
    assert first(check(forward, through(back), [rng.standard_normal((4, 3))])) == (
        "max-shift-missing"
    )


CORRECT = {
    "softmax": (stable, through(stable)),
    "tanh, saturated": (
        lambda x: np.tanh(30 + x),
        lambda dy, x: (dy / np.cosh(30 + x) ** 2,),
    ),
    "product": (lambda a, b: a * b, lambda dy, a, b: (dy * b, dy * a)),
    "centring": (
        lambda x: x - x.mean(axis=1, keepdims=True),
        lambda dy, x: (dy - dy.mean(axis=1, keepdims=True),),
    ),
    "sine": (np.sin, lambda dy, x: (dy * np.cos(x),)),
    "relu of a product": (
        lambda a, b: np.maximum(a * b, 0),
        lambda dy, a, b: (dy * (a * b > 0) * b, dy * (a * b > 0) * a),
    ),
    "norm": (
        lambda x: x / np.sqrt((x * x).sum(axis=1, keepdims=True)),
        lambda dy, x: (unit_backward(dy, x),),
    ),
}


def unit_backward(dy, x):
    r = 1 / np.sqrt((x * x).sum(axis=1, keepdims=True))
    return r * (dy - x * r * (dy * x * r).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("name", CORRECT)
@pytest.mark.parametrize("shape", [(1, 3), (4, 3), (20, 7)], ids=str)
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e2])
def test_right_functions_break_nothing(name, shape, size):
    forward, derived = CORRECT[name]
    count = derived.__code__.co_argcount - 1
    generator = np.random.default_rng(5)
    arrays = [size * generator.standard_normal(shape) for _ in range(count)]
    report = check(forward, derived, arrays, further_points=False)
    assert report.verdict != "fail", str(report)


def test_a_loss_that_is_infinite_at_a_logit_of_1000(rng):
    y = np.eye(3)[[0, 2, 1, 1]]

    def loss(z):
        with np.errstate(all="ignore"):
            return -(y * np.log(naive(z))).sum() / len(z)

    report = check_gradient(loss, lambda z: ((stable(z) - y) / len(z),), [rng.normal(size=(4, 3))])
    assert first(report) == "max-shift-missing"


def test_an_overflow_is_named_where_forward_gives_no_number(rng):
    def naive(z):
        return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)

    def gradient(dy, z):
        p = naive(z)
        return (p * (dy - (dy * p).sum(axis=1, keepdims=True)),)

    z = rng.standard_normal((5, 4)) + 800
    with np.errstate(all="ignore"):
        report = check(naive, gradient, [z], ["z"])
    assert report.verdict == "inconclusive"
    assert report.causes[0].slug == "max-shift-missing"
    report = check(lambda z: np.log(z - 1e4), lambda dy, z: (dy / z,), [z], ["z"])
    assert not report.causes
