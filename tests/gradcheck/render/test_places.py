"""Which entries are off, in words."""

import numpy as np
import pytest

from gradcheck import Detail
from gradcheck.render.places import pattern_of
from tests.gradcheck.render.samples import detail


def off(shape, *places):
    excess = np.full(shape, 0.3)
    for place in places:
        excess[place] = 9.0
    return excess


EVERY = slice(None)


@pytest.mark.parametrize(
    ("excess", "expected"),
    [
        (off((2, 3)), ""),
        (off((2, 3), EVERY), "all 6 entries are off"),
        (off((2, 3), (1, 2)), "one of 6 entries is off: [1, 2]"),
        (off((4, 3), 2), "3 of 12 entries are off: row 2"),
        (off((4, 3), 0, 2), "6 of 12 entries are off: rows 0 and 2"),
        (off((4, 3), (EVERY, 1)), "4 of 12 entries are off: column 1"),
        (off((4, 5), 3, (EVERY, 0)), "8 of 20 entries are off: row 3 and column 0"),
        (off((4, 5), (0, 1), (2, 3)), "2 of 20 entries are off"),
        (off((4, 5), slice(1, 4)), "15 of 20 entries are off: rows 1 to 3"),
        (off((9, 2), *range(0, 9, 2)), "10 of 18 entries are off: 5 rows, from 0 to 8"),
        (off((3, 2, 2), 1), "4 of 12 entries are off: row 1"),
        (off(7, slice(4, 7)), "3 of 7 entries are off: entries 4 to 6"),
        (off(7, 1, 5), "2 of 7 entries are off: entries 1 and 5"),
        (off(20, slice(0, 20, 2)), "10 of 20 entries are off"),
        (np.where(np.eye(3), 0, 5), "6 of 9 entries are off: all but the diagonal"),
        (off((), ()), ""),
        (np.full((2, 2), np.nan), ""),
        (np.zeros((0, 3)), ""),
    ],
)
def test_patterns(excess, expected):
    assert pattern_of(detail(excess)) == expected


def test_only_what_was_measured_is_spoken_of():
    excess = off((3, 4), (EVERY, 2))
    excess[1] = np.nan
    expected = "2 of 8 entries that were measured are off: column 2"
    assert pattern_of(detail(excess)) == expected


def test_beyond_the_largest_number():
    numbers = Detail(np.array([1e300, 1.0]), np.array([-1e300, 1.0]), np.array([0.0, 0.0]))
    assert pattern_of(numbers) == "one of 2 entries is off: [0]"
