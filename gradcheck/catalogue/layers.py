"""The layers of the course's interface in plain NumPy: right ones, that mistakes are made of."""

from typing import Any

import numpy as np

EPS = 1e-8
ALPHA = 0.9
"""The weight of the old running statistics."""


class Linear:
    """y = x·W + b; dW and db are overwritten at each backward."""

    def __init__(self, W: Any, b: Any):
        self.W, self.b = W, b
        self.dW, self.db = np.zeros_like(W), np.zeros_like(b)

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.W + self.b

    def backward(self, delta: Any) -> Any:
        self.dW = self.x.T @ delta
        self.db = delta.sum(axis=0, keepdims=True)
        return delta @ self.W.T


class BatchNorm:
    """With running statistics, as the course has it."""

    def __init__(self, gamma: Any, beta: Any, alpha: float = ALPHA):
        self.gamma, self.beta, self.alpha = gamma, beta, alpha
        self.dgamma, self.dbeta = np.zeros_like(gamma), np.zeros_like(beta)
        self.running_mean, self.running_var = np.zeros_like(gamma), np.ones_like(gamma)

    def forward(self, x: Any, eval: bool = False) -> Any:  # noqa: A002, the course's name
        self.is_evaluated = eval
        mean, variance = self.statistics(x, eval)
        self.rstd = 1 / np.sqrt(variance + EPS)
        self.hat = (x - mean) * self.rstd
        return self.gamma * self.hat + self.beta

    def statistics(self, x: Any, is_evaluated: bool) -> Any:
        if is_evaluated:
            return self.running_mean, self.running_var
        mean, variance = x.mean(axis=0, keepdims=True), x.var(axis=0, keepdims=True)
        self.remember(mean, variance, len(x))
        return mean, variance

    def remember(self, mean: Any, variance: Any, n: int) -> None:
        self.running_mean = self.alpha * self.running_mean + (1 - self.alpha) * mean
        self.running_var = self.alpha * self.running_var + (1 - self.alpha) * variance

    def backward(self, delta: Any) -> Any:
        self.dgamma = (delta * self.hat).sum(axis=0, keepdims=True)
        self.dbeta = delta.sum(axis=0, keepdims=True)
        if self.is_evaluated:
            return self.gamma * self.rstd * delta
        return self.gamma * self.rstd * self.terms(delta)

    def terms(self, delta: Any) -> Any:
        return delta - delta.mean(axis=0) - self.hat * (delta * self.hat).mean(axis=0)


class Identity:
    def forward(self, x: Any) -> Any:
        self.state = x
        return x

    def derivative(self) -> Any:
        return np.ones_like(self.state)


class ReLU:
    def forward(self, x: Any) -> Any:
        self.state = np.maximum(x, 0)
        return self.state

    def derivative(self) -> Any:
        return (self.state > 0).astype(self.state.dtype)


class Tanh:
    def forward(self, x: Any) -> Any:
        self.state = np.tanh(x)
        return self.state

    def derivative(self) -> Any:
        return 1 - self.state**2


class Sigmoid:
    def forward(self, x: Any) -> Any:
        self.state = 1 / (1 + np.exp(-x))
        return self.state

    def derivative(self) -> Any:
        return self.state * (1 - self.state)


class SoftmaxCrossEntropy:
    """The losses of the samples; the derivative is that of their mean."""

    def forward(self, z: Any, y: Any) -> Any:
        e = np.exp(z - z.max(axis=1, keepdims=True))
        self.p, self.y = e / e.sum(axis=1, keepdims=True), y
        return np.log(e.sum(axis=1)) + z.max(axis=1) - (y * z).sum(axis=1)

    def derivative(self) -> Any:
        return (self.p - self.y) / len(self.y)
