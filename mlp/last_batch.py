"""What the last batch left in a network's arena: outputs and gradients layer by layer, its loss."""

from typing import Any

import numpy as np

from kernels.op import OPS
from mlp.batches import Boundary
from mlp.criteria import Criterion
from mlp.layers import Array, Reader
from mlp.plan import DX, DY, SOFTMAX_LABELS, WIDTH_OUT, Y


class LastBatch:
    """The results of the last forward and backward, read out of the arena on demand."""

    criterion: Criterion
    _boundary: Boundary
    _last_ops: list[int]
    _table: Array
    _arena: Array
    _rows: int | None
    _has_gradients: bool

    def _reader(self, op: int, column: int, width: int) -> Reader:
        """A function that copies an array of the last batch out of the arena, if it is there."""

        def read() -> Array | None:
            if self._rows is None or (column in (DX, DY) and not self._has_gradients):
                return None
            rows, columns, start = self._rows, self._table[op, width], self._table[op, column]
            found = self._arena[start : start + rows * columns].reshape(rows, columns)
            return np.array(found)

        return read

    @property
    def output(self) -> Array | None:
        return self._reader(self._last_ops[-1], Y, WIDTH_OUT)()

    @property
    def layer_outputs(self) -> list[Array]:
        """Each layer's output after activation, for the last batch."""
        return [self._there(self._reader(i, Y, WIDTH_OUT), "layer_outputs") for i in self._last_ops]

    @property
    def layer_gradients(self) -> list[Array]:
        """The gradient with respect to each layer's output, from the last backward."""
        readers = [self._reader(i, DY, WIDTH_OUT) for i in self._last_ops]
        return [self._there(reader, "layer_gradients", "a backward") for reader in readers]

    def total_loss(self, labels: Any) -> float:
        """The sum over the last batch of each sample's loss."""
        output = self._last_output("total_loss")
        y, _ = self._boundary.labels("MLP.total_loss: labels", labels, len(output))
        losses = OPS[self.criterion.name].value(output, y)[0]
        return float(losses.sum(dtype=np.float64))

    def error(self, labels: Any) -> int:
        """How many samples of the last batch have their largest output in the wrong place."""
        output = self._last_output("error")
        y, kind = self._boundary.labels("MLP.error: labels", labels, len(output))
        truth = y if kind == SOFTMAX_LABELS else y.argmax(axis=1)
        # The largest of a row with NaN is unknown, and so not in the right place.
        wrong = (output.argmax(axis=1) != truth) | np.isnan(output).any(axis=1)
        return int(wrong.sum())

    def _last_output(self, method: str) -> Array:
        return self._there(self._reader(self._last_ops[-1], Y, WIDTH_OUT), method)

    def _there(self, reader: Reader, method: str, needs: str = "a forward") -> Array:
        """What `reader` gives, which must be something."""
        found = reader()
        if found is None:
            raise ValueError(f"MLP.{method}: got nothing to look at, expected {needs} before it")
        return found
