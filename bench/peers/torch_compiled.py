"""PyTorch compiled: forward and backward by torch.compile, as one graph with the update or not."""

import torch
from torch import nn

from bench.contender import Contender
from bench.networks import Problem
from bench.peers.torch_eager import build, parameters

NAME = "torch.compile"


def modular(problem: Problem) -> Contender:
    """What the documentation teaches: the model with its loss compiled, and the optimizer."""
    net = build(problem)
    x, labels = torch.from_numpy(problem.x), torch.from_numpy(problem.labels)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=problem.lr, fused=True)
    loss = torch.compile(lambda: criterion(net(x), labels), dynamic=False)

    def run():
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return Contender(NAME, run, lambda: parameters(net), note="model compiled")


def functional(problem: Problem) -> Contender:
    """The whole step as one graph, parameters updated in place: the least work per call."""
    net = build(problem)
    x, labels = torch.from_numpy(problem.x), torch.from_numpy(problem.labels)
    criterion, lr = nn.CrossEntropyLoss(), problem.lr
    values = {name: p.detach() for name, p in net.named_parameters()}
    buffers = dict(net.named_buffers())

    def loss(values):
        after = {name: value.clone() for name, value in buffers.items()}  # batchnorm's statistics
        output = torch.func.functional_call(net, (values, after), (x,))
        return criterion(output, labels), after

    @torch.compile(dynamic=False, fullgraph=True)
    def step():
        gradients, after = torch.func.grad(loss, has_aux=True)(values)
        for name, value in values.items():
            value.sub_(gradients[name], alpha=lr)
        for name, value in buffers.items():
            value.copy_(after[name])

    def run():
        with torch.no_grad():
            step()

    return Contender(NAME, run, lambda: parameters(net), note="whole step compiled")


def variants(problem: Problem) -> list[Contender]:
    torch._dynamo.reset()  # each network is a new one; old graphs only slow the guards
    return [modular(problem), functional(problem)]
