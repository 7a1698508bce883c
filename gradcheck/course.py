"""The course's interface, as gradcheck drives it: load a class, build a network, read it.

Any implementation with that interface can be the target, named `module:Class`; nothing here
knows whose it is. Beside the class, its module must offer the activations and the criterion
(`ReLU`, `Sigmoid`, `Tanh`, `SoftmaxCrossEntropy`).
"""

import functools
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gradcheck import toy
from gradcheck.printed import to_stderr
from gradcheck.source import Source, UnknownTargetError, open_source
from gradcheck.subject import FAULTS, message_of

Array = np.ndarray

ACTIVATION_CLASSES = {"relu": "ReLU", "sigmoid": "Sigmoid", "tanh": "Tanh"}
HERE = Path(__file__).parent

METHODS = ("forward", "backward", "zero_grads")


class TargetError(ValueError):
    """A target that cannot be imported, or that lacks what the course's interface has."""


def load(target: str) -> Any:
    """The object that `module:attribute`, or `path/to/file.py:attribute`, names."""
    return opened(target).value


def opened(target: str) -> Source:
    """The target's source, or one clear error."""
    with theirs(target, f"importing {target.rpartition(':')[0] or target!r}"):
        try:
            return open_source(target)
        except UnknownTargetError as error:
            raise TargetError(str(error)) from None


@contextmanager
def theirs(target: str, stage: str) -> Iterator[None]:
    """Runs code of the target; what it raises becomes one clear error with its place.

    What it prints goes to stderr: stdout is for results.
    """
    try:
        with to_stderr():
            yield
    except (TargetError, KeyboardInterrupt):
        raise
    except FAULTS as error:
        frames = traceback.extract_tb(error.__traceback__)
        place = next(
            (
                f" ({f.filename}:{f.lineno})"
                for f in reversed(frames)
                if HERE not in Path(f.filename).parents and "importlib" not in f.filename
            ),
            "",
        )
        name = type(error).__name__
        raise TargetError(
            f"target {target}: {stage} raised {name}: {message_of(error)}{place}"
        ) from error


def companion(source: Source, name: str) -> Any:
    """A class that stands beside the target."""
    found = source.find(name)
    if found is None:
        raise TargetError(f"target {source.name}: there is no {name!r} beside it")
    return found


def network_class(source: Source) -> Any:
    """The target's class, if it has the methods that a network needs."""
    for method in METHODS:
        if not callable(getattr(source.value, method, None)):
            raise TargetError(f"target {source.name}: has no method {method!r}")
    return source.value


def build_toy(target: str | Source, activation: str = "relu", batchnorm: int = 0) -> Any:
    """The toy network with its own weights, made by the target class."""
    source = opened(target) if isinstance(target, str) else target
    made = network_class(source)
    activation_class = companion(source, ACTIVATION_CLASSES[activation])
    weights: Iterator[Array] = iter(toy.WEIGHTS)
    with source.at_home():
        net = made(
            toy.INPUT_SIZE,
            toy.OUTPUT_SIZE,
            list(toy.HIDDENS),
            [activation_class() for _ in toy.WEIGHTS],
            lambda n_in, n_out: next(weights).copy(),
            lambda n_out: np.zeros((1, n_out)),
            companion(source, "SoftmaxCrossEntropy")(),
            toy.LEARNING_RATE,
            momentum=0.0,
            num_bn_layers=batchnorm,
        )
    require_layers(net, source, batchnorm)
    return net


def require_layers(net: Any, source: Source, batchnorm: int) -> None:
    """A clear error for a network without the course's attributes."""
    for attribute in ("linear_layers", "activations"):
        if not hasattr(net, attribute):
            raise TargetError(f"target {source.name}: its networks have no attribute {attribute!r}")
    count = len(getattr(net, "bn_layers", None) or ())
    if count != batchnorm:
        raise TargetError(
            f"target {source.name}: asked for {batchnorm} batchnorm layers, its network has "
            f"{count} in 'bn_layers'"
        )


def parameters(net: Any) -> Iterator[tuple[str, Any, str]]:
    """Each parameter array of a network: its name, its layer, its attribute there."""
    for i, layer in enumerate(net.linear_layers):
        for attribute in ("W", "b"):
            yield f"linear_layers[{i}].{attribute}", layer, attribute
    for i, layer in enumerate(getattr(net, "bn_layers", ())):
        for attribute in ("gamma", "beta"):
            yield f"bn_layers[{i}].{attribute}", layer, attribute


def forward_backward(net: Any, x: Array, labels: Array) -> dict[str, Array]:
    """One forward and one backward; every quantity that the toy publishes, by its name."""
    received = record_input_gradients(net.linear_layers)
    net.zero_grads()
    output = net.forward(x.copy())
    outputs = getattr(net, "layer_outputs", None)
    if outputs is None:
        outputs = [getattr(activation, "state", None) for activation in net.activations]
    returned = net.backward(labels.copy())
    found = {f"output of H{i}": value for i, value in enumerate(outputs[:-1], 1)}
    found["output"] = output
    for letter in "Wb":
        for i, layer in enumerate(net.linear_layers, 1):
            found[f"d{letter}{i}"] = getattr(layer, f"d{letter}")
    for i in range(len(net.linear_layers) - 1, 0, -1):
        found[f"gradient wrt output of H{i}"] = received(i)
    found["gradient wrt input"] = returned if isinstance(returned, np.ndarray) else received(0)
    for i, layer in enumerate(getattr(net, "bn_layers", ()), 1):
        found[f"dgamma{i}"], found[f"dbeta{i}"] = layer.dgamma, layer.dbeta
    return {n: np.array(value, np.float64) for n, value in found.items() if value is not None}


def record_input_gradients(layers: Sequence[Any]) -> Callable[[int], Any]:
    """A function that tells what the last backward of layer i returned.

    Layers that keep it in `dx` are asked; the `backward` of others is listened to.
    """
    heard: dict[int, Any] = {}

    def listen(i: int, layer: Any) -> None:
        backward = layer.backward
        backward = getattr(backward, "__wrapped__", backward)  # not listened to twice

        @functools.wraps(backward)
        def listening(*args: Any, **kwargs: Any) -> Any:
            heard[i] = backward(*args, **kwargs)
            return heard[i]

        layer.backward = listening

    for i, layer in enumerate(layers):
        if not hasattr(layer, "dx") and callable(getattr(layer, "backward", None)):
            listen(i, layer)
    return lambda i: heard[i] if i in heard else getattr(layers[i], "dx", None)


def told(error: BaseException) -> str:
    """What was raised, where, and the statement: never a traceback."""
    name = type(error).__name__
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if HERE not in Path(frame.filename).parents and "importlib" not in frame.filename:
            statement = f": {frame.line}" if frame.line else ""
            return f"{name}: {message_of(error)} ({frame.filename}:{frame.lineno}{statement})"
    return f"{name}: {message_of(error)}"
