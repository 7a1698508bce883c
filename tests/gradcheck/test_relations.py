"""Exact relations: what is broken in a planted way is found, by its name."""

import numpy as np
import pytest

from gradcheck import check, check_gradient
from gradcheck.relations import changed


class Kept:
    """Memory that outlives a call."""

    def __init__(self):
        self.total = None
        self.buffer = np.zeros((4, 5))
        self.x = None


def accumulating():
    kept = Kept()

    def backward(dy, x):
        gradient = 2 * dy * x
        kept.total = gradient if kept.total is None else kept.total + gradient
        return (kept.total,)

    return lambda x: x * x, backward


def unwritten():
    def backward(dy, x):
        dx = np.empty(x.shape)
        dx[:3] = 2 * (dy * x)[:3]
        return (dx,)

    return lambda x: x * x, backward


def shared_output():
    kept = Kept()

    def forward(x):
        kept.buffer[:] = x * x
        return kept.buffer

    return forward, lambda dy, x: (2 * dy * x,)


def shared_gradient():
    kept = Kept()

    def backward(dy, x):
        np.multiply(2 * dy, x, out=kept.buffer)
        return (kept.buffer,)

    return lambda x: x * x, backward


def first_cache():
    kept = Kept()

    def forward(x):
        if kept.x is None:
            kept.x = x.copy()
        return x * x

    return forward, lambda dy, x: (2 * dy * kept.x,)


def flat_memory():
    def backward(dy, x):
        rows = np.ravel(x, order="K").reshape(x.shape)
        return (2 * dy * rows,)

    return lambda x: x * x, backward


def in_place_input():
    def backward(dy, x):
        x *= 2
        return (dy * x,)

    return lambda x: x * x, backward


def in_place_cotangent():
    def backward(dy, x):
        dy *= 2
        return (dy * x,)

    return lambda x: x * x, backward


def random_gradient():
    source = np.random.default_rng(0)
    return lambda x: x * x, lambda dy, x: (2 * dy * x * source.uniform(0.9, 1.1, x.shape),)


def ignoring():
    return lambda x: x * x, lambda dy, x: (2 * x,)


def masking():
    return lambda x: x * x, lambda dy, x: (2 * dy * x * (dy > 0),)


def clipping():
    return lambda x: x * x, lambda dy, x: (2 * x * np.clip(dy, -5, 5),)


def spent_cache():
    kept = Kept()

    def forward(x):
        kept.x = x.copy()
        return x * x

    def backward(dy, x):
        kept.x *= 2
        return (dy * kept.x,)

    return forward, backward


PLANTED = {
    spent_cache: "cache-aliased",
    accumulating: "accumulates-into-stale-buffer",
    unwritten: "output-not-written",
    shared_output: "cache-aliased",
    shared_gradient: "cache-aliased",
    first_cache: "stale-cache",
    flat_memory: "layout-ignored",
    in_place_input: "input-modified",
    in_place_cotangent: "cotangent-modified",
    random_gradient: "not-deterministic",
    ignoring: "cotangent-ignored",
    masking: "cotangent-masked",
    clipping: "cotangent-clipped",
}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_what_is_broken_is_named(plant, seed):
    forward, backward = plant()
    x = np.random.default_rng(seed).standard_normal((4, 5))
    report = check(forward, backward, [x], ["x"], seed)
    assert report.verdict == "fail", str(report)
    assert report.causes[0].slug == PLANTED[plant], str(report)


def test_a_loss_that_remembers_its_first_batch(rng):
    sizes = []

    def gradient(x):
        sizes.append(len(x))
        return 2 * x / (sizes[0] * x.shape[1])

    report = check_gradient(lambda x: (x * x).mean(), gradient, [rng.standard_normal((6, 3))])
    assert report.verdict == "fail"
    assert "with 5 rows" in str(report)


def test_a_mean_over_rows_that_remembers_their_number(rng):
    report = check(
        lambda x: x.mean(0),
        lambda dy, x: (np.ones_like(x) * dy / 8,),
        [rng.standard_normal((8, 3))],
    )
    assert report.verdict == "fail"


def test_a_log_sum_exp_that_overflows(rng):
    def forward(z):
        return np.log(np.exp(z).sum(axis=1))

    def backward(dy, z):
        e = np.exp(z)
        return (dy[:, None] * e / e.sum(axis=1, keepdims=True),)

    report = check(forward, backward, [rng.standard_normal((4, 3))], ["z"])
    assert report.verdict == "fail"
    assert report.causes[0].slug == "max-shift-missing"


def test_a_layer_that_keeps_its_input_passes(rng):
    class Square:
        def forward(self, x):
            self.x = x
            self.y = x * x
            return self.y

        def backward(self, dy):
            return 2 * dy * self.x

    layer = Square()
    x = rng.standard_normal((4, 5))
    report = check(layer.forward, lambda dy, x: layer.backward(dy), [x], ["x"])
    assert report, str(report)


def test_a_random_forward_is_inconclusive(rng):
    source = np.random.default_rng(0)
    x = rng.standard_normal(5)
    report = check(lambda x: x * source.random(x.shape), lambda dy, x: (dy,), [x], ["x"])
    assert report.verdict == "inconclusive"
    assert report.causes[0].slug == "not-deterministic"


def test_what_refuses_a_layout_passes(rng):
    def forward(x):
        if not x.flags.c_contiguous:
            raise ValueError("C order only")
        return x * x

    x = rng.standard_normal((3, 4))
    assert check(forward, lambda dy, x: (2 * dy * x,), [x], ["x"])


@pytest.mark.parametrize("value", [np.nan, 3e99, 6.9e-310])
def test_what_freed_memory_holds_is_no_random_number(value):
    first, second = np.arange(6.0), np.arange(6.0)
    first[4], second[4], second[5] = 0.25, value, np.nan
    assert changed("backward", [first], [second]).slug == "output-not-written"
