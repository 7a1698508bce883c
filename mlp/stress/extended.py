"""A network's passes in scaled arithmetic."""

from typing import Any

from mlp.network import MLP
from mlp.stress.series import Array


def record_extended(net: MLP, x: Any, y: Any, passes: int) -> dict[str, Array]:
    raise NotImplementedError
