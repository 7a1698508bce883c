"""check and check_gradient: is `backward` the gradient of `forward`?

Outputs are weighted by random cotangents of both signs, so that L = Σ cotangent·output is
one scalar. Small arrays are compared entry by entry; large ones along random directions of
±1, which see an error anywhere, and at single entries.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradcheck.arguments import require_domain, require_twin
from gradcheck.beginning import beginning_of
from gradcheck.budget import BUDGET, limited
from gradcheck.examine import Settings, examine
from gradcheck.progress import Progress
from gradcheck.subject import Authored, Subject, require_callable
from gradcheck.verdict import Report

Array = np.ndarray


def check(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Sequence[Any],
    names: Sequence[str] | None = None,
    seed: int = 0,
    title: str = "check",
    *,
    cotangent: Any = None,
    domain: dict[str, tuple[float, float]] | None = None,
    budget: float | None = BUDGET,
    twin: Callable[..., Any] | None = None,
    further_points: bool = True,
    progress: Progress | None = None,
) -> Report:
    """Compare `backward` with differences of `forward`.

    Parameters
    ----------
    forward : forward(*inputs) gives an array, a scalar, or a tuple of them.
    backward : backward(dy, *inputs) gives the gradient with respect to each input, None
        for one that is not checked; `dy` is a tuple where forward gives one. It is called
        after a forward at the same inputs, so both may be methods of a layer that keeps them.
    inputs : arrays and whatever else forward takes; only floating arrays are differentiated.
        Integer arrays (labels, indices), scalars and other objects are passed as they are.
    names : of the inputs; input0, input1, … by default.
    seed : of every random draw.
    title : of the report.
    cotangent : the weights of the outputs (a tuple of arrays where forward gives one), in
        place of random ones.
    domain : for a name, the least and greatest value at which forward is defined.
    budget : seconds after which what is not decided is inconclusive; None for no limit. In the
        main thread a call is stopped in its midst, but for compiled code that does not return.
    twin : forward in float64, to take sharp differences of where forward computes in float32.
        Where forward itself takes float64, none is needed.
    further_points : whether to look at other points, too: the inputs permuted, enlarged, and
        made small.
    progress : called as progress(name, done, total) while places of an array are measured. By
        default a terminal's stderr shows a line after the first second; see
        `gradcheck.progress`, which has `silent`, too.

    Returns
    -------
    Report : one finding for each input that has a gradient, and one for whatever else is
        found wrong. True where the verdict is "pass".

    Raises
    ------
    TypeError, ValueError : for what cannot be a check: no function, a wrong number of
        arguments, complex inputs. What forward and backward raise is in the report.
    """
    names, arrays, notes = opened("check", inputs, names)
    require_callable("check", "forward", forward, len(arrays))
    require_callable("check", "backward", backward, len(arrays) + 1)
    require_domain("check", domain, names, arrays)
    require_twin("check", twin)
    cotangents = None if cotangent is None else list(
        cotangent if isinstance(cotangent, (tuple, list)) else (cotangent,)
    )  # fmt: skip
    settings = Settings(
        title,
        seed,
        cotangents=cotangents,
        domain=domain,
        further_points=further_points,
        twin=twin,
        notes=notes,
        progress=progress,
    )
    subject = Subject(forward, backward, names, Authored(backward))
    with limited(budget):
        subject.beginning = beginning_of(forward, backward)
        return examine(subject, arrays, settings)


def check_gradient(
    loss: Callable[..., Any],
    gradient: Callable[..., Any],
    inputs: Sequence[Any],
    names: Sequence[str] | None = None,
    seed: int = 0,
    title: str = "check_gradient",
    *,
    domain: dict[str, tuple[float, float]] | None = None,
    budget: float | None = BUDGET,
    twin: Callable[..., Any] | None = None,
    further_points: bool = True,
    progress: Progress | None = None,
) -> Report:
    """Compare `gradient` with differences of the scalar `loss`.

    Parameters
    ----------
    loss : loss(*inputs) gives one number.
    gradient : gradient(*inputs) gives the gradient with respect to each input, None for one
        that is not checked.
    inputs, names, seed, title, domain, budget, twin, further_points, progress : as for `check`.
    """
    names, arrays, notes = opened("check_gradient", inputs, names)
    require_callable("check_gradient", "loss", loss, len(arrays))
    require_callable("check_gradient", "gradient", gradient, len(arrays))
    require_domain("check_gradient", domain, names, arrays)
    require_twin("check_gradient", twin)

    def without_cotangent(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda dy, *given: function(*given)

    settings = Settings(
        title,
        seed,
        is_fixed=True,
        cotangents=[np.ones(())],
        domain=domain,
        further_points=further_points,
        twin=twin,
        notes=notes,
        progress=progress,
    )
    authored = Authored(gradient, without_cotangent, has_cotangent=False, forward=loss)
    subject = Subject(scalar(loss), without_cotangent(gradient), names, authored)
    with limited(budget):
        subject.beginning = beginning_of(loss, gradient)
        return examine(subject, arrays, settings)


def scalar(loss: Callable[..., Any]) -> Callable[..., Array]:
    """The loss as an array without dimensions."""

    def forward(*given: Any) -> Array:
        value = np.asarray(loss(*given))
        if value.size != 1:
            raise ValueError(f"loss gives an array of shape {value.shape}, expected one number")
        return value.reshape(())

    return forward


def opened(
    where: str, inputs: Sequence[Any], names: Sequence[str] | None
) -> tuple[list[str], list[Any], tuple[str, ...]]:
    """Names, the inputs as they are differentiated, and what was done to them."""
    names = named(where, inputs, names)
    arrays = [as_input(f"{where}: inputs[{i}]", value) for i, value in enumerate(inputs)]
    return names, *as_floating(arrays)


def named(where: str, inputs: Sequence[Any], names: Sequence[str] | None) -> list[str]:
    if not isinstance(inputs, (list, tuple)):
        given = type(inputs).__name__
        raise TypeError(f"{where}: inputs is of type {given}, expected a list of arrays, as in [x]")
    if names is None:
        return [f"input{i}" for i in range(len(inputs))]
    if len(names) != len(inputs):
        raise ValueError(f"{where}: names has {len(names)} entries, expected {len(inputs)}")
    found = [str(name) for name in names]
    if len(set(found)) != len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise ValueError(f"{where}: names has {twice!r} twice, expected a name for each input")
    return found


def as_input(where: str, value: Any) -> Any:
    """Numbers as an array of real numbers; anything else as it is."""
    if value is None or isinstance(value, (str, bytes, bool)) or callable(value):
        return value
    array = np.array(value)
    if array.dtype.kind in "fiub":
        return array
    if array.dtype.kind == "c":
        raise TypeError(f"{where} has dtype {array.dtype}, expected real numbers")
    return value


def as_floating(arrays: list[Any]) -> tuple[list[Any], tuple[str, ...]]:
    """Integers as floats where nothing else could be differentiated, and a note of it."""
    if any(isinstance(a, np.ndarray) and a.dtype.kind == "f" for a in arrays):
        return arrays, ()
    converted = [
        a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype.kind in "iu" else a
        for a in arrays
    ]
    return converted, ("integer inputs were converted to float64",)
