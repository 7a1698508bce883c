"""How a layer is told that it is training, or being evaluated."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

FLAGS = {
    "training": True, "train_mode": True, "is_training": True, "is_train": True, "train": True,
    "train_flg": True, "eval_mode": False, "is_eval": False, "test_mode": False,
    "evaluating": False, "inference": False,
}  # fmt: skip
"""Attributes, and arguments of forward, with the value that means training."""

ARGUMENTS = FLAGS | {"eval": False, "test": False, "evaluate": False}

WORDS = {True: "training", False: "evaluation"}


@dataclass
class Mode:
    """One layer's switch, and how it stands. `training` None leaves it as it is."""

    layer: Any
    argument: str | None = None
    attribute: str | None = None
    has_methods: bool = False
    training: bool | None = None

    @property
    def exists(self) -> bool:
        return bool(self.argument or self.attribute or self.has_methods)

    def apply(self) -> None:
        if self.training is None:
            return
        if self.has_methods:
            (self.layer.train if self.training else self.layer.eval)()
        elif self.attribute == "mode":
            self.layer.mode = "train" if self.training else "test"
        elif self.attribute:
            setattr(self.layer, self.attribute, self.training == FLAGS[self.attribute])

    def keywords(self) -> dict[str, bool]:
        if self.training is None or self.argument is None:
            return {}
        return {self.argument: self.training == ARGUMENTS[self.argument]}


def mode_of(layer: Any, forward: Callable[..., Any]) -> Mode:
    """The switch that the layer has, if any."""
    try:
        arguments = inspect.signature(forward).parameters
    except (TypeError, ValueError):
        arguments = {}  # type: ignore[assignment]
    mode = Mode(layer, next((name for name in arguments if name in ARGUMENTS), None))
    mode.has_methods = all(callable(getattr(layer, name, None)) for name in ("train", "eval"))
    for name in FLAGS:
        if isinstance(getattr(layer, name, None), bool):
            mode.attribute = name
            break
    if getattr(layer, "mode", None) in ("train", "test"):
        mode.attribute = "mode"
    return mode
