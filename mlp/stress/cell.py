"""What one cell of a sweep measures: a pure function of its description."""

import math
from typing import Any

import numpy as np

from mlp.network import MLP
from mlp.stress.grid import Cell
from mlp.stress.passes import run
from mlp.stress.series import Array, Study, as_plain
from mlp.stress.starts import as_start

Result = dict[str, Any]


def measure(cell: Cell) -> Result:
    """Run the cell's network, and sum up what came of it; the same bits wherever it runs.

    Returns
    -------
    overflow_pass, first_nonfinite : pass, and pass, layer and tensor, of the first value that
        was not finite; None where all were.
    forecast_pass, forecast_made_at : as in a study.
    loss_first, loss_last : of the first and of the last recorded pass.
    log2_output_growth, log2_gradient_growth : bits per layer, in the first pass, by which the
        mean square of the pre-activations grows forward and that of the gradients backward;
        None where there is one layer only.
    log2_largest : of any value in the last recorded pass.
    dead, saturated : fractions of the hidden units in the last recorded pass.
    """
    try:
        study = run(*problem(cell), passes=cell.passes)
    except (MemoryError, ArithmeticError) as error:
        raise RuntimeError(f"sweep: cell {cell.key}: {type(error).__name__}: {error}") from error
    result: Result = as_plain(summary(study))
    return result


def problem(cell: Cell) -> tuple[MLP, Array, Array]:
    """The network, a batch of inputs from N(0, 1), and targets: N(0, 1), or classes."""
    rng = cell.generator()
    x = rng.normal(size=(cell.batch, cell.width))
    if cell.criterion == "mse":
        targets = rng.normal(size=(cell.batch, cell.width)).astype(cell.dtype)
    else:
        targets = rng.integers(cell.width, size=cell.batch)
    start = as_start("init", cell.init)
    net = MLP(
        cell.width,
        cell.width,
        hiddens=[cell.width] * (cell.depth - 1),
        activations=cell.activation,
        weight_init_fn=lambda n_in, n_out: start.weights(rng, n_in, n_out),
        bias_init_fn=lambda n_out: start.biases(rng, n_out),
        criterion=cell.criterion,
        lr=cell.lr,
        num_bn_layers=cell.depth - 1 if cell.normalization == "batchnorm" else 0,
        dtype=cell.dtype,
    )
    x = x.astype(cell.dtype)
    start.finish(net, x)
    return net, x, targets


def summary(study: Study) -> Result:
    """The few numbers that a sweep keeps of a study."""
    first = study.first_nonfinite
    place = first and {"pass": first.pass_number, "layer": first.layer, "tensor": first.tensor}
    losses = study.series["loss"]
    return {
        "overflow_pass": study.overflow_pass,
        "first_nonfinite": place,
        "forecast_pass": study.forecast_pass,
        "forecast_made_at": study.forecast_made_at,
        "loss_first": float(losses[0]),
        "loss_last": float(losses[-1]),
        "log2_output_growth": growth(study.of("preactivation", "log2_mean_square")[0]),
        "log2_gradient_growth": growth(study.of("dx", "log2_mean_square")[0][::-1]),
        "log2_largest": float(study.series["log2_largest"][-1]),
        "dead": hidden_mean(study.series["dead"][-1]),
        "saturated": hidden_mean(study.series["saturated"][-1]),
    }


def growth(log2_sizes: Array) -> float | None:
    """Bits per layer from the first to the last."""
    if len(log2_sizes) < 2:
        return None
    if not math.isfinite(log2_sizes[0]):
        return math.nan
    return float((log2_sizes[-1] - log2_sizes[0]) / (len(log2_sizes) - 1))


def hidden_mean(fractions: Array) -> float:
    """The mean over the hidden layers; 0 where there are none."""
    return float(np.mean(fractions[:-1])) if len(fractions) > 1 else 0.0
