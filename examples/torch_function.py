"""A PyTorch function with a backward written by hand, checked by gradcheck.

Forward and backward are called through NumPy arrays: gradcheck knows nothing of PyTorch. The
second function has a planted mistake, and the report says what it looks like.
"""

from typing import Any

import numpy as np
import torch

from gradcheck import Report, check


class Swish(torch.autograd.Function):
    """y = x·σ(x)"""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> torch.Tensor:
        """dx = dy·(σ(x) + x·σ(x)·(1 − σ(x)))"""
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return dy * (s + x * s * (1 - s))


class SwishMasked(Swish):
    """The mistake: negative entries of dy are dropped, as if this were a ReLU."""

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> torch.Tensor:
        return Swish.backward(ctx, dy * (dy > 0))


def check_function(function: type[torch.autograd.Function], **inputs: np.ndarray) -> Report:
    """Check the backward of a PyTorch function at NumPy inputs, given by name."""

    def forward(*arrays: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return function.apply(*map(torch.from_numpy, arrays)).numpy()

    def backward(dy: np.ndarray, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        tensors = [torch.from_numpy(array).requires_grad_() for array in arrays]
        function.apply(*tensors).backward(torch.from_numpy(dy))
        return tuple(tensor.grad.numpy() for tensor in tensors)

    return check(forward, backward, [*inputs.values()], [*inputs], title=function.__name__)


def main() -> None:
    """Print both reports."""
    x = np.random.default_rng(0).standard_normal((4, 3))
    for function in (Swish, SwishMasked):
        check_function(function, x=x).print()


if __name__ == "__main__":
    main()
