"""python -m bench.depth: the depth study beside the same in PyTorch eager, one thread each.

Fifty layers, 256 wide, weights from N(0, 2/256) drawn anew for every seed: forward, backward,
and the norm of every layer's output and gradient. Turns of a few seeds alternate, and the ratio
of their best times is printed.
"""

import argparse
import math
import time
from collections.abc import Callable

from mlp.stress import depth

LAYERS, WIDTH, SEEDS, TURNS = 50, 256, 100, 5


def ours(first_seed: int, seeds: int) -> list[float]:
    """log₂ of the norm of the first layer's gradient, seed by seed."""
    study = depth(LAYERS, WIDTH, init="he", seeds=seeds, first_seed=first_seed)
    return list(study.backward[:, 0] / 2)


def theirs(first_seed: int, seeds: int) -> list[float]:
    """The same study as its user would write it in PyTorch."""
    import torch

    torch.set_num_threads(1)
    found = []
    for seed in range(first_seed, first_seed + seeds):
        torch.manual_seed(seed)
        layers = [torch.nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(LAYERS)]
        for layer in layers:
            torch.nn.init.normal_(layer.weight, 0.0, math.sqrt(2 / WIDTH))
        outputs = [torch.randn(1, WIDTH)]
        for layer in layers:
            outputs.append(torch.relu(layer(outputs[-1])))
            outputs[-1].retain_grad()
        gradient = torch.randn(1, WIDTH)
        outputs[-1].backward(gradient)
        norms = [(y.detach().norm().log2().item(), y.grad.norm().log2()) for y in outputs[1:]]
        found.append(float(norms[0][1] - gradient.norm().log2()))
    return found


def seconds(study: Callable[[int, int], list[float]], first_seed: int, seeds: int) -> float:
    start = time.perf_counter()
    study(first_seed, seeds)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="in all; %(default)s")
    seeds = max(1, parser.parse_args().seeds // TURNS)
    ours(0, 1), theirs(0, 1)
    times = [
        [seconds(study, turn * seeds, seeds) for study in (ours, theirs)] for turn in range(TURNS)
    ]
    mine, torchs = (min(column) * SEEDS / seeds for column in zip(*times, strict=True))
    print(f"{LAYERS} layers, {WIDTH} wide, {SEEDS} seeds: backproof {mine:.2f} s, ", end="")
    print(f"PyTorch eager {torchs:.2f} s, {torchs / mine:.1f} times")


if __name__ == "__main__":
    main()
