"""Layers in plain NumPy, right ones in several styles, for check_module to be tried on."""

import numpy as np


class Affine:
    """Names as in PyTorch; gradients are overwritten."""

    def __init__(self, rng, n_in=3, n_out=4):
        self.weight, self.bias = rng.standard_normal((n_in, n_out)), rng.standard_normal(n_out)
        self.weight_grad = self.bias_grad = None

    def __call__(self, x):
        self.inputs = x
        return x @ self.weight + self.bias

    def backward(self, grad_output):
        self.weight_grad = self.inputs.T @ grad_output
        self.bias_grad = grad_output.sum(axis=0)
        return grad_output @ self.weight.T


class Dense:
    """Dictionaries params and grads; gradients are added up until zero_grads."""

    def __init__(self, rng, n_in=3, n_out=4):
        self.params = {"W": rng.standard_normal((n_in, n_out)), "b": rng.standard_normal(n_out)}
        self.grads = {name: np.zeros_like(value) for name, value in self.params.items()}

    def zero_grads(self):
        for gradient in self.grads.values():
            gradient.fill(0)

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dy):
        self.grads["W"] += self.x.T @ dy
        self.grads["b"] += dy.sum(axis=0)
        return dy @ self.params["W"].T


class ListLayer:
    """Lists params and grads, filled in place."""

    def __init__(self, rng, n_in=3, n_out=4):
        self.params = [rng.standard_normal((n_in, n_out)), rng.standard_normal(n_out)]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x):
        W, b = self.params
        self.x = x
        return np.dot(x, W) + b

    def backward(self, dout):
        W, _ = self.params
        self.grads[0][...] = np.dot(self.x.T, dout)
        self.grads[1][...] = dout.sum(axis=0)
        return np.dot(dout, W.T)


class AttributeLayer:
    """Returns nothing: output and dinputs are attributes."""

    def __init__(self, rng, n_in=3, n_out=4):
        self.weights = rng.standard_normal((n_in, n_out))
        self.biases = rng.standard_normal((1, n_out))

    def forward(self, inputs):
        self.inputs = inputs
        self.output = inputs @ self.weights + self.biases

    def backward(self, dvalues):
        self.dweights = self.inputs.T @ dvalues
        self.dbiases = dvalues.sum(axis=0, keepdims=True)
        self.dinputs = dvalues @ self.weights.T


class Param:
    def __init__(self, data):
        self.data, self.grad = data, np.zeros_like(data)


class ParamLayer:
    """Parameters are objects with data and grad; backward(input, gradient)."""

    def __init__(self, rng, n_in=3, n_out=4):
        self.W, self.b = Param(rng.standard_normal((n_in, n_out))), Param(np.ones(n_out))

    def zero_grad(self):
        self.W.grad[...] = 0
        self.b.grad[...] = 0

    def forward(self, x):
        return x @ self.W.data + self.b.data

    def backward(self, x, grad_output):
        self.W.grad += x.T @ grad_output
        self.b.grad += grad_output.sum(axis=0)
        return grad_output @ self.W.data.T


class TupleLayer:
    """Backward returns all the gradients."""

    def __init__(self, rng, n_in=3, n_out=4):
        self.W, self.b = rng.standard_normal((n_in, n_out)), rng.standard_normal(n_out)

    def forward(self, x):
        self.x = x
        return np.tanh(x @ self.W + self.b)

    def backward(self, dy):
        dz = dy * (1 - np.tanh(self.x @ self.W + self.b) ** 2)
        return dz @ self.W.T, self.x.T @ dz, dz.sum(axis=0)


class FlatBias(Affine):
    """db has shape (out,) for b of shape (1, out)."""

    def __init__(self, rng):
        super().__init__(rng)
        self.bias = self.bias[None]


class MeanAffine(Affine):
    """The parameters' gradients are means over the batch, dx is not."""

    def backward(self, grad_output):
        dx = super().backward(grad_output)
        self.weight_grad, self.bias_grad = (
            self.weight_grad / len(grad_output),
            self.bias_grad / len(grad_output),
        )
        return dx


class Norm:
    """Batchnorm with a training flag; backward knows both modes."""

    def __init__(self, rng, n=3):
        self.gamma, self.beta = rng.uniform(0.5, 1.5, n), rng.standard_normal(n)
        self.running_mean, self.running_var = np.zeros(n), np.ones(n)
        self.momentum, self.eps, self.training = 0.1, 1e-5, True

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def statistics(self, x):
        if not self.training:
            return self.running_mean, self.running_var
        mean, var = x.mean(axis=0), x.var(axis=0)
        n, m = len(x), self.momentum
        self.running_mean = (1 - m) * self.running_mean + m * mean
        self.running_var = (1 - m) * self.running_var + m * var * n / max(n - 1, 1)
        return mean, var

    def forward(self, x):
        mean, var = self.statistics(x)
        self.rstd = 1 / np.sqrt(var + self.eps)
        self.hat = (x - mean) * self.rstd
        return self.gamma * self.hat + self.beta

    def backward(self, dy):
        self.dgamma, self.dbeta = (dy * self.hat).sum(axis=0), dy.sum(axis=0)
        if not self.training:
            return dy * self.gamma * self.rstd
        centred = dy - dy.mean(axis=0) - self.hat * (dy * self.hat).mean(axis=0)
        return self.gamma * self.rstd * centred


class CourseNorm:
    """Batchnorm as in the course: the mode is an argument of forward, backward is training's."""

    def __init__(self, rng, n=3):
        self.alpha, self.eps = 0.9, 1e-8
        self.gamma, self.beta = np.ones((1, n)), np.zeros((1, n))
        self.dgamma, self.dbeta = np.zeros((1, n)), np.zeros((1, n))
        self.running_mean, self.running_var = np.zeros((1, n)), np.ones((1, n))

    def forward(self, x, eval=False):  # noqa: A002, the course's name
        if eval:
            hat = (x - self.running_mean) / np.sqrt(self.running_var + self.eps)
            return self.gamma * hat + self.beta
        self.mean, self.var = x.mean(axis=0), x.var(axis=0)
        self.hat = (x - self.mean) / np.sqrt(self.var + self.eps)
        self.update()
        return self.gamma * self.hat + self.beta

    def update(self):
        self.running_mean = self.alpha * self.running_mean + (1 - self.alpha) * self.mean
        self.running_var = self.alpha * self.running_var + (1 - self.alpha) * self.var

    def backward(self, delta):
        self.dgamma = (delta * self.hat).sum(axis=0, keepdims=True)
        self.dbeta = delta.sum(axis=0, keepdims=True)
        dhat = delta * self.gamma
        centred = dhat - dhat.mean(axis=0) - self.hat * (dhat * self.hat).mean(axis=0)
        return centred / np.sqrt(self.var + self.eps)


class Relu:
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask


class Tanh:
    """Returns the array that it keeps."""

    def forward(self, x):
        self.state = np.tanh(x)
        return self.state

    def backward(self, dy):
        return dy * (1 - self.state**2)


class Dropout:
    def __init__(self, rng):
        self.rng, self.keep = np.random.default_rng(3), 0.7

    def forward(self, x):
        self.mask = (self.rng.random(x.shape) < self.keep) / self.keep
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask


class GlobalDropout(Dropout):
    def forward(self, x):
        self.mask = (np.random.rand(*x.shape) < self.keep) / self.keep  # noqa: NPY002
        return x * self.mask


class Prelu:
    """One number as its parameter."""

    def __init__(self, rng):
        self.alpha, self.dalpha = 0.25, 0.0

    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, self.alpha * x)

    def backward(self, dy):
        self.dalpha = float((dy * np.minimum(self.x, 0)).sum())
        return np.where(self.x > 0, dy, self.alpha * dy)


class Embedding:
    def __init__(self, rng):
        self.W = rng.standard_normal((5, 3))

    def forward(self, ids):
        self.ids = ids
        return self.W[ids]

    def backward(self, dy):
        self.dW = np.zeros_like(self.W)
        np.add.at(self.dW, self.ids, dy)


class Loss:
    """Softmax cross-entropy, the mean over the batch; dout is 1 and may be left out."""

    def forward(self, z, t):
        e = np.exp(z - z.max(axis=1, keepdims=True))
        self.p, self.t = e / e.sum(axis=1, keepdims=True), t
        return -np.mean(np.log(self.p[np.arange(len(z)), t]))

    def backward(self, dout=1):
        dz = self.p.copy()
        dz[np.arange(len(dz)), self.t] -= 1
        return dout * dz / len(dz)


class LayerNorm:
    def __init__(self, rng, n=3):
        self.gamma, self.beta = rng.standard_normal(n), rng.standard_normal(n)

    def forward(self, x):
        self.rstd = 1 / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        self.hat = (x - x.mean(axis=1, keepdims=True)) * self.rstd
        return self.gamma * self.hat + self.beta

    def backward(self, dy):
        self.dgamma, self.dbeta = (dy * self.hat).sum(axis=0), dy.sum(axis=0)
        g = dy * self.gamma
        inner = (g * self.hat).mean(axis=1, keepdims=True)
        return self.rstd * (g - g.mean(axis=1, keepdims=True) - self.hat * inner)


class BufferAffine(Affine):
    """Gradient buffers are allocated once and overwritten."""

    def __init__(self, rng):
        super().__init__(rng)
        self.weight_grad, self.bias_grad = np.zeros((3, 4)), np.zeros(4)

    def backward(self, grad_output):
        np.matmul(self.inputs.T, grad_output, out=self.weight_grad)
        grad_output.sum(axis=0, out=self.bias_grad)
        return grad_output @ self.weight.T


class Float32Affine(Affine):
    def __init__(self, rng):
        super().__init__(rng)
        self.weight, self.bias = self.weight.astype("f4"), self.bias.astype("f4")


class Sequence:
    """Two layers in one: parameters with names of their own."""

    def __init__(self, rng):
        self.W1, self.W2 = rng.standard_normal((3, 5)), rng.standard_normal((5, 2))

    def forward(self, x):
        self.x, self.h = x, np.tanh(x @ self.W1)
        return self.h @ self.W2

    def backward(self, dy):
        self.dW2 = self.h.T @ dy
        dh = dy @ self.W2.T * (1 - self.h**2)
        self.dW1 = self.x.T @ dh
        return dh @ self.W1.T
