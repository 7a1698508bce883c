"""A homework in plain NumPy with the course's interface, right or with one planted mistake.

`layer.dx` and `layer_outputs` are absent, gradients are sums over the batch, weights stay
whatever the initialiser gave: a foreign implementation, as `--target` meets it.
"""

import numpy as np


class ReLU:
    def forward(self, x):
        self.state = np.maximum(x, 0)
        return self.state

    def derivative(self):
        return (self.state > 0) * 1.0


class Sigmoid:
    def forward(self, x):
        self.state = 1 / (1 + np.exp(-x))
        return self.state

    def derivative(self):
        return self.state * (1 - self.state)


class Tanh:
    def forward(self, x):
        self.state = np.tanh(x)
        return self.state

    def derivative(self):
        return 1 - self.state**2


class SoftmaxCrossEntropy:
    def forward(self, x, y):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.p, self.y = e / e.sum(axis=1, keepdims=True), y
        with np.errstate(divide="ignore", invalid="ignore"):
            return -(y * np.log(self.p)).sum(axis=1)

    def derivative(self):
        return self.p - self.y


class Linear:
    def __init__(self, n_in, n_out, weight_init_fn, bias_init_fn):
        self.W, self.b = weight_init_fn(n_in, n_out), bias_init_fn(n_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, delta):
        self.dW, self.db = self.x.T @ delta, delta.sum(axis=0, keepdims=True)
        return delta @ self.W.T


class BatchNorm:
    def __init__(self, n, alpha=0.9):
        self.gamma, self.beta = np.ones((1, n)), np.zeros((1, n))
        self.running_mean, self.running_var, self.alpha = np.zeros((1, n)), np.ones((1, n)), alpha

    def forward(self, x):
        self.rstd = 1 / np.sqrt(x.var(axis=0) + 1e-8)
        self.hat = (x - x.mean(axis=0)) * self.rstd
        self.running_mean = self.alpha * self.running_mean + (1 - self.alpha) * x.mean(axis=0)
        self.running_var = self.alpha * self.running_var + (1 - self.alpha) * x.var(axis=0)
        return self.gamma * self.hat + self.beta

    def backward(self, delta):
        self.dgamma = (delta * self.hat).sum(axis=0, keepdims=True)
        self.dbeta = delta.sum(axis=0, keepdims=True)
        centred = delta - delta.mean(axis=0) - self.hat * (delta * self.hat).mean(axis=0)
        return self.gamma * self.rstd * centred


class MLP:
    linear = Linear

    def __init__(
        self,
        input_size,
        output_size,
        hiddens,
        activations,
        weight_init_fn,
        bias_init_fn,
        criterion,
        lr,
        momentum=0.0,
        num_bn_layers=0,
    ):
        widths = [input_size, *hiddens, output_size]
        self.linear_layers = [
            self.linear(a, b, weight_init_fn, bias_init_fn)
            for a, b in zip(widths, widths[1:], strict=False)
        ]
        self.bn_layers = [BatchNorm(n) for n in widths[1:][:num_bn_layers]]
        self.activations, self.criterion = activations, criterion

    def zero_grads(self):
        for layer in self.linear_layers:
            layer.dW = layer.db = None

    def forward(self, x):
        for i, (layer, activation) in enumerate(
            zip(self.linear_layers, self.activations, strict=True)
        ):
            x = layer.forward(x)
            if i < len(self.bn_layers):
                x = self.bn_layers[i].forward(x)
            x = activation.forward(x)
        self.output = x
        return x

    def backward(self, labels):
        self.criterion.forward(self.output, labels)
        delta = self.criterion.derivative()
        for i in reversed(range(len(self.linear_layers))):
            delta = delta * self.activations[i].derivative()
            if i < len(self.bn_layers):
                delta = self.bn_layers[i].backward(delta)
            delta = self.linear_layers[i].backward(delta)


class TransposedLinear(Linear):
    def backward(self, delta):
        dx = super().backward(delta)
        if self.W.shape[0] == self.W.shape[1]:
            self.dW = self.dW.T
        return dx


class TransposedMLP(MLP):
    linear = TransposedLinear


class HalfMLP:
    """Lacks backward."""

    def forward(self, x):
        return x

    def zero_grads(self):
        """Nothing to do."""


class NoisyMLP(MLP):
    """Prints, as homework does, and gives a NaN."""

    def backward(self, labels):
        print("in backward")
        super().backward(labels)
        self.linear_layers[0].dW[0, 0] = np.nan


class UnfinishedMLP(MLP):
    def backward(self, labels):
        raise NotImplementedError("to do")


class IntegerMLP(MLP):
    """Keeps integer weights, as the course's own toy does."""

    class linear(Linear):  # noqa: N801, an attribute that happens to be a class
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.W, self.b = self.W.astype(np.int64), self.b.astype(np.int64)
