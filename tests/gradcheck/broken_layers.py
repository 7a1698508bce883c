"""Layers with one planted mistake each, and what check_module should say first."""

import numpy as np

from tests.gradcheck import homework
from tests.gradcheck.layers import (
    Affine,
    AttributeLayer,
    BufferAffine,
    Dense,
    Dropout,
    ListLayer,
    Norm,
    ParamLayer,
    Relu,
    Tanh,
)

PLANTED = {}


def planted(slug, *others):
    """Notes the class under the slugs that are right for it, the likeliest first."""

    def note(layer):
        PLANTED[layer.__name__] = ((slug, *others), layer)
        return layer

    return note


class Activation:
    def __init__(self, rng):
        pass


# ---------------------------------------------------------------------- caches


@planted("stale-cache")
class FirstInputOnly(Affine):
    def __call__(self, x):
        y = super().__call__(x)
        self.first = getattr(self, "first", None) if hasattr(self, "first") else x
        self.inputs = self.first
        return y


@planted("stale-cache")
class InputBeforeLast(Affine):
    def __call__(self, x):
        before = getattr(self, "last", None)
        y = super().__call__(x)
        self.last = x
        self.inputs = x if before is None else before
        return y


@planted("stale-cache")
class StackOfInputs(Affine):
    def __call__(self, x):
        self.stack = [*getattr(self, "stack", []), x]
        return super().__call__(x)

    def backward(self, grad_output):
        self.inputs = self.stack[0]
        return super().backward(grad_output)


@planted("stale-cache")
class FirstMask(Activation, Relu):
    def forward(self, x):
        if not hasattr(self, "mask"):
            self.mask = x > 0
        return np.maximum(x, 0)


@planted("stale-cache")
class BufferOfFirstSize(Affine):
    def __call__(self, x):
        y = super().__call__(x)
        if not hasattr(self, "buffer"):
            self.buffer = np.empty_like(x)
        self.buffer[...] = x
        return y


@planted("stale-cache")
class OldStatistics(Norm):
    def forward(self, x):
        y = super().forward(x)
        self.kept_hat = getattr(self, "kept_hat", self.hat)
        self.hat = self.kept_hat
        return y


@planted("stale-cache")
class DerivativeKept(Activation, homework.Tanh):
    def derivative(self):
        if not hasattr(self, "slope"):
            self.slope = 1 - self.state**2
        return self.slope


# ---------------------------------------------------------------------- buffers


@planted("accumulates-into-stale-buffer")
class AddsUp(BufferAffine):
    def backward(self, grad_output):
        self.weight_grad += self.inputs.T @ grad_output
        self.bias_grad += grad_output.sum(axis=0)
        return grad_output @ self.weight.T


@planted("accumulates-into-stale-buffer")
class BiasAddsUp(ListLayer):
    def backward(self, dout):
        before = self.grads[1].copy()
        dx = super().backward(dout)
        self.grads[1][...] += before
        return dx


@planted("accumulates-into-stale-buffer")
class ZeroForgetsBias(Dense):
    def zero_grads(self):
        self.grads["W"].fill(0)


@planted("accumulates-into-stale-buffer")
class ZeroDoesNothing(ParamLayer):
    def zero_grad(self):
        self.W.grad * 0


@planted("accumulates-into-stale-buffer")
class ZeroOfACopy(Dense):
    def zero_grads(self):
        for gradient in list(self.grads.values()):
            gradient = gradient.copy()
            gradient.fill(0)


@planted("accumulates-into-stale-buffer")
class DxAddsUp(Affine):
    def __init__(self, rng):
        super().__init__(rng)
        self.total = 0.0

    def backward(self, grad_output):
        self.total = self.total + super().backward(grad_output)
        return self.total


# ---------------------------------------------------------------------- aliases


@planted("cache-aliased")
class OutputBuffer(Affine):
    def __call__(self, x):
        y = super().__call__(x)
        if getattr(self, "y", np.empty(0)).shape != y.shape:
            self.y = np.empty_like(y)
        self.y[...] = y
        return self.y


@planted("cache-aliased")
class DxBuffer(Affine):
    def backward(self, grad_output):
        dx = super().backward(grad_output)
        if getattr(self, "buffer", np.empty(0)).shape != dx.shape:
            self.buffer = np.empty_like(dx)
        self.buffer[...] = dx
        return self.buffer


@planted("cache-aliased")
class StateReused(Activation, Tanh):
    def backward(self, dy):
        np.multiply(self.state, self.state, out=self.state)
        np.subtract(1, self.state, out=self.state)
        return self.state * dy


@planted("cache-aliased")
class OutputBecomesDx(Activation, Relu):
    def forward(self, x):
        self.y = super().forward(x)
        return self.y

    def backward(self, dy):
        self.y[...] = dy * self.mask
        return self.y


@planted("input-modified")
class ReluInPlace(Activation, Relu):
    def forward(self, x):
        self.mask = x > 0
        x *= self.mask
        return x


@planted("input-modified")
class BackwardChangesX(Affine):
    def backward(self, grad_output):
        dx = super().backward(grad_output)
        self.inputs *= 2
        return dx


@planted("cotangent-modified")
class DeltaInPlace(Activation, Relu):
    def backward(self, dy):
        dy *= self.mask
        return dy


@planted("cotangent-modified")
class DeltaAveraged(Affine):
    def backward(self, grad_output):
        dx = super().backward(grad_output)
        grad_output /= len(grad_output)
        return dx


@planted("cotangent-modified")
class DeltaZeroed(Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        dy[...] = 0
        return dx


@planted("parameter-modified")
class StepsInBackward(Affine):
    def backward(self, grad_output):
        dx = super().backward(grad_output)
        self.weight -= 0.1 * self.weight_grad
        return dx


@planted("parameter-modified")
class DecaysInForward(Dense):
    def forward(self, x):
        self.params["W"] *= 0.99
        return super().forward(x)


@planted("parameter-modified")
class Normalises(ListLayer):
    def backward(self, dout):
        dx = super().backward(dout)
        self.params[1] = self.params[1] - 0.01 * self.grads[1]
        return dx


@planted("not-deterministic")
class NewMask(Dropout):
    def backward(self, dy):
        return dy * (self.rng.random(dy.shape) < self.keep) / self.keep


@planted("not-deterministic")
class NewGlobalMask(Dropout):
    def backward(self, dy):
        return dy * (np.random.rand(*dy.shape) < self.keep) / self.keep  # noqa: NPY002


# ---------------------------------------------------------------------- dead ends


@planted("gradient-stops")
class NoDx(Affine):
    def backward(self, grad_output):
        return 0 * super().backward(grad_output)


@planted("gradient-stops")
class BiasForgotten(Affine):
    def backward(self, grad_output):
        dx = super().backward(grad_output)
        self.bias_grad = None
        return dx


@planted("gradient-stops")
class GradientOfACopy(ListLayer):
    def backward(self, dout):
        gradients = [g.copy() for g in self.grads]
        gradients[0][...] = self.x.T @ dout
        return dout @ self.params[0].T


@planted("gradient-stops")
class ZeroesAtTheEnd(Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        self.grads["b"].fill(0)
        return dx


# ---------------------------------------------------------------------- batch sizes


@planted("batch-size-fixed")
class SixRows(Affine):
    def backward(self, grad_output):
        dx = super().backward(grad_output)
        self.bias_grad = sum(grad_output[min(k, len(grad_output) - 1)] for k in range(6))
        return dx


@planted("batch-size-fixed", "stale-cache")
class MeanOfSix(Affine):
    def backward(self, grad_output):
        dx = super().backward(grad_output)
        return dx * len(grad_output) / 6


@planted("batch-size-fixed", "tail-not-computed")
class Squeezed(Affine):
    def __call__(self, x):
        self.inputs = x
        return (x @ self.weight + self.bias).squeeze()


@planted("tail-not-computed")
class BlocksOfThree(Activation, Tanh):
    def backward(self, dy):
        dx = np.zeros_like(dy)
        for k in range(0, len(dy) - 2, 3):
            dx[k : k + 3] = super().backward(dy)[k : k + 3]
        return dx


# ---------------------------------------------------------------------- plain mistakes


@planted("sign-flipped")
class Negated(AttributeLayer):
    def backward(self, dvalues):
        super().backward(dvalues)
        self.dinputs = -self.dinputs


@planted("cotangent-ignored")
class IgnoresDelta(Activation, Tanh):
    def backward(self, dy):
        return 1 - self.state**2


@planted("cotangent-masked")
class MasksDelta(Activation, Relu):
    def backward(self, dy):
        return dy * self.mask * (dy > 0)


@planted("scaled-by-constant")
class TwiceDx(Affine):
    def backward(self, grad_output):
        return 2 * super().backward(grad_output)


@planted("accumulates-into-stale-buffer")
class KeepsHalf(Affine):
    def backward(self, grad_output):
        before = self.weight_grad
        dx = super().backward(grad_output)
        if before is not None:
            self.weight_grad = self.weight_grad + 0.5 * before
        return dx


@planted("stale-cache")
class CacheByShape(Affine):
    def __call__(self, x):
        y = super().__call__(x)
        self.kept = getattr(self, "kept", {})
        self.inputs = self.kept.setdefault(x.shape, x)
        return y


@planted("input-modified")
class ClipsItsInput(Activation, Tanh):
    def forward(self, x):
        return super().forward(np.clip(x, -0.5, 0.5, out=x))


@planted("not-deterministic")
class NoisyGradient(Affine):
    def backward(self, grad_output):
        dx = super().backward(grad_output)
        return dx + 1e-3 * np.random.default_rng().standard_normal(dx.shape)
