"""The course's network in plain NumPy: written from the formulas, sharing no code with mlp."""

import numpy as np

PHI = {
    "identity": (lambda z: z, lambda z: np.ones_like(z)),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
    "sigmoid": (
        lambda z: 1 / (1 + np.exp(-z)),
        lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,
    ),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
}


class Oracle:
    """Takes its first parameters from a network of ours, then goes its own way."""

    def __init__(self, net):
        self.w = [np.array(layer.W, np.float64) for layer in net.linear_layers]
        self.b = [np.array(layer.b[0], np.float64) for layer in net.linear_layers]
        self.gamma = [np.array(bn.gamma[0], np.float64) for bn in net.bn_layers]
        self.beta = [np.array(bn.beta[0], np.float64) for bn in net.bn_layers]
        self.running = [[np.zeros(g.size), np.ones(g.size)] for g in self.gamma]
        self.v = [np.zeros_like(p) for p in self.w + self.b]
        self.names = [activation.name for activation in net.activations]
        self.lr, self.momentum = net.lr, net.momentum
        self.loss, self.reduction = net.criterion.name, net.reduction

    def forward(self, x, training=True):
        self.x, self.pre, self.hat, self.rstd = [x], [], [], []
        for i, (w, b, name) in enumerate(zip(self.w, self.b, self.names, strict=True)):
            z = self.x[-1] @ w + b
            if i < len(self.gamma):
                mean, var = z.mean(axis=0), z.var(axis=0)
                if training:
                    for old, new in zip(self.running[i], (mean, var), strict=True):
                        old *= 0.9
                        old += 0.1 * new
                else:
                    mean, var = self.running[i]
                self.rstd.append(1 / np.sqrt(var + 1e-8))
                self.hat.append((z - mean) * self.rstd[-1])
                z = self.gamma[i] * self.hat[-1] + self.beta[i]
            self.pre.append(z)
            self.x.append(PHI[name][0](z))
        return self.x[-1]

    def losses(self, targets):
        z = self.x[-1]
        if self.loss == "mse":
            return ((z - targets) ** 2).mean(axis=1)
        peak = z.max(axis=1)
        return peak + np.log(np.exp(z - peak[:, None]).sum(axis=1)) - (targets * z).sum(axis=1)

    def backward(self, targets, training=True):
        z = self.x[-1]
        if self.loss == "mse":
            dy = 2 * (z - targets) / z.shape[1]
        else:
            e = np.exp(z - z.max(axis=1, keepdims=True))
            dy = e / e.sum(axis=1, keepdims=True) - targets
        if self.reduction == "mean":
            dy = dy / len(z)
        n = len(self.w)
        self.dw, self.db, self.dx = [None] * n, [None] * n, [None] * n
        self.dgamma, self.dbeta = [None] * len(self.gamma), [None] * len(self.gamma)
        self.dy = [None] * n
        for i in reversed(range(n)):
            self.dy[i] = dy
            dz = dy * PHI[self.names[i]][1](self.pre[i])
            if i < len(self.gamma):
                self.dgamma[i], self.dbeta[i] = (dz * self.hat[i]).sum(axis=0), dz.sum(axis=0)
                scale = self.gamma[i] * self.rstd[i]
                if training:
                    dz = scale * (
                        dz - dz.mean(axis=0) - self.hat[i] * (dz * self.hat[i]).mean(axis=0)
                    )
                else:
                    dz = scale * dz
            self.dw[i], self.db[i] = self.x[i].T @ dz, dz.sum(axis=0)
            dy = self.dx[i] = dz @ self.w[i].T
        return dy

    def step(self):
        parameters, gradients = self.w + self.b, self.dw + self.db
        for p, g, v in zip(parameters, gradients, self.v, strict=True):
            v *= self.momentum
            v -= self.lr * g
            p += v
        for p, g in zip(self.gamma + self.beta, self.dgamma + self.dbeta, strict=True):
            p -= self.lr * g
