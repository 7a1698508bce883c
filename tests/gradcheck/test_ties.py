"""Equal entries under max: who gets the gradient is a choice, how much of it in all is not."""

import numpy as np
import pytest

from gradcheck import check

X = np.array([[1.0, 3.0, 3.0, 2.0], [0.0, 1.0, 2.0, 3.0]])


def maximum(x):
    return x.max(axis=1)


def is_largest(x):
    return (x == x.max(axis=1, keepdims=True)).astype(float)


def all_of_it_to_each(dy, x):
    return dy[:, None] * is_largest(x)


def shares(dy, x):
    return dy[:, None] * is_largest(x) / is_largest(x).sum(axis=1, keepdims=True)


def the_first(dy, x):
    return dy[:, None] * np.eye(4)[x.argmax(axis=1)]


def test_a_tie_whose_entries_get_too_much_in_all_is_told(seed):
    report = check(maximum, all_of_it_to_each, [X], ["x"], seed)
    assert report.verdict == "pass"
    assert "kink-convention" in {c.slug for c in report.conventions}
    [note] = [note for note in report.notes if "share a kink (a tie)" in note]
    assert "the entries (0, 1), (0, 2)" in note


@pytest.mark.parametrize("backward", [shares, the_first])
def test_a_tie_that_is_shared_out_is_a_convention_alone(backward, seed):
    report = check(maximum, backward, [X], ["x"], seed)
    assert report.verdict == "pass"
    assert report.notes == ()


def test_kinks_of_their_own_are_no_tie(seed):
    x = np.array([0.0, 0.0, 1.5])
    report = check(np.abs, lambda dy, x: dy * np.sign(x), [x], ["x"], seed)
    assert report.verdict == "pass"
    assert report.notes == ()
