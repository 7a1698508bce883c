"""The checker is itself checked: right gradients pass, planted mistakes do not."""

import numpy as np
import pytest

from gradcheck import check
from gradcheck.compare import ENTRYWISE

CORRECT = {
    "sin": (np.sin, lambda dy, x: (dy * np.cos(x),)),
    "square": (lambda x: x * x, lambda dy, x: (2 * dy * x,)),
    "relu": (lambda x: np.maximum(x, 0), lambda dy, x: (dy * (x > 0),)),
    "row sums": (lambda x: x.sum(axis=1), lambda dy, x: (np.repeat(dy[:, None], x.shape[1], 1),)),
    "transpose": (lambda x: x.T, lambda dy, x: (dy.T,)),
    "softmax": (
        lambda x: softmax(x),
        lambda dy, x: (softmax(x) * (dy - (dy * softmax(x)).sum(axis=1, keepdims=True)),),
    ),
}


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def affine(x, w, b):
    return x @ w + b


def affine_backward(dy, x, w, b):
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


def batchnorm(x, eps=1e-5):
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)


def batchnorm_backward(dy, x, eps=1e-5, mean_term=1, var_term=1):
    rstd = 1 / np.sqrt(x.var(axis=0) + eps)
    xhat = (x - x.mean(axis=0)) * rstd
    return (rstd * (dy - mean_term * dy.mean(axis=0) - var_term * xhat * (dy * xhat).mean(axis=0)),)


@pytest.mark.parametrize("name", CORRECT)
@pytest.mark.parametrize("shape", [(3, 5), (20, 30)], ids=["small", "large"])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e3])
def test_right_gradients_pass(name, shape, size, seed):
    forward, backward = CORRECT[name]
    x = size * np.random.default_rng(100 + seed).standard_normal(shape)
    report = check(forward, backward, [x], ["x"], seed)
    assert report.verdict != "fail", str(report)
    if size == 1.0:
        assert report, str(report)


def test_several_inputs_and_outputs(rng):
    arrays = [rng.standard_normal(s) for s in ((4, 3), (3, 5), (5,))]
    report = check(affine, affine_backward, arrays, ["x", "w", "b"])
    assert report
    assert [finding.name for finding in report.findings] == ["x", "w", "b"]
    report = check(lambda x: (x.sum(), x**2), lambda dy, x: (dy[0] + 2 * dy[1] * x,), arrays[:1])
    assert report


def planted():
    """Name, forward, backward, shapes of the inputs."""
    relu = CORRECT["relu"][0]
    square, (x,) = CORRECT["square"][0], [(4, 5)]
    yield "sign", square, lambda dy, x: (-2 * dy * x,), [x]
    yield "factor 1.0005", square, lambda dy, x: (2.001 * dy * x,), [x]
    yield "one part in 10⁵", square, lambda dy, x: (2 * (1 + 1e-5) * dy * x,), [x]
    yield "zero", square, lambda dy, x: (0 * x,), [x]
    yield "cotangent ignored", square, lambda dy, x: (2 * x,), [x]
    yield "guided", relu, lambda dy, x: (dy * (x > 0) * (dy > 0),), [x]
    yield "magnitude of the cotangent", square, lambda dy, x: (2 * abs(dy) * x,), [x]
    yield "cotangent clipped", square, lambda dy, x: (2 * np.clip(dy, -1, 1) * x,), [(9, 9)]
    yield "mask missing", relu, lambda dy, x: (dy,), [x]
    yield (
        "not transposed",
        affine,
        lambda dy, x, w, b: (dy @ w, x.T @ dy, dy.sum(0)),
        [(4, 3), (3, 3), (3,)],
    )
    yield (
        "dw transposed",
        affine,
        lambda dy, x, w, b: (dy @ w.T, dy.T @ x, dy.sum(0)),
        [(4, 3), (3, 3), (3,)],
    )
    yield (
        "bias over the wrong axis",
        affine,
        lambda dy, x, w, b: (dy @ w.T, x.T @ dy, dy.sum(1)),
        [(3, 4), (4, 3), (3,)],
    )
    yield (
        "bias missing a sample",
        affine,
        lambda dy, x, w, b: (dy @ w.T, x.T @ dy, dy[1:].sum(0)),
        [(6, 4), (4, 3), (3,)],
    )
    yield (
        "mean term missing",
        batchnorm,
        lambda dy, x: batchnorm_backward(dy, x, mean_term=0),
        [(6, 3)],
    )
    yield (
        "variance term missing",
        batchnorm,
        lambda dy, x: batchnorm_backward(dy, x, var_term=0),
        [(6, 3)],
    )
    yield (
        "variance term, many samples",
        batchnorm,
        lambda dy, x: batchnorm_backward(dy, x, var_term=0),
        [(300, 2)],
    )
    yield (
        "eps of another size",
        batchnorm,
        lambda dy, x: batchnorm_backward(dy, x, eps=0.0),
        [(6, 3)],
    )
    yield (
        "computed in float32",
        np.sin,
        lambda dy, x: ((dy.astype(np.float32) * np.cos(x.astype(np.float32))).astype(float),),
        [(40, 40)],
    )


@pytest.mark.parametrize(
    ("forward", "backward", "shapes"), [case[1:] for case in planted()],
    ids=[case[0] for case in planted()],
)  # fmt: skip
def test_planted_mistakes_do_not_pass(forward, backward, shapes, seed):
    rng = np.random.default_rng(seed)
    report = check(forward, backward, [rng.standard_normal(s) for s in shapes], seed=seed)
    assert report.verdict == "fail", str(report)


def test_one_wrong_entry_of_many_is_seen_along_directions(rng):
    x = rng.standard_normal((60, 60))
    assert x.size > ENTRYWISE

    def backward(dy, x):
        dx = 2 * dy * x
        dx[17, 23] += 1e-3
        return (dx,)

    assert check(lambda x: x * x, backward, [x]).verdict == "fail"


def test_a_cotangent_equal_to_the_input_is_not_drawn():
    """default_rng(seed) is what callers draw inputs from; dy = x makes batchnorm's dx vanish."""
    for seed in range(5):
        x = np.random.default_rng(seed).standard_normal((6, 3))
        assert check(batchnorm, batchnorm_backward, [x], seed=seed)


def test_the_convention_at_a_kink_passes_and_is_told():
    for at_zero in (0.0, 0.5, 1.0):

        def backward(dy, x, at_zero=at_zero):
            return (dy * np.where(x == 0, at_zero, x > 0),)

        report = check(CORRECT["relu"][0], backward, [np.array([-1.0, 0.0, 2.0])])
        assert report
    outside = check(
        CORRECT["relu"][0],
        lambda dy, x: (dy * np.where(x == 0, 1.5, x > 0),),
        [np.array([-1.0, 0.0, 2.0])],
    )
    assert outside.verdict == "inconclusive"  # several kinks at once could put it there
    assert "kink" in outside.findings[0].note


def test_float32_is_judged_by_float64_differences(rng):
    x = rng.standard_normal((4, 5)).astype(np.float32)
    report = check(np.tanh, lambda dy, x: (dy * (1 - np.tanh(x) ** 2),), [x])
    assert report
    wrong = check(np.tanh, lambda dy, x: (dy * (1 - np.tanh(x) ** 2) * np.float32(1.001),), [x])
    assert wrong.verdict == "fail"


def test_a_float32_only_function(rng):
    def forward(x):
        if x.dtype != np.float32:
            raise TypeError("float32 only")
        return np.tanh(x)

    def backward(dy, x):
        return (dy * (1 - np.tanh(x) ** 2),)

    x = rng.standard_normal((4, 5)).astype(np.float32)
    assert check(forward, backward, [x]).verdict != "fail"
    wrong = check(forward, lambda dy, x: (1.05 * backward(dy, x)[0],), [x])
    assert wrong.verdict == "fail"


def test_wrong_shapes_and_values_are_findings(rng):
    x = rng.standard_normal((3, 4))
    finding = check(lambda x: x * x, lambda dy, x: ((2 * dy * x).T,), [x]).findings[0]
    assert finding.verdict == "fail"
    assert "shape (4, 3)" in finding.note
    finding = check(lambda x: x * x, lambda dy, x: (np.full_like(x, np.nan),), [x]).findings[0]
    assert finding.verdict == "fail"
    assert finding.where == "(0, 0)"
    with np.errstate(invalid="ignore"):
        report = check(np.log, lambda dy, x: (dy / x,), [-abs(x)])
    assert report.verdict == "inconclusive"


def test_inputs_that_are_not_differentiated(rng):
    z, labels = rng.standard_normal((4, 3)), np.array([0, 2, 1, 1])

    def forward(z, labels):
        return -np.log(softmax(z)[np.arange(4), labels])

    def backward(dy, z, labels):
        return dy[:, None] * (softmax(z) - np.eye(3)[labels]), None

    report = check(forward, backward, [z, labels], ["z", "labels"])
    assert report
    assert [finding.name for finding in report.findings] == ["z"]


def test_bad_calls_say_what_is_wrong(rng):
    x = rng.standard_normal(3)
    with pytest.raises(ValueError, match="names has 2 entries, expected 1"):
        check(np.sin, lambda dy, x: (dy,), [x], ["a", "b"])
    with pytest.raises(TypeError, match="check: forward is 3, expected a function"):
        check(3, lambda dy, x: (dy,), [x])
    with pytest.raises(TypeError, match="backward.* cannot be called with 2 arguments"):
        check(np.sin, lambda dy: (dy,), [x])
    with pytest.raises(TypeError, match="complex128, expected real numbers"):
        check(np.sin, lambda dy, x: (dy,), [x * 1j])
    with pytest.raises(ValueError, match=r"a cotangent has shape \(2,\), expected \(3,\)"):
        check(np.sin, lambda dy, x: (dy,), [x], cotangent=np.ones(2))


def test_the_callers_arrays_are_untouched(rng):
    x = rng.standard_normal((3, 4))
    before = x.copy()

    def spoil(x):
        y = x * x
        x[:] = 0
        return y

    check(spoil, lambda dy, x: (2 * dy * x,), [x])
    np.testing.assert_array_equal(x, before)


def test_a_report_reads_well(rng):
    report = check(
        np.sin,
        lambda dy, x: (dy * np.sin(x),),
        [rng.standard_normal(3)],
        ["angle"],
        seed=4,
        title="sine",
    )
    text = str(report)
    assert text.startswith("sine: fail (3 comparisons, seed 4)")
    assert "fail         angle  (" in text
    assert "analytic" in text
    assert report.to_dict()["findings"][0]["name"] == "angle"
    first, again = (
        check(np.sin, wrong, [np.ones(3)], seed=4)
        for wrong in [lambda dy, x: (dy * np.sin(x),)] * 2
    )
    assert str(first) == str(again)


@pytest.mark.parametrize("distance", [1e-6, 1e-9, 0.0, -1e-9])
@pytest.mark.parametrize("at_kink", [0.0, 1.0])
def test_beside_a_kink_nothing_is_called_wrong(distance, at_kink, seed):
    """Whichever slope is taken at the kink itself."""

    def hardtanh_backward(dy, x):
        return (dy * np.where(abs(x) == 1, at_kink, abs(x) < 1),)

    x = np.random.default_rng(seed).standard_normal((7, 5))
    x[x > 0.7] = 1 + distance
    report = check(lambda x: np.clip(x, -1, 1), hardtanh_backward, [x], ["x"], seed)
    assert report.verdict != "fail", str(report)


@pytest.mark.parametrize("size", [1e-12, 1e-6, 1e6])
@pytest.mark.parametrize("name", ["sin", "square", "relu", "softmax"])
def test_right_gradients_of_any_size_of_input_do_not_fail(name, size, seed):
    forward, backward = CORRECT[name]
    x = size * np.random.default_rng(seed).standard_normal((7, 5))
    report = check(forward, backward, [x], ["x"], seed)
    assert report.verdict != "fail", str(report)
    if size < 1:
        assert report, str(report)


def test_a_batch_of_nothing_passes(rng):
    arrays = [np.zeros((0, 5)), rng.standard_normal((5, 4)), np.ones(4)]
    assert check(affine, affine_backward, arrays)


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("mean", [0.0, -3.0, 1e4])
@pytest.mark.parametrize("rows", [2, 3, 8])
def test_a_right_batchnorm_never_fails(rows, mean, kind, seed):
    """With two rows dx is what rounding leaves of zero; at 1e4 float32 has three digits left."""
    x = (mean + np.random.default_rng(seed).standard_normal((rows, 3))).astype(kind)
    report = check(batchnorm, batchnorm_backward, [x], ["x"], seed)
    assert report.verdict != "fail", str(report)


def test_weights_of_zero_hide_nothing(rng):
    x, w = rng.standard_normal((4, 3)), np.zeros((3, 2))
    right = check(lambda x, w: x @ w, lambda dy, x, w: (dy @ w.T, x.T @ dy), [x, w])
    wrong = check(lambda x, w: x @ w, lambda dy, x, w: (2 * dy @ w.T, x.T @ dy), [x, w])
    assert right, str(right)
    assert wrong.verdict == "fail"
    assert wrong.causes[0].slug == "scaled-by-constant"


def test_float32_and_float64_together(rng):
    x, w = rng.standard_normal((4, 3)).astype(np.float32), rng.standard_normal((3, 2))
    assert check(lambda x, w: x @ w, lambda dy, x, w: (dy @ w.T, x.T @ dy), [x, w])


@pytest.mark.parametrize(
    ("forward", "said"),
    [(lambda x: None, "output 0 is None"), (lambda x: (x, {}), "output 1 is {}"),
     (lambda x: x + 1j, "dtype complex128"), (lambda x: exit(), "forward raised SystemExit")],
    ids=["None", "a cache", "complex", "exit"],
)  # fmt: skip
def test_what_is_no_output_is_in_the_report(forward, said, rng):
    report = check(forward, lambda dy, x: (dy,), [rng.standard_normal(3)])
    assert report.verdict == "inconclusive"
    assert said in report.notes[0]
