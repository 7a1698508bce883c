"""PyTorch compiled: the whole step as one graph, called through generated C++.

The documentation's way, the model compiled and the optimizer apart, was slower on every
network here, and so was the Python that `torch.compile` generates to call its kernels unless
it is asked for C++.
"""

import torch
from torch import nn

from bench.contender import Contender
from bench.networks import Problem
from bench.peers.torch_eager import build, limit, parameters

NAME = "torch.compile"

__all__ = ["NAME", "limit", "variants"]


def variants(problem: Problem) -> list[Contender]:
    torch._dynamo.reset()  # each network is a new one; old graphs only slow the guards
    net = build(problem)
    x, labels = torch.from_numpy(problem.x), torch.from_numpy(problem.labels)
    criterion, lr = nn.CrossEntropyLoss(), problem.lr
    values = {name: p.detach() for name, p in net.named_parameters()}
    buffers = dict(net.named_buffers())

    def loss(values):
        after = {name: value.clone() for name, value in buffers.items()}  # batchnorm's statistics
        output = torch.func.functional_call(net, (values, after), (x,))
        return criterion(output, labels), after

    @torch.compile(dynamic=False, fullgraph=True, options={"cpp_wrapper": True})
    def step():
        gradients, after = torch.func.grad(loss, has_aux=True)(values)
        for name, value in values.items():
            value.sub_(gradients[name], alpha=lr)
        for name, value in buffers.items():
            value.copy_(after[name])

    def run():
        with torch.no_grad():
            step()

    return [Contender(NAME, run, lambda: parameters(net))]
