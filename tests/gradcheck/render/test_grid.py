"""Cells: few enough, and each with the entry that is furthest off."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.render.grid import LIMIT, grid_of
from tests.gradcheck.render.samples import detail


def test_a_small_array_is_shown_as_it_is():
    excess = np.array([[0.5, -2.0, np.nan], [2e3, -2e6, 2e9]])
    grid = grid_of(detail(excess))
    np.testing.assert_allclose(grid.values, excess)
    np.testing.assert_array_equal(grid.entries, [[0, 1, -1], [3, 4, 5]])
    np.testing.assert_array_equal(grid.levels[~np.isnan(excess)], [0, -1, 2, -3, 4])
    assert not grid.is_reduced
    assert not grid.is_gapped


def test_a_vector_is_one_row():
    grid = grid_of(detail([1.0, 2.0, 3.0]))
    assert grid.values.shape == (1, 3)
    assert grid_of(detail(5.0)).values.shape == (1, 1)


def test_lines_where_nothing_was_measured_are_left_out():
    excess = np.full((784, 128), np.nan)
    excess[np.ix_([0, 5, 783], [7, 127])] = 2.0
    grid = grid_of(detail(excess))
    assert grid.rows == ((0, 0), (5, 5), (783, 783))
    assert grid.columns == ((7, 7), (127, 127))
    assert grid.is_gapped


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_reduction_keeps_the_worst_entry_and_its_sign(rows, columns, seed):
    excess = np.random.default_rng(seed).standard_normal((rows, columns))
    worst = np.unravel_index(abs(excess).argmax(), excess.shape)
    grid = grid_of(detail(excess))
    assert max(grid.values.shape) <= LIMIT
    cell = np.unravel_index(abs(grid.values).argmax(), grid.values.shape)
    assert grid.values[cell] == pytest.approx(excess[worst])
    assert np.unravel_index(grid.entries[cell], excess.shape) == worst
    assert grid.rows[0][0] == 0
    assert grid.rows[-1][1] == rows - 1
