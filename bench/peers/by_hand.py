"""NumPy by hand: every array made before the first step, every operation with `out=`.

Also the reference that every contender is compared with: the same steps in float64.
"""

import numpy as np

from bench.contender import ALPHA, EPS, Contender, UnsupportedError
from bench.networks import Problem

NAME = "NumPy"


def limit(threads: int) -> None:
    """OpenBLAS, if it was loaded before the environment could say so."""
    try:
        from threadpoolctl import threadpool_limits
    except ModuleNotFoundError:
        return
    threadpool_limits(threads, "blas")


class Layer:
    """One layer's parameters and all the arrays that a step on `n` rows needs."""

    def __init__(self, n, w, b, gamma, beta, activation, is_last, is_first):
        k, m = w.shape
        self.w, self.b, self.gamma, self.beta = w, b, gamma, beta
        self.activation = "identity" if is_last else activation
        self.is_first = is_first
        self.dw, self.db = np.empty_like(w), np.empty_like(b)
        self.z, self.y, self.dy, self.work = (np.empty((n, m), w.dtype) for _ in range(4))
        self.dx = None if is_first else np.empty((n, k), w.dtype)
        self.mask = np.empty((n, m), bool)
        self.ones = np.ones(n, w.dtype)
        if gamma is not None:
            self.hat = np.empty_like(self.z)
            self.mean, self.var, self.rstd, self.row = (np.empty_like(b) for _ in range(4))
            self.running_mean, self.running_var = np.zeros_like(b), np.ones_like(b)
            self.dgamma, self.dbeta = np.empty_like(b), np.empty_like(b)
            self.rows = w.dtype.type(n)

    # ------------------------------------------------------------------ forward

    def forward(self, x):
        self.x = x
        np.matmul(x, self.w, out=self.z)
        np.add(self.z, self.b, out=self.z)
        if self.gamma is not None:
            self.normalize()
        if self.activation == "relu":
            np.maximum(self.z, 0, out=self.y)
        elif self.activation == "tanh":
            np.tanh(self.z, out=self.y)
        else:
            return self.z
        return self.y

    def normalize(self):
        """z = gamma·(z - mean)·rstd + beta; sums over rows are products with ones."""
        np.matmul(self.ones, self.z, out=self.mean)
        np.divide(self.mean, self.rows, out=self.mean)
        np.subtract(self.z, self.mean, out=self.hat)
        np.multiply(self.hat, self.hat, out=self.work)
        np.matmul(self.ones, self.work, out=self.var)
        np.divide(self.var, self.rows, out=self.var)
        np.add(self.var, EPS, out=self.rstd)
        np.sqrt(self.rstd, out=self.rstd)
        np.divide(1, self.rstd, out=self.rstd)
        np.multiply(self.hat, self.rstd, out=self.hat)
        np.multiply(self.hat, self.gamma, out=self.z)
        np.add(self.z, self.beta, out=self.z)
        for running, value in ((self.running_mean, self.mean), (self.running_var, self.var)):
            np.multiply(running, ALPHA, out=running)
            np.multiply(value, 1 - ALPHA, out=self.row)
            np.add(running, self.row, out=running)

    # ------------------------------------------------------------------ backward

    def backward(self, dy):
        """`dy` is overwritten with the gradient before the activation."""
        if self.activation == "relu":
            np.greater(self.y, 0, out=self.mask)
            np.multiply(dy, self.mask, out=dy)
        elif self.activation == "tanh":
            np.multiply(self.y, self.y, out=self.work)
            np.subtract(1, self.work, out=self.work)
            np.multiply(dy, self.work, out=dy)
        if self.gamma is not None:
            self.normalize_backward(dy)
        np.matmul(self.x.T, dy, out=self.dw)
        np.matmul(self.ones, dy, out=self.db)
        if not self.is_first:
            np.matmul(dy, self.w.T, out=self.dx)
        return self.dx

    def normalize_backward(self, dy):
        """dy = gamma·rstd·(dy - mean dy - hat·mean(dy·hat))."""
        np.multiply(dy, self.hat, out=self.work)
        np.matmul(self.ones, self.work, out=self.dgamma)
        np.matmul(self.ones, dy, out=self.dbeta)
        np.divide(self.dbeta, self.rows, out=self.row)
        np.subtract(dy, self.row, out=dy)
        np.divide(self.dgamma, self.rows, out=self.row)
        np.multiply(self.hat, self.row, out=self.work)
        np.subtract(dy, self.work, out=dy)
        np.multiply(self.gamma, self.rstd, out=self.row)
        np.multiply(dy, self.row, out=dy)

    def update(self, lr):
        """Overwrites the gradients, which nobody reads any more."""
        pairs = [(self.w, self.dw), (self.b, self.db)]
        if self.gamma is not None:
            pairs += [(self.gamma, self.dgamma), (self.beta, self.dbeta)]
        for value, gradient in pairs:
            np.multiply(gradient, lr, out=gradient)
            np.subtract(value, gradient, out=value)


class ByHand:
    """The whole network, with the arrays of softmax cross-entropy."""

    def __init__(self, problem: Problem, dtype=np.float32):
        if problem.network.activation not in ("relu", "tanh"):
            raise UnsupportedError(f"{problem.network.activation} is not written by hand here")
        weights, biases, gammas, betas = (
            [array.astype(dtype) for array in group]
            for group in (problem.weights, problem.biases, problem.gammas, problem.betas)
        )
        none = [None] * len(weights)
        gammas, betas = gammas + none, betas + none
        n, last = problem.network.batch, len(weights) - 1
        self.layers = [
            Layer(n, w, b, gammas[i], betas[i], problem.network.activation, i == last, i == 0)
            for i, (w, b) in enumerate(zip(weights, biases, strict=True))
        ]
        self.x, self.labels, self.rows = problem.x.astype(dtype), problem.labels, np.arange(n)
        self.lr = self.x.dtype.type(problem.lr)
        self.n = self.x.dtype.type(n)
        self.p = np.empty_like(self.layers[-1].z)
        self.peak = np.empty((n, 1), self.x.dtype)
        self.total = np.empty_like(self.peak)

    def step(self):
        y = self.x
        for layer in self.layers:
            y = layer.forward(y)
        np.amax(y, axis=1, out=self.peak, keepdims=True)
        np.subtract(y, self.peak, out=self.p)
        np.exp(self.p, out=self.p)
        np.sum(self.p, axis=1, out=self.total, keepdims=True)
        np.divide(self.p, self.total, out=self.p)
        self.p[self.rows, self.labels] -= 1
        np.divide(self.p, self.n, out=self.p)
        dy = self.p
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        for layer in self.layers:
            layer.update(self.lr)

    def parameters(self) -> list[np.ndarray]:
        linear = [layer.w for layer in self.layers] + [layer.b for layer in self.layers]
        scaled = [layer for layer in self.layers if layer.gamma is not None]
        scale = [layer.gamma for layer in scaled] + [layer.beta for layer in scaled]
        return [np.array(array) for array in linear + scale]


def variants(problem: Problem) -> list[Contender]:
    network = ByHand(problem)
    return [Contender(NAME, network.step, network.parameters)]
