"""The plan: every array lies inside its vector, and none over another."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp.plan import (
    AFFINE,
    BATCHNORM,
    D_LOSSES,
    DX,
    DY,
    FIRST,
    FIRST_OP_SETTING,
    KIND,
    LOSSES,
    MEAN,
    PASSING,
    PASSING_SIZE,
    RSTD,
    RUNNING_MEAN,
    RUNNING_VAR,
    SECOND,
    SETTING,
    SOFTMAX,
    VAR,
    WIDTH_IN,
    WIDTH_OUT,
    OpSpec,
    Plan,
    X,
    Y,
    aligned_zeros,
    arena_of,
    rows_of,
)


@st.composite
def networks(draw):
    widths = draw(st.lists(st.integers(1, 7), min_size=2, max_size=5))
    specs = []
    for n_in, n_out in zip(widths, widths[1:], strict=False):
        specs.append(OpSpec(AFFINE, n_in, n_out))
        if draw(st.booleans()):
            specs.append(OpSpec(BATCHNORM, n_out, n_out, settings=(1e-8, 0.9)))
        specs.append(OpSpec(2, n_out, n_out, settings=draw(st.sampled_from([(), (0.01,)]))))
    return specs


def claim(taken, start, size, what):
    assert start >= 0
    assert start + size <= taken.size, what
    assert not taken[start : start + size].any(), what
    taken[start : start + size] = True


@settings(max_examples=60, deadline=None)
@given(specs=networks(), capacity=st.integers(1, 9), dtype=st.sampled_from(["f4", "f8"]))
def test_arrays_do_not_overlap(specs, capacity, dtype):
    plan = Plan(specs)
    state = plan.state(capacity, np.dtype(dtype), mean_reduction=True)
    rows, arena = rows_of(state), arena_of(state, np.dtype(dtype))
    assert arena.ctypes.data % 64 == 0
    arena, memory = np.zeros(arena.size, bool), np.zeros(plan.memory_size, bool)
    claim(arena, rows[0, X], capacity * rows[0, WIDTH_IN], "input")
    claim(arena, rows[0, DX], capacity * rows[0, WIDTH_IN], "input gradient")
    for row, spec in zip(rows, specs, strict=True):
        width = row[WIDTH_OUT]
        claim(arena, row[Y], capacity * width, "output")
        claim(arena, row[DY], capacity * width, "output gradient")
        if row[KIND] == AFFINE:
            claim(memory, row[FIRST], row[WIDTH_IN] * width, "w")
            claim(memory, row[SECOND], width, "b")
        if row[KIND] == BATCHNORM:
            for column in (FIRST, SECOND, RUNNING_MEAN, RUNNING_VAR):
                claim(memory, row[column], width, "memory of batchnorm")
            for column in (MEAN, VAR, RSTD):
                claim(arena, row[column], width, "arena of batchnorm")
        if spec.settings:
            claim(memory, row[SETTING], len(spec.settings), "settings")
    for above, below in zip(rows, rows[1:], strict=False):
        assert (below[X], below[DX]) == (above[Y], above[DY])
    for column in (LOSSES, D_LOSSES):
        claim(arena, state[column], capacity, "losses")
    claim(arena, state[SOFTMAX], capacity * rows[-1, WIDTH_OUT], "softmax")
    for buffer in range(2):
        widest = capacity * rows[:, WIDTH_IN].max()
        claim(arena, state[PASSING] + buffer * state[PASSING_SIZE], widest, "passing gradients")
    # Parameters are claimed; gradients and velocities have room behind them.
    assert memory[: plan.n_parameters].all()
    claim(memory, plan.gradients_at, plan.n_parameters, "gradients")
    claim(memory, plan.velocity_at, plan.n_parameters, "velocity")
    claim(memory, plan.settings_at, FIRST_OP_SETTING, "settings of the update")
    assert memory.all()


@pytest.mark.parametrize("size", [0, 1, 7, 1000])
def test_vectors_are_aligned(size, dtype):
    vector = aligned_zeros(size, np.dtype(dtype))
    assert vector.size == size
    assert vector.dtype == dtype
    assert not vector.any()
    assert size == 0 or vector.ctypes.data % 64 == 0
