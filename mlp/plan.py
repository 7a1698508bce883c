"""A network as data: an int64 table that says what to run and where its arrays lie.

Everything a network holds lives in two flat arrays:

    memory   parameters | gradients | moments | running statistics | settings
    state    header | one row for each op, in the order of forward | arena
    arena    input | each op's output, and the gradient of each | the loss's arrays

`memory` never moves, so views of it stay good for the life of the network. `state` is int64;
its arena, read in the network's dtype, is scratch for one batch, and a larger batch gets a
larger state. Entries of header and rows are offsets, widths, codes and the present command.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kernels.activation import RELU
from kernels.share import BARRIER_WORDS

HEADER, COLUMNS = 40 + BARRIER_WORDS, 20
"""Entries of the header, and of each op's row."""

# Entries of the header: what the plan fixes,
N_OPS, ARENA, N_PARAMETERS, N_LINEAR, WIDTH_LAST, OUTPUT, D_OUTPUT = range(7)
LOSSES, D_LOSSES, SOFTMAX, SETTINGS, MEAN_REDUCTION = range(7, 12)
PASSING, PASSING_SIZE, OPTIMIZER, CAPACITY, WIDEST, LOSS_OF_ROWS, HAS_BATCHNORM = range(12, 19)
# and what is set between calls or comes back from one.
TRAINING, MISTAKES, STEPS, TOTAL, RUNS, REFUSES = range(19, 25)
"""RUNS counts the calls; REFUSES is what the first thread has found of the classes."""

LABELS = 25
"""Where in the state the classes of a call are copied to that are to be checked."""

# Addresses, good in this process (`link.py`): of the losses, by kind, of the update, and of the
# matrix product.
LOSS_FORWARD, LOSS_BACKWARD, UPDATE_LOOP, PRODUCT = 26, 29, 32, 33
PROCESS = 34
"""The process that they are good in (`kernels/address.py`)."""
SPECIAL = 35
"""The architecture that a state has, where a step is specialized for it (`specialized.py`)."""

BARRIER = 40
"""Entries from here on are for the threads of one call to meet (`kernels/share.py`)."""

# What a command asks for: any sum of these.
FORWARD, LOSE, BACKWARD, UPDATE = 1, 2, 4, 8
KEEP = 16
"""Of the input a copy and of each op its gradient, for whoever looks or goes on later. Without
it gradients only pass through two buffers, and that of the input is not computed."""
COUNT = 32
"""The number of mistakes."""
CONTINUE = 64
"""Losses and mistakes are added to those of the call before, in the order of one long call."""
GUARD = 128
"""A batch whose loss is not finite ends the call, before it reaches a gradient."""
CHECK = 256
"""Where a class is out of range the call is REFUSED: that is returned, and nothing is changed. The
classes are copied first, so that whoever changes them meanwhile changes nothing here."""

REFUSED = -math.inf
"""No loss of classes is negative."""

# Columns of an op's row. FIRST and SECOND are w and b, or gamma and beta.
# CODE is an activation's number; of an affine map it says whether relu follows at once.
KIND, CODE, WIDTH_IN, WIDTH_OUT, X, Y, DX, DY = range(8)
FIRST, SECOND, MEAN, VAR, RSTD, RUNNING_MEAN, RUNNING_VAR, SETTING = range(8, 16)

FORWARD_LOOP, BACKWARD_LOOP, TAKES_SETTING, READS = range(16, 20)
"""Of batchnorm and activations the addresses of the compiled loops; and of activations whether
these take a setting, and what backward reads besides dy."""

READS_NOTHING, READS_X, READS_Y = range(3)

# Kinds of op.
AFFINE, BATCHNORM, ACTIVATION = range(3)

RELU_FOLLOWS = 1

# Losses.
SOFTMAX_LABELS, SOFTMAX_SOFT, SQUARES = range(3)

# Optimizers. HEAVY_BALL is momentum, and gradient descent where that is 0.
HEAVY_BALL, NESTEROV, ADAM, ADAMW = range(4)

# Settings of the update, at the head of the settings; those of ops follow.
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY, MAX_NORM = range(4)
REST1, REST2, EPS = range(4, 7)
"""Of a beta, 1 - beta is kept: as float32 it has the digits that a beta near 1 has lost."""
UPDATES, UPDATE_ROUNDS, FIRST_OP_SETTING = range(7, 10)
"""The number of updates is UPDATES + ROUND·UPDATE_ROUNDS."""

ROUND = 2**24
"""float32 holds every whole number up to here, so two such digits hold any that is reached."""

ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector register."""


@dataclass(frozen=True)
class OpSpec:
    """One op of a network, before it has a place."""

    kind: int
    width_in: int
    width_out: int
    code: int = 0
    settings: tuple[float, ...] = ()


def aligned_zeros(size: int, dtype: np.dtype) -> np.ndarray:
    """A zeroed vector that begins at a multiple of 64 bytes."""
    raw = np.zeros(size * dtype.itemsize + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size * dtype.itemsize].view(dtype)


class Plan:
    """Places every array of a network; builds the table for a given batch capacity.

    Attributes
    ----------
    specs : the ops in the order of forward.
    parameters : for each op, the offsets of its two parameter arrays (or ()).
    running : for each op, the offsets in `memory` of running mean and variance (or ()).
    settings : for each op, the offset in `memory` of its first setting.
    n_parameters, n_linear : sizes of the parameter vector and of its head, the weights and
        biases; gammas and betas follow.
    memory_size : elements of `memory`.
    optimizer, moments : the optimizer's code, and how many vectors of the size of the
        parameters it keeps: velocity, or first and second moment.
    """

    def __init__(self, specs: list[OpSpec], optimizer: int = HEAVY_BALL, moments: int = 1):
        self.specs = specs
        self.optimizer, self.moments = optimizer, moments
        self._place_parameters()
        self._place_rest_of_memory()

    def _place_parameters(self) -> None:
        """Weights and biases first, then gammas and betas: the update treats them apart."""
        self.parameters: list[tuple[int, ...]] = [() for _ in self.specs]
        offset = 0
        for kind in (AFFINE, BATCHNORM):
            for i, spec in enumerate(self.specs):
                if spec.kind == kind:
                    first = spec.width_in * spec.width_out if kind == AFFINE else spec.width_out
                    self.parameters[i] = (offset, offset + first)
                    offset += first + spec.width_out
            if kind == AFFINE:
                self.n_linear = offset
        self.n_parameters = offset

    def _place_rest_of_memory(self) -> None:
        self.gradients_at = self.n_parameters
        self.velocity_at = 2 * self.n_parameters
        offset = (2 + self.moments) * self.n_parameters
        self.running: list[tuple[int, ...]] = [() for _ in self.specs]
        for i, spec in enumerate(self.specs):
            if spec.kind == BATCHNORM:
                self.running[i] = (offset, offset + spec.width_out)
                offset += 2 * spec.width_out
        self.settings_at = offset
        offset += FIRST_OP_SETTING
        self.settings: list[int] = []
        for spec in self.specs:
            self.settings.append(offset)
            offset += len(spec.settings)
        self.memory_size = offset

    @property
    def work(self) -> int:
        """Multiplications and additions that one row takes, forward and backward."""
        return sum(6 * s.width_in * s.width_out for s in self.specs if s.kind == AFFINE)

    def views(self, memory: np.ndarray, i: int) -> dict[str, np.ndarray]:
        """What op `i` has in `memory`, under the names that its layer gives it."""
        spec = self.specs[i]
        first, second = self.parameters[i]
        if spec.kind == AFFINE:
            places = {"W": (first, spec.width_in), "b": (second, 1)}
        else:
            places = {"gamma": (first, 1), "beta": (second, 1)}
        names = list(places)
        for name in names:
            start, rows = places[name]
            places["d" + name] = (self.gradients_at + start, rows)
            if spec.kind == AFFINE:
                places["momentum_" + name] = (self.velocity_at + start, rows)
        if spec.kind == BATCHNORM:
            mean, var = self.running[i]
            places |= {"running_mean": (mean, 1), "running_var": (var, 1)}
        views = {
            name: memory[start : start + rows * spec.width_out].reshape(rows, spec.width_out)
            for name, (start, rows) in places.items()
        }
        if spec.kind == BATCHNORM:
            place = self.settings[i]
            views["_settings"] = memory[place : place + 2].reshape(1, 2)
        return views

    def state(self, capacity: int, dtype: np.dtype, *, mean_reduction: bool) -> np.ndarray:
        """Header, rows and arena for batches of up to `capacity` rows."""
        header, rows = np.zeros(HEADER, np.int64), np.zeros((len(self.specs), COLUMNS), np.int64)
        size = 0

        def take(elements: int) -> int:
            """A place in the arena; each begins on a cache line of its own."""
            nonlocal size
            place = size
            size += -(-elements * dtype.itemsize // ALIGNMENT) * ALIGNMENT // dtype.itemsize
            return place

        first, last = self.specs[0], self.specs[-1]
        x, dx = (take(capacity * first.width_in) for _ in range(2))
        for row, spec, parameters, running, setting in zip(
            rows, self.specs, self.parameters, self.running, self.settings, strict=True
        ):
            y, dy = (take(capacity * spec.width_out) for _ in range(2))
            row[: DY + 1] = spec.kind, spec.code, spec.width_in, spec.width_out, x, y, dx, dy
            if parameters:
                row[FIRST], row[SECOND] = parameters
            if running:
                row[RUNNING_MEAN], row[RUNNING_VAR] = running
                row[MEAN], row[VAR], row[RSTD] = (take(spec.width_out) for _ in range(3))
            row[SETTING] = setting if spec.settings else 0  # in bounds, and read by no one
            x, dx = y, dy
        for row, following in pairwise(rows):
            if row[KIND] == AFFINE and following[KIND] == ACTIVATION and following[CODE] == RELU:
                row[CODE] = RELU_FOLLOWS
        header[CAPACITY] = capacity
        header[HAS_BATCHNORM] = any(spec.kind == BATCHNORM for spec in self.specs)
        header[WIDEST] = max(max(spec.width_in, spec.width_out) for spec in self.specs)
        header[N_OPS], header[WIDTH_LAST] = len(self.specs), last.width_out
        header[N_PARAMETERS], header[N_LINEAR] = self.n_parameters, self.n_linear
        header[OUTPUT], header[D_OUTPUT] = x, dx
        header[LOSSES], header[D_LOSSES] = take(capacity), take(capacity)
        header[SOFTMAX] = take(capacity * last.width_out)
        widest = capacity * max(spec.width_in for spec in self.specs)
        labels = take(capacity * header.itemsize // dtype.itemsize)
        header[PASSING] = take(widest)
        header[PASSING_SIZE] = take(widest) - header[PASSING]
        header[SETTINGS] = self.settings_at
        header[OPTIMIZER] = self.optimizer
        header[TRAINING], header[MEAN_REDUCTION] = True, mean_reduction
        words = ALIGNMENT // header.itemsize
        header[ARENA] = -(-(header.size + rows.size) // words) * words
        header[LABELS] = header[ARENA] + labels * dtype.itemsize // header.itemsize
        state = aligned_zeros(header[ARENA] + size * dtype.itemsize // 8, header.dtype)
        state[:HEADER] = header
        rows_of(state)[:] = rows
        return state


def rows_of(state: np.ndarray) -> np.ndarray:
    """The rows of the ops, as a view."""
    return state[HEADER : HEADER + state[N_OPS] * COLUMNS].reshape(-1, COLUMNS)


def arena_of(state: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The arena, as a view in the network's dtype."""
    return state[state[ARENA] :].view(dtype)
