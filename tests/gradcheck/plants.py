"""Homeworks with one planted mistake each, made from right ones by small edits of their text.

A plant is (style, edits, options, place, slug): the first wrong place, and the cause that must
be named first. `style` is the module that is edited.
"""

# ruff: noqa: E501
# A plant is one line of the table.

from pathlib import Path

import numpy as np

HERE = Path(__file__).parent

DX = "return delta @ self.W.T"
DW = "self.x.T @ delta,"
DB = "delta.sum(axis=0, keepdims=True)\n        return delta @"
LOSS = "return self.p - self.y"
ACT = "delta = delta * self.activations[i].derivative()"
CENTRED = "delta - delta.mean(axis=0) - self.hat * (delta * self.hat).mean(axis=0)"
PASSED = "delta = self.linear_layers[i].backward(delta)"
TANH = "return 1 - self.state**2"
SIGMOID = "return self.state * (1 - self.state)"
RELU = "return (self.state > 0) * 1.0"
KEEP_Z = ("self.state = np.tanh(x)", "self.z = x\n        self.state = np.tanh(x)")
SQUARE = "{} if len(self.W) == self.W.shape[1] else {}"

MONO_LOSS = "delta = (e / e.sum(axis=1, keepdims=True) - labels) / len(labels)"
MONO_DW = "layer.dW += self.inputs[i].T @ delta"
MONO_DB = "layer.db += delta.sum(axis=0, keepdims=True)"
MONO_DX = "delta = delta @ layer.W.T"
MONO_ACT = "delta = delta * self.activations[i].slope(self.zs[i], self.ys[i])"

RIGHT_ORDER = f"""            {ACT}
            if i < len(self.bn_layers):
                delta = self.bn_layers[i].backward(delta)
"""
WRONG_ORDER = f"""            if i < len(self.bn_layers):
                delta = self.bn_layers[i].backward(delta)
            {ACT}
"""

BN = {"batchnorm": 2}
SIG = {"activation": "Sigmoid"}
REL = {"activation": "ReLU"}
SOFT = {"soft": True}
F32 = {"dtype": np.float32}

PLANTS = {
    "tanh derivative missing": ("homework", [(ACT, "pass")], {}, "activations[3].derivative", "activation-derivative-missing"),
    "sigmoid derivative missing": ("homework", [(SIGMOID, "return 1.0")], SIG, "activations[2].derivative", "activation-derivative-missing"),
    "relu derivative missing": ("homework", [(RELU, "return 1.0")], REL, "activations[2].derivative", "activation-derivative-missing"),
    "derivative missing in one layer": ("homework", [(ACT, "delta = delta * (self.activations[i].derivative() if i != 1 else 1)")], {}, "activations[1].derivative", "activation-derivative-missing"),
    "derivative missing at the output": ("homework", [(ACT, "delta = delta * (self.activations[i].derivative() if i != 3 else 1)")], {}, "activations[3].derivative", "activation-derivative-missing"),
    "tanh at z": ("homework", [KEEP_Z, (TANH, "return 1 - self.z**2")], {}, "activations[3].derivative", "activation-derivative-at-input"),
    "tanh with sigmoid's": ("homework", [(TANH, SIGMOID)], {}, "activations[3].derivative", "wrong-activation-derivative"),
    "sigmoid with tanh's": ("homework", [(SIGMOID, TANH)], SIG, "activations[2].derivative", "wrong-activation-derivative"),
    "tanh not squared": ("homework", [(TANH, "return 1 - self.state")], {}, "activations[3].derivative", "activation-derivative-formula"),
    "sigmoid y only": ("homework", [(SIGMOID, "return self.state")], SIG, "activations[2].derivative", "activation-derivative-formula"),
    "mask on delta": ("homework", [(ACT, "delta = delta * (delta > 0) if i < 3 else delta * self.activations[i].derivative()")], REL, "activations[2].derivative", "cotangent-masked"),
    "derivative of another layer": ("homework", [(ACT, "delta = delta * self.activations[i if i in (0, 3) else i - 1].derivative()")], {}, "activations[2].derivative", "other-layers-values"),
    "dW transposed": ("homework", [(DW, SQUARE.format("(self.x.T @ delta).T", "self.x.T @ delta") + ",")], {}, "linear_layers[2].dW", "transposed"),
    "dW transposed everywhere": ("homework", [(DW, "delta.T @ self.x,")], {}, "linear_layers[3].dW", "transposed"),
    "W for its transpose": ("homework", [(DX, "return delta @ (" + SQUARE.format("self.W", "self.W.T") + ")")], {}, "linear_layers[2].dx", "wrong-weights"),
    "W left out": ("homework", [(DX, "return " + SQUARE.format("delta", "delta @ self.W.T"))], {}, "linear_layers[2].dx", "wrong-weights"),
    "updated weights": ("homework", [(DX, "return delta @ (self.W - 0.1 * self.dW).T"), ("self.activations, self.criterion =", "self.lr = lr\n        self.activations, self.criterion =")], {}, "linear_layers[3].dx", "wrong-weights"),
    "weights updated in backward": ("homework", [(DX, "self.W -= 0.1 * self.dW\n        return delta @ self.W.T")], {}, "linear_layers[3].dx", "parameter-modified"),
    "weights kept from the start": ("homework", [("self.W, self.b = weight", "self.start, self.b = None, 0\n        self.W, self.b = weight"), ("self.x = x\n", "self.x = x\n        self.start = self.W.copy() if self.start is None else self.start\n"), (DX, "return delta @ self.start.T")], {}, "linear_layers[3].dx", "stale-cache"),
    "bias not summed": ("homework", [(DB, "delta\n        return delta @")], {}, "linear_layers[3].db", "bias-not-summed"),
    "bias over the wrong axis": ("homework", [(DB, "delta.sum(axis=1, keepdims=True)\n        return delta @")], {}, "linear_layers[3].db", "bias-wrong-axis"),
    "bias of one sample": ("homework", [(DB, "delta[:1]\n        return delta @")], {}, "linear_layers[3].db", "bias-not-summed"),
    "bias left out of forward": ("homework", [("return x @ self.W + self.b", "return x @ self.W")], {}, "linear_layers[3].db", "bias-left-out"),
    "sign of the loss": ("homework", [(LOSS, "return self.y - self.p")], {}, "criterion.derivative", "sign-flipped"),
    "one-hot forgotten": ("homework", [(LOSS, "return self.p")], {}, "criterion.derivative", "one-hot-not-subtracted"),
    "softmax over the batch": ("homework", [(LOSS, "return self.e / self.e.sum(axis=0) - self.y"), ("self.p, self.y = e", "self.e = e\n        self.p, self.y = e")], {}, "criterion.derivative", "softmax-wrong-axis"),
    "probabilities clipped": ("homework", [(LOSS, "return np.clip(self.p, 0.2, 0.8) - self.y")], {}, "criterion.derivative", "probability-clipped"),
    "targets not normalised": ("homework", [(LOSS, "return self.p * self.y.sum(axis=1, keepdims=True) - self.y")], {"scale": 2.0}, "criterion.derivative", "targets-not-normalised"),
    "squared error's derivative": ("homework", [(LOSS, "return self.x - self.y"), ("self.p, self.y = e", "self.x = x\n        self.p, self.y = e")], SOFT, "criterion.derivative", "loss-mismatch"),
    "derivative by probabilities": ("homework", [(LOSS, "return -self.y / self.p")], SOFT, "criterion.derivative", "gradient-at-probabilities"),
    "the mean twice": ("homework", [(LOSS, "return (self.p - self.y) / len(self.y)"), (DW, "self.x.T @ delta / len(delta),"), (DB, "delta.mean(axis=0, keepdims=True)\n        return delta @")], {}, "linear_layers[3].db", "divided-by-batch-twice"),
    "the loss doubled": ("homework", [(LOSS, "return 2 * (self.p - self.y)")], {}, "criterion.derivative", "scaled-by-constant"),
    "weight decay": ("homework", [(DW, "self.x.T @ delta + 0.01 * self.W,")], {}, "linear_layers[3].dW", "weight-decay-mismatch"),
    "accumulates": ("homework", [(DW, "(0 if getattr(self, 'dW', None) is None else self.dW) + self.x.T @ delta,"), ("layer.dW = layer.db = None", "pass")], {}, "linear_layers[3].dW", "accumulates-into-stale-buffer"),
    "stale input": ("homework", [("        self.x = x\n", "        self.x = getattr(self, 'x', x)\n")], {}, "linear_layers[3].dW", "stale-cache"),
    "in float32": ("homework", [(DW, "(self.x.T.astype(np.float32) @ delta.astype(np.float32)).astype(float),")], {}, "linear_layers[3].dW", "reduced-precision"),
    "gradient stops": ("homework", [(PASSED, PASSED + " * (i != 2)")], {}, "activations[1].derivative", "gradient-stops"),
    "batchnorm mean term": ("homework", [(CENTRED, "delta - self.hat * (delta * self.hat).mean(axis=0)")], BN, "bn_layers[1].dx", "batchnorm-mean-term-missing"),
    "batchnorm variance term": ("homework", [(CENTRED, "delta - delta.mean(axis=0)")], BN, "bn_layers[1].dx", "batchnorm-variance-term-missing"),
    "batchnorm constants": ("homework", [(CENTRED, "delta")], BN, "bn_layers[1].dx", "batchnorm-statistics-constant"),
    "batchnorm gamma": ("homework", [("return self.gamma * self.rstd * centred", "return self.rstd * centred")], BN, "bn_layers[1].dx", "batchnorm-gamma-missing"),
    "batchnorm unbiased": ("homework", [("np.sqrt(x.var(axis=0) + 1e-8)", "np.sqrt(x.var(axis=0, ddof=1) + 1e-8)")], BN, "bn_layers[1].dx", "batchnorm-unbiased-variance"),
    "batchnorm eps": ("homework", [("        return self.gamma * self.rstd * centred", "        rstd = 1 / np.sqrt(1 / self.rstd**2 - 1e-8 + 1e-3)\n        return self.gamma * rstd * centred")], BN, "bn_layers[1].dx", "batchnorm-eps-mismatch"),
    "batchnorm skipped": ("homework", [("delta = self.bn_layers[i].backward(delta)", "self.bn_layers[i].backward(delta)")], BN, "bn_layers[1].dx", "batchnorm-skipped"),
    "batchnorm dgamma": ("homework", [("(delta * self.hat).sum(axis=0, keepdims=True)", "(delta * self.x).sum(axis=0, keepdims=True)"), ("        self.rstd = 1", "        self.x = x\n        self.rstd = 1")], BN, "bn_layers[1].dgamma", "batchnorm-parameter-gradient"),
    "batchnorm and activation exchanged": ("homework", [(RIGHT_ORDER, WRONG_ORDER)], BN, "activations[1].derivative", "layers-out-of-order"),
    "float32: derivative missing": ("homework", [(ACT, "pass")], F32, "activations[3].derivative", "activation-derivative-missing"),
    "float32: transposed": ("homework", [(DW, SQUARE.format("(self.x.T @ delta).T", "self.x.T @ delta") + ",")], F32, "linear_layers[2].dW", "transposed"),
    "monolith: derivative missing": ("monolith", [(MONO_ACT, "pass")], {}, "activations[3].derivative", "activation-derivative-missing"),
    "monolith: W for its transpose": ("monolith", [(MONO_DX, "delta = delta @ (layer.W if i in (1, 2) else layer.W.T)")], {}, "linear_layers[2].dx", "wrong-weights"),
    "monolith: next layer's weights": ("monolith", [(MONO_DX, "delta = delta @ (self.linear_layers[1].W.T if i == 2 else layer.W.T)")], {}, "linear_layers[2].dx", "wrong-weights"),
    "monolith: dW of the next input": ("monolith", [(MONO_DW, "layer.dW += (self.ys[i] if i in (1, 2) else self.inputs[i]).T @ delta")], {}, "linear_layers[2].dW", "other-layers-values"),
    "monolith: dW transposed": ("monolith", [(MONO_DW, "layer.dW += (self.inputs[i].T @ delta).T if i in (1, 2) else self.inputs[i].T @ delta")], {}, "linear_layers[2].dW", "transposed"),
    "monolith: one-hot forgotten": ("monolith", [(MONO_LOSS, "delta = e / e.sum(axis=1, keepdims=True) / len(labels)")], {}, "criterion.derivative", "one-hot-not-subtracted"),
    "monolith: sign": ("monolith", [(MONO_LOSS, "delta = (labels - e / e.sum(axis=1, keepdims=True)) / len(labels)")], SOFT, "criterion.derivative", "sign-flipped"),
    "monolith: momentum for the gradient": ("monolith", [(MONO_DW, "layer.dW += self.inputs[i].T @ delta\n            layer.momentum_W = 0.9 * layer.momentum_W + layer.dW\n            layer.dW[...] = layer.momentum_W")], {}, "linear_layers[3].dW", ("momentum-mismatch", "accumulates-into-stale-buffer")),
    "monolith: gradient stops": ("monolith", [(MONO_DX, "delta = delta @ layer.W.T * (i > 1)")], {}, ("linear_layers[1].dx", "activations[0].derivative"), "gradient-stops"),
    "monolith: clipped": ("monolith", [(MONO_DX, "delta = np.clip(delta @ layer.W.T, -0.05, 0.05)")], {}, "linear_layers[3].dx", "cotangent-clipped"),
    "monolith: not zeroed": ("monolith", [("layer.dW[...] = 0", "pass")], {}, "linear_layers[3].dW", "accumulates-into-stale-buffer"),
    "monolith: bias not summed": ("monolith", [(MONO_DB, "layer.db = delta")], {}, "linear_layers[3].db", "bias-not-summed"),
    "monolith: delta before the derivative": ("monolith", [(MONO_ACT, "above = delta\n            delta = delta * self.activations[i].slope(self.zs[i], self.ys[i])"), (MONO_DW, "layer.dW += self.inputs[i].T @ above")], {}, "linear_layers[3].dW", "wrong-delta"),
}  # fmt: skip

MEANS = [(DW, "self.x.T @ delta / len(delta),"),
         (DB, "delta.mean(axis=0, keepdims=True)\n        return delta @")]  # fmt: skip

RIGHT = {
    "sums": ("homework", [], {}),
    "means of weights, sums of the rest": ("homework", MEANS, BN),
    "the mean in the loss": ("homework", [(LOSS, "return (self.p - self.y) / len(self.y)")], BN),
    "relu": ("homework", [], REL),
    "sigmoid and batchnorm": ("homework", [], SIG | BN),
    "soft targets": ("homework", [], SOFT),
    "float32": ("homework", [], F32),
    "float32 and batchnorm": ("homework", [], F32 | BN),
    "db without its row": ("homework", [(DB, "delta.sum(axis=0)\n        return delta @")], {}),
    "unbiased variance in both": ("homework", [("np.sqrt(x.var(axis=0) + 1e-8)", "np.sqrt(x.var(axis=0, ddof=1) + 1e-8)"), (CENTRED, "delta - delta.mean(axis=0) - self.hat * (delta * self.hat).sum(axis=0) / (len(delta) - 1)")], BN),
    "another eps": ("homework", [("1e-8", "1e-3")], BN),
    "derivative at z": ("homework", [KEEP_Z, (TANH, "return 1 / np.cosh(self.z)**2")], {}),
    "monolith": ("monolith", [], {}),
    "monolith, relu": ("monolith", [], REL),
    "monolith, sums": ("monolith", [(MONO_LOSS, "delta = e / e.sum(axis=1, keepdims=True) - labels")], SOFT),
    "unknown activation": ("homework", [("self.state = np.tanh(x)\n        return self.state", "self.z = x\n        return x * np.tanh(x)"), (TANH, "return np.tanh(self.z) + self.z / np.cosh(self.z) ** 2")], {}),
}  # fmt: skip


def edited(style, edits):
    """The namespace of the module's text with the edits made."""
    text = (HERE / f"{style}.py").read_text()
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    names = {}
    exec(compile(text, f"{style}.py", "exec"), names)
    return names


def planted(style, edits, activation="Tanh", batchnorm=0, soft=False, dtype=np.float64, scale=1.0,
            seed=1):  # fmt: skip
    """A network of four layers, two of them square, with a batch for it."""
    names, rng = edited(style, edits), np.random.default_rng(seed)
    activation = names[activation]
    net = names["MLP"](
        5, 3, [4, 4, 4], [activation(), activation(), activation(), names["Tanh"]()],
        lambda a, b: rng.standard_normal((a, b)).astype(dtype),
        lambda b: (0.3 * rng.standard_normal((1, b))).astype(dtype),
        names["SoftmaxCrossEntropy"](), 0.1, num_bn_layers=batchnorm,
    )  # fmt: skip
    for bn in net.bn_layers:
        bn.gamma = rng.uniform(0.5, 1.5, bn.gamma.shape).astype(dtype)
        bn.beta = (0.3 * rng.standard_normal(bn.beta.shape)).astype(dtype)
    x = rng.standard_normal((7, 5)).astype(dtype)
    y = rng.dirichlet(np.ones(3), 7) if soft else np.eye(3)[rng.integers(0, 3, 7)]
    return net, x, (scale * y).astype(dtype)
