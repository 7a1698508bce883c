"""run: forward, backward and update again and again, recorded pass by pass."""

import copy
from typing import Any

import numpy as np

from kernels.activation import ACTIVATIONS
from kernels.arrays import to_array
from mlp.arguments import as_dtype, by_name, whole
from mlp.network import MLP
from mlp.stress import toy
from mlp.stress.extended import check_extended, record_extended
from mlp.stress.flight import first_nonfinite
from mlp.stress.forecast import Forecaster, first_forecast
from mlp.stress.record import Recorder
from mlp.stress.remedies import try_remedies
from mlp.stress.series import Array, Study

PASSES = 30
"""As often as the source of the toy imagines."""

TOY_SETTINGS = {"activation": "relu", "batchnorm": False, "input": "single", "dtype": "float64"}
"""By default."""


def run(
    network: MLP | None = None,
    inputs: Any = None,
    targets: Any = None,
    *,
    passes: int = PASSES,
    lr: float | None = None,
    activation: str = "relu",
    batchnorm: bool = False,
    input: str = "single",  # noqa: A002, the command's name for it
    dtype: Any = "float64",
    extended: bool = False,
    remedies: bool = False,
) -> Study:
    """Repeat forward, backward and update, and record each pass and layer in the log domain.

    Parameters
    ----------
    network, inputs, targets : MLP, array, array, optional
        What to train; the network itself stays as it is. Without one, the toy is trained, as
        `lr`, `activation`, `batchnorm`, `input` ("single" or "batch") and `dtype` say.
    passes : int
        How often; they are counted from 1. A run ends with the pass that overflows, unless it
        is extended.
    lr : float, optional
        Learning rate; by default that of the network, or 0.008 for the toy.
    extended : bool
        What overflows is run again in scaled arithmetic, which has no largest number; that
        takes plain gradient descent, and nothing else. Overflow pass, forecast and first
        non-finite value are still those of `dtype`.
    remedies : bool
        After an overflow, try what would have prevented it.
    """
    passes = whole("run: passes", passes, low=1)
    lr = None if lr is None else checked_rate(lr)
    of_the_toy = {"activation": activation, "batchnorm": batchnorm, "input": input, "dtype": dtype}
    check_given(network, inputs, targets, of_the_toy)
    if network is None:
        net, inputs, targets = toy_case(lr, activation, batchnorm, input, dtype)
    else:
        net, input = copy.copy(network), "given"  # noqa: A001
        net.lr = net.lr if lr is None else lr
    if extended:
        check_extended(net)
    settings = {
        "passes": passes, **described(net), "rows": len(inputs), "input": input,
        "extended": extended,
    }  # fmt: skip
    start = copy.copy(net) if extended or remedies else net
    study = record(net, inputs, targets, passes)
    study.settings = settings
    if extended and study.overflow_pass is not None:
        study.series = record_extended(start, inputs, targets, passes)
    if remedies and study.overflow_pass is not None:
        study.remedies = try_remedies(start, inputs, targets, passes)
    return study


def check_given(network: Any, inputs: Any, targets: Any, of_the_toy: dict[str, Any]) -> None:
    """An error where a network comes without its data, or with settings of the toy."""
    if network is None:
        if inputs is not None or targets is not None:
            raise TypeError("run: got inputs or targets without a network, expected all three")
        return
    if not isinstance(network, MLP):
        raise TypeError(f"run: network is {network!r}, expected an MLP")
    if inputs is None or targets is None:
        raise TypeError("run: got a network without inputs and targets, expected all three")
    for name, value in of_the_toy.items():
        if value != TOY_SETTINGS[name]:
            raise ValueError(f"run: {name} is a setting of the toy, expected none with a network")
    if len(inputs) == 0:
        raise ValueError("run: inputs has 0 rows, expected at least 1")


def checked_rate(value: Any) -> float:
    """A learning rate that is no mistake."""
    lr = float(to_array("run: lr", value, "fiu", "a number"))
    if not 0 < lr < np.inf:
        raise ValueError(f"run: lr is {lr}, expected a finite number above 0")
    return lr


def toy_case(
    lr: float | None, activation: str, batchnorm: bool, which: str, dtype: Any
) -> tuple[MLP, Array, Array]:
    """The toy's network, inputs and targets."""
    name = by_name("run: activation", activation, [op.name for op in ACTIVATIONS])
    kind, which = as_dtype("run", dtype), by_name("run: input", which, toy.INPUTS)
    if batchnorm and len(toy.INPUTS[which]) == 1:
        raise ValueError(
            "run: input is 'single', expected 'batch' with batchnorm: one sample has no variance"
        )
    net = toy.network(name, batchnorm, kind.name, toy.LEARNING_RATE if lr is None else lr)
    return net, toy.INPUTS[which].astype(kind), toy.TARGETS[which].astype(kind)


def described(net: MLP) -> dict[str, Any]:
    """What a network is, for the record."""
    return {
        "widths": list(net._widths),
        "activation": net.activations[0].name,
        "batchnorm": net.num_bn_layers > 0,
        "criterion": net.criterion.name,
        "lr": net.lr,
        "dtype": net.dtype.name,
    }


def record(net: MLP, x: Array, y: Array, passes: int) -> Study:
    """Train `net`, which changes, to the end or to the first value that is not finite."""
    recorder, forecaster = Recorder(net, len(x)), Forecaster(net, len(x), passes)
    overflow, found = None, None
    for number in range(1, passes + 1):
        before = net._memory.copy()
        net.forward(x)
        net.backward(y)
        finite = recorder.record()
        net.step()
        if not finite or not np.isfinite(net.params).all():
            overflow = number
            net._memory[:] = before
            found = first_nonfinite(net, x, y, number)
            break
        forecaster.look()
    study = Study({}, recorder.series(), overflow_pass=overflow, first_nonfinite=found)
    study.forecasts = forecaster.found
    forecast = first_forecast(study.series, study.forecasts)
    if forecast is not None:
        study.forecast_pass, study.forecast_made_at = forecast
    return study
