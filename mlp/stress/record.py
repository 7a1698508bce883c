"""The recorder: tables of a network's passes, and the series of a study from them."""

import numpy as np

from mlp.network import MLP
from mlp.stress.series import STATISTICS, TENSORS, Array
from mlp.stress.tables import ALIGNMENT, DEAD, DW, FRACTIONS, SATURATED, W, record_pass


class Recorder:
    """Collects the tables of a network's passes, and gives them as series."""

    def __init__(self, net: MLP, rows: int):
        widest = max(net._widths)
        self.net, self.rows = net, rows
        self.slopes = np.ones(2 * rows * widest, net.dtype)
        self.tables: list[Array] = []
        self.losses: list[float] = []

    def record(self) -> bool:
        """Record the pass that has been forward and backward; whether all was finite."""
        table = empty_table(self.net.nlayers)
        net = self.net
        loss, finite = record_pass(net._state, net._memory, self.rows, self.slopes, table)
        self.tables.append(table)
        self.losses.append(float(loss))
        return bool(finite)

    def series(self) -> dict[str, Array]:
        """All series so far."""
        return as_series(np.array(self.tables), np.array(self.losses), self.net.lr)


def empty_table(layers: int) -> Array:
    """Nothing is there: the logarithms are -inf, the fractions and the cosine 0."""
    table = np.full((layers, FRACTIONS + 1, len(STATISTICS)), -np.inf)
    table[:, FRACTIONS] = 0
    return table


def as_series(
    tables: Array, losses: Array, lr: float, log2_losses: Array | None = None
) -> dict[str, Array]:
    """The series of a study from tables (passes, layers, rows, statistics)."""
    found = {
        f"{tensor}.{statistic}": np.ascontiguousarray(tables[:, :, i, j])
        for i, tensor in enumerate(TENSORS)
        for j, statistic in enumerate(STATISTICS)
    }
    found["dead"] = np.ascontiguousarray(tables[:, :, FRACTIONS, DEAD])
    found["saturated"] = np.ascontiguousarray(tables[:, :, FRACTIONS, SATURATED])
    found["alignment"] = np.ascontiguousarray(tables[:, -1, FRACTIONS, ALIGNMENT])
    with np.errstate(divide="ignore", invalid="ignore"):
        found["log2_update_to_weight"] = np.log2(lr) + tables[:, :, DW, 0] - tables[:, :, W, 0]
        found["loss"] = losses
        found["log2_loss"] = np.log2(np.abs(losses)) if log2_losses is None else log2_losses
        largest = tables[:, :, : len(TENSORS), 1].max(axis=(1, 2))
        found["log2_largest"] = np.maximum(largest, found["log2_loss"])
    return found
