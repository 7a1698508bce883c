"""PyTorch as most people run it: Sequential, CrossEntropyLoss, SGD, one operation at a time."""

import numpy as np
import torch
from torch import nn

from bench.contender import ALPHA, EPS, Contender
from bench.networks import Problem

NAME = "PyTorch"

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def limit(threads: int) -> None:
    torch.set_num_threads(threads)


def build(problem: Problem) -> nn.Sequential:
    """The network with the problem's parameters; torch keeps weights as (out, in)."""
    modules, last = [], len(problem.network.shapes) - 1
    for i, (w, b) in enumerate(zip(problem.weights, problem.biases, strict=True)):
        linear = nn.Linear(*w.shape)
        linear.weight.data = torch.from_numpy(np.ascontiguousarray(w.T))
        linear.bias.data = torch.from_numpy(b)
        modules.append(linear)
        if i == last:
            break
        if problem.network.batchnorm:
            norm = nn.BatchNorm1d(w.shape[1], eps=EPS, momentum=1 - ALPHA)
            norm.weight.data = torch.from_numpy(problem.gammas[i])
            norm.bias.data = torch.from_numpy(problem.betas[i])
            modules.append(norm)
        modules.append(ACTIVATIONS[problem.network.activation]())
    return nn.Sequential(*modules)


def parameters(net: nn.Sequential) -> list[np.ndarray]:
    linear = [module for module in net if isinstance(module, nn.Linear)]
    scale = [module for module in net if isinstance(module, nn.BatchNorm1d)]
    tensors = [m.weight.T for m in linear] + [m.bias for m in linear]
    tensors += [m.weight for m in scale] + [m.bias for m in scale]
    return [np.array(tensor.detach().numpy()) for tensor in tensors]


def variant(problem: Problem, kind: str) -> Contender:
    """With the optimizer's implementation `kind`: one tensor at a time, foreach or fused."""
    net = build(problem)
    x, labels = torch.from_numpy(problem.x), torch.from_numpy(problem.labels)
    criterion = nn.CrossEntropyLoss()
    options = {kind: True} if kind != "single" else {"foreach": False}
    optimizer = torch.optim.SGD(net.parameters(), lr=problem.lr, **options)

    def run():
        optimizer.zero_grad()
        criterion(net(x), labels).backward()
        optimizer.step()

    return Contender(NAME, run, lambda: parameters(net), variant=f"{kind} optimizer")


def variants(problem: Problem) -> list[Contender]:
    return [variant(problem, kind) for kind in ("single", "foreach", "fused")]
