"""The flight recorder: the first value of a pass that is not finite, of what, and why."""

import math
import re

import numpy as np

from mlp.network import MLP
from mlp.nonfinite import Finding, passes
from mlp.stress.series import Array, NonFinite

OUTPUTS = {"affine": "preactivation", "batchnorm": "batchnorm output"}
"""What the output of an op is called; that of an activation is the layer's output."""


def first_nonfinite(net: MLP, x: Array, y: Array, number: int) -> NonFinite | None:
    """Run the pass of that number once more, from the network as it was before it, and look."""
    for finding in passes(net, x, y):
        found = first_of(finding, number, net.dtype)
        if found is not None:
            return found
    return None


def first_of(finding: Finding, number: int, dtype: np.dtype) -> NonFinite | None:
    """The first non-finite array among those that one op has computed."""
    title, computed, operands = finding
    for name, values in computed.items():
        bad = values[~np.isfinite(values)]
        if bad.size:
            layer, tensor = place(title, name)
            return NonFinite(
                pass_number=number,
                layer=layer,
                tensor=tensor,
                value=str(bad.flat[0]),
                operands={name: interval(operand) for name, operand in operands.items()},
                cause=cause(title, operands, dtype),
            )
    return None


def place(title: str, name: str) -> tuple[int | None, str]:
    """The layer's number, and the tensor's name, of an array that an op has computed."""
    found = re.search(r"layer (\d+), (\w+)", title)
    if found is None:
        return None, "gradient of the loss" if name == "dy" else "loss"
    kind = found.group(2)
    if name == "y":
        name = OUTPUTS.get(kind, "output")
    return int(found.group(1)), name


def interval(values: Array) -> tuple[float, float]:
    """The smallest and the largest value; NaN where one is."""
    if values.size == 0:
        return math.nan, math.nan
    return float(values.min()), float(values.max())


def cause(title: str, operands: dict[str, Array], dtype: np.dtype) -> str:
    """Why, most likely: by the op, and by what its operands were."""
    bad = [name for name, values in operands.items() if not np.isfinite(values).all()]
    if bad:
        return f"{' and '.join(bad)} came in non-finite"
    limit = f"the largest {dtype} is {np.finfo(dtype).max:.1e}"
    sizes = {name: float(np.abs(v).max(initial=0)) for name, v in operands.items()}
    ranges = " and ".join(f"{name} up to {size:.1e}" for name, size in sizes.items() if size)
    if "batchnorm" in title:
        return f"batchnorm squares its input: {ranges}, and {limit}"
    if title.startswith("update"):
        return f"the update is larger than the dtype: {ranges}, and {limit}"
    if "loss" in title:
        return f"the loss of outputs this large: {ranges}, and {limit}"
    return f"overflow of the product: {ranges}, and {limit}"
