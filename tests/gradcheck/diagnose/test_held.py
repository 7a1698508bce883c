"""A norm, mean or maximum of the input that backward takes for a constant is named."""

import numpy as np
import pytest

from gradcheck import check


def norm(x):
    return np.linalg.norm(x, axis=1, keepdims=True)


HELD = {
    "norm along axis 1": (lambda x: x / norm(x), lambda dy, x: dy / norm(x)),
    "mean or sum along axis 1": (lambda x: np.sin(x - x.mean(1, keepdims=True)), lambda dy, x: (
        dy * np.cos(x - x.mean(1, keepdims=True))
    )),
    "sum of absolute values along axis 0": (
        lambda x: x / abs(x).sum(0), lambda dy, x: dy / abs(x).sum(0),
    ),
    "largest absolute value along axis 1": (
        lambda x: x / abs(x).max(1, keepdims=True),
        lambda dy, x: dy / abs(x).max(1, keepdims=True),
    ),
    "norm along axis 0, 1": (
        lambda x: x**3 * np.linalg.norm(x), lambda dy, x: 3 * x**2 * dy * np.linalg.norm(x),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", HELD)
def test_what_was_held_constant_is_named(what, rng):
    forward, backward = HELD[what]
    report = check(forward, lambda dy, x: (backward(dy, x),), [rng.standard_normal((6, 5))], ["x"])
    assert report.causes[0].slug == "path-missing"
    assert f"its {what} is one" in report.causes[0].sentence


def test_one_large_entry_in_each_group_is_no_norm(rng):
    report = check(
        np.tanh,
        lambda dy, x: (dy * (1 - np.tanh(x) ** 2) * np.where(abs(x) > 6, 2, 1),),
        [rng.standard_normal((8, 5))],
    )
    assert "path-missing" not in {cause.slug for cause in report.causes}
