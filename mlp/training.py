"""train_step: one step. fit: epochs, in slices of compiled steps short enough that an interrupt is
soon answered.
"""

import time
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.arrays import LABELS as CLASSES
from mlp.arguments import as_generator, whole
from mlp.batches import as_words
from mlp.feed import Feed, Place
from mlp.history import History
from mlp.inference import checked_set, mean_loss_and_error
from mlp.layers import Array
from mlp.nonfinite import NonFiniteLoss, describe
from mlp.plan import (
    BACKWARD,
    CHECK,
    CONTINUE,
    COUNT,
    FORWARD,
    GUARD,
    LABELS,
    LOSE,
    MISTAKES,
    REFUSED,
    SOFTMAX_LABELS,
    SQUARES,
    STEPS,
    TOTAL,
    UPDATE,
)
from mlp.progress import Progress, is_terminal

if TYPE_CHECKING:
    from mlp.network import MLP

SLICE_SECONDS = 0.01
"""What a compiled call should take: Python answers an interrupt when it ends. A tenth of what is
promised, because a step can get slower, such as where numbers become subnormal."""

CHECKPOINT_SHARE = 0.01
"""Copying the network takes at most about this share of the time."""

STEP = FORWARD | LOSE | BACKWARD | UPDATE
CHECKED = STEP | CHECK
GUARDED = STEP | COUNT | CONTINUE | GUARD


def train_step(net: "MLP", x: Any, labels: Any) -> float:
    """Forward, backward and update in one compiled call; returns the loss before it.

    No gradient is kept, for with plain gradient descent none of a weight is ever formed: `grads` is
    NaN. Look at them after `backward`.
    """
    kind = SOFTMAX_LABELS
    # After a step on a batch of this shape nothing is to be prepared if compiled code can read
    # the arrays as they lie. That there are such classes it sees for itself.
    if not (
        type(x) is type(labels) is Array
        and x.shape == net._prepared
        and x.dtype == net.dtype
        and x.flags.carray
        and labels.ndim == 1
        and len(labels) == len(x)
        and labels.dtype == CLASSES
        and labels.flags.carray
    ):
        x, labels, kind = prepare(net, x, labels)
    n = len(x)
    total = net._compute(net._state, x, labels, CHECKED, n, kind)
    if total == REFUSED and kind == SOFTMAX_LABELS:
        refused = net._state[net._state[LABELS] :][:n]  # as they were when they were looked at
        net._boundary.check_classes("MLP.train_step: labels", refused)
    return total / n if n and net._reduction == "mean" else total


def prepare(net: "MLP", x: Any, labels: Any) -> tuple[Array, Array, int]:
    """The batch, the words of its labels and which loss takes them, with room for a step."""
    x = net._boundary.batch("MLP.train_step: x", x, needs_variance=net.bn and net._training)
    y, kind = net._boundary.labels("MLP.train_step: labels", labels, len(x))
    if not net._training:
        raise ValueError(
            "MLP.train_step: the network is in evaluation mode, expected train() before"
        )
    net._reserve(len(x))
    net._gradients.forget()
    if kind == SOFTMAX_LABELS:
        net._prepared = x.shape
    return x, as_words(y, kind), kind


def fit(
    net: "MLP",
    x: Any,
    y: Any,
    epochs: int = 1,
    batch_size: int = 32,
    *,
    shuffle: bool = True,
    seed: Any = 0,
    validation: tuple[Any, Any] | None = None,
    progress: bool | None = None,
) -> History:
    """Train on a data set; returns the history of losses and errors, epoch by epoch.

    Any interruption, such as Ctrl-C, leaves the network after a completed step; it is answered
    within 0.1 s, or a step where one takes longer. `net.history` then holds the epochs that
    were finished.

    Parameters
    ----------
    x : (N, input_size); NaN is allowed, and ends training as any loss that is not finite.
    y : integer classes (N,), or target rows (N, output_size).
    epochs : int
        Times that each row is trained on.
    batch_size : int
        Rows of a step. The last step of an epoch has what is left; with batchnorm a single
        row, which has no variance, joins the batch before.
    shuffle : bool
        Whether each epoch has an order of its own.
    seed : int, SeedSequence or Generator
        Source of the orders. The same seed gives the same bits; a Generator is drawn from, so
        that a second call goes on where the first ended.
    validation : (x, y), optional
        Evaluated after each epoch, with running statistics.
    progress : bool, optional
        Whether stderr shows how far training is. Default: where it is a terminal.

    Raises
    ------
    NonFiniteLoss
        If a loss or an updated parameter is NaN or infinite. The network then has the
        parameters, moments and statistics with which the last finite loss was computed.
    TypeError, ValueError, MemoryError
        If an argument is wrong, before anything is changed.
    """
    rows, targets, kind = checked_set(net, "fit", x, y, train_mode=net.train_mode)
    if not net.train_mode:
        raise ValueError("MLP.fit: the network is in evaluation mode, expected train() before")
    epochs = whole("MLP.fit: epochs", epochs, low=0)
    batch_size = whole("MLP.fit: batch_size", batch_size, low=2 if net.bn else 1)
    check_switch("shuffle", shuffle)
    visible = is_terminal() if progress is None else check_switch("progress", progress)
    rng = as_generator("MLP.fit: seed", seed)
    held_out = None if validation is None else checked_validation(net, validation)
    feed = Feed(rows, targets, batch_size, rng if shuffle else None, lonely=not net.bn)
    training = Training(net, feed, kind)
    with Progress(epochs * feed.steps_per_epoch, visible=visible) as shown:
        training.run(epochs, held_out, shown)
    return training.history


def check_switch(name: str, value: Any) -> bool:
    """The value of an argument that is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"MLP.fit: {name} is {value!r}, expected True or False")
    return bool(value)


def checked_validation(net: "MLP", validation: Any) -> tuple[Array, Array, int]:
    if not isinstance(validation, (tuple, list)) or len(validation) != 2:
        raise TypeError(f"MLP.fit: validation is {type(validation).__name__}, expected (x, y)")
    return checked_set(net, "fit", *validation, train_mode=False, prefix="validation ")


class Training:
    """One call of `fit`: slices of steps, the history, and a way back to finite numbers."""

    def __init__(self, net: "MLP", feed: Feed, kind: int):
        net._reserve(feed.largest_batch)
        net._rows = None  # there is no batch to look at
        self.net, self.feed, self.kind = net, feed, kind
        self.history = net.history = History()
        self.start = time.perf_counter()
        self.steps_a_slice = 1
        self.checkpoints = Checkpoints(net._memory)

    def run(
        self, epochs: int, validation: tuple[Array, Array, int] | None, progress: Progress
    ) -> None:
        net, feed = self.net, self.feed
        if epochs > 0:
            net._gradients.forget()
        self.checkpoints.take(feed.place(), time.perf_counter())
        for epoch in range(1, epochs + 1):
            feed.begin()
            net._state[TOTAL] = net._state[MISTAKES] = 0
            while not feed.ended:
                self.slice()
                done = (epoch - 1) * feed.steps_per_epoch + feed.step - 1
                progress.update(done, lambda: f"epoch {feed.epoch}/{epochs}  {self.history.last()}")
            if epoch == epochs:
                self.check_parameters()
            self.record(validation)

    def slice(self) -> None:
        """As many steps as take about SLICE_SECONDS."""
        start = time.perf_counter()
        if start >= self.checkpoints.next:
            self.check_parameters()
            self.checkpoints.take(self.feed.place(), start)
            start = time.perf_counter()
        steps = self.feed.step
        if not self.step(self.steps_a_slice):
            self.stop()
        steps = self.feed.step - steps
        seconds = max(time.perf_counter() - start, 1e-9)
        self.steps_a_slice = max(1, int(steps * SLICE_SECONDS / seconds))

    def step(self, steps: int) -> bool:
        """At most so many steps in one compiled call; False if a loss was not finite."""
        x, y, batch = self.feed.take(steps)
        net = self.net
        net._compute(net._state, x, y, GUARDED, batch, self.kind)
        return bool(net._state[STEPS] == -(-len(x) // batch))

    def record(self, validation: tuple[Array, Array, int] | None) -> None:
        """Put the epoch that has ended into the history."""
        state, n = self.net._state, len(self.feed.x)
        error = None if self.kind == SQUARES else int(state[MISTAKES]) / n
        self.history.add(float(state[TOTAL : TOTAL + 1].view(np.float64)[0]) / n, error)
        if validation is not None:
            self.history.add(*mean_loss_and_error(self.net, *validation), validation=True)
        self.history.seconds = time.perf_counter() - self.start

    # ------------------------------------------------------------------ finite numbers

    def check_parameters(self) -> None:
        """What a loss need not show: an infinite weight of a unit that is off."""
        if not np.isfinite(self.net.params).all():
            self.stop()

    def stop(self) -> None:
        """Find the step that is to blame, by doing those since a checkpoint one by one.

        The same steps give the same bits, so it comes again.
        """
        net, feed = self.net, self.feed
        net._memory[:], place = self.checkpoints.copies[0]
        feed.back_to(place)
        last_finite = net._memory.copy()
        while True:
            if feed.ended:
                feed.begin()
            before = net._memory.copy()
            epoch, step = feed.epoch, feed.step
            finite_loss = self.step(1)
            if not finite_loss or not np.isfinite(net.params).all():
                break
            last_finite = before
        net._memory[:] = before
        x, y = feed.x[feed.rows], feed.y[feed.rows]
        what = describe(net, x, y, feed.rows)
        if not finite_loss:
            net._memory[:] = last_finite
        raise NonFiniteLoss(
            f"MLP.fit: epoch {epoch}, step {step}: {what}; expected finite numbers. The network "
            "has the parameters of the last finite loss"
        )


class Checkpoints:
    """The last two copies of the network's memory, made as often as it costs next to nothing.

    Two, because the parameters in the newer may be those whose loss is not finite.
    """

    def __init__(self, memory: Array):
        self.memory = memory
        self.copies: deque[tuple[Array, Place]] = deque()
        self.next = 0.0
        """When another is due."""

    def take(self, place: Place, start: float) -> None:
        """Copy; what was done for it since `start` counts as its cost."""
        full = len(self.copies) == 2
        copied = self.copies.popleft()[0] if full else np.empty_like(self.memory)
        copied[:] = self.memory
        self.copies.append((copied, place))
        now = time.perf_counter()
        self.next = now + (now - start) / CHECKPOINT_SHARE
