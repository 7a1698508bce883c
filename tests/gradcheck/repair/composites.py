"""Right pairs that no list of operations knows, as text, and mistakes planted in them."""

import linecache
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np

NUMBER = count()

HEAD = """import numpy as np

def softmax(s):
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)

def softmax_backward(dp, p):
    return p * (dp - (dp * p).sum(axis=-1, keepdims=True))

def sigmoid(z):
    return 1 / (1 + np.exp(-z))
"""

ATTENTION = """
def forward(q, k, v):
    return softmax(q @ k.T / np.sqrt(q.shape[1])) @ v

def backward(dy, q, k, v):
    scale = np.sqrt(q.shape[1])
    p = softmax(q @ k.T / scale)
    dv = p.T @ dy
    ds = softmax_backward(dy @ v.T, p) / scale
    return ds @ k, ds.T @ q, dv
"""

HEADS = """
def forward(q, k, v):
    s = q @ k.transpose(0, 2, 1) / 2.0
    return softmax(s) @ v

def backward(dy, q, k, v):
    p = softmax(q @ k.transpose(0, 2, 1) / 2.0)
    dv = p.transpose(0, 2, 1) @ dy
    dp = dy @ v.transpose(0, 2, 1)
    ds = softmax_backward(dp, p) / 2.0
    dq = ds @ k
    dk = ds.transpose(0, 2, 1) @ q
    return dq, dk, dv
"""

CONVOLUTION = """
def forward(x, w, b):
    size = len(x) - len(w) + 1
    y = np.zeros((size, w.shape[2]))
    for t in range(size):
        y[t] = np.tensordot(x[t : t + len(w)], w, axes=([0, 1], [0, 1])) + b
    return y

def backward(dy, x, w, b):
    dx = np.zeros_like(x)
    dw = np.zeros_like(w)
    for t in range(len(dy)):
        for j in range(len(w)):
            dx[t + j] += w[j] @ dy[t]
            dw[j] += np.outer(x[t + j], dy[t])
    return dx, dw, dy.sum(axis=0)
"""

GRU = """
def forward(x, h, wz, wr, wn):
    both = np.concatenate([x, h], axis=1)
    z = sigmoid(both @ wz)
    r = sigmoid(both @ wr)
    n = np.tanh(np.concatenate([x, r * h], axis=1) @ wn)
    return (1 - z) * n + z * h

def backward(dy, x, h, wz, wr, wn):
    both = np.concatenate([x, h], axis=1)
    z = sigmoid(both @ wz)
    r = sigmoid(both @ wr)
    gated = np.concatenate([x, r * h], axis=1)
    n = np.tanh(gated @ wn)
    size = x.shape[1]
    dn = dy * (1 - z) * (1 - n ** 2)
    dz = dy * (h - n) * z * (1 - z)
    dgated = dn @ wn.T
    dr = dgated[:, size:] * h * r * (1 - r)
    dboth = dz @ wz.T + dr @ wr.T
    dx = dboth[:, :size] + dgated[:, :size]
    dh = dboth[:, size:] + dgated[:, size:] * r + dy * z
    return dx, dh, both.T @ dz, both.T @ dr, gated.T @ dn
"""

RESIDUAL = """
def forward(x, w1, b1, w2):
    return x + np.tanh(x @ w1 + b1) @ w2

def backward(dy, x, w1, b1, w2):
    a = np.tanh(x @ w1 + b1)
    da = dy @ w2.T
    dz = da * (1 - a ** 2)
    dx = dy + dz @ w1.T
    return dx, x.T @ dz, dz.sum(axis=0), a.T @ dy
"""

LAYERNORM = """
def forward(x, gamma, beta):
    mean = x.mean(axis=1, keepdims=True)
    rstd = 1 / np.sqrt(x.var(axis=1, keepdims=True) + 1e-3)
    return np.sin((x - mean) * rstd * gamma + beta)

def backward(dy, x, gamma, beta):
    mean = x.mean(axis=1, keepdims=True)
    rstd = 1 / np.sqrt(x.var(axis=1, keepdims=True) + 1e-3)
    xhat = (x - mean) * rstd
    dz = dy * np.cos(xhat * gamma + beta)
    dxhat = dz * gamma
    inner = (dxhat * xhat).mean(axis=1, keepdims=True)
    dx = rstd * (dxhat - dxhat.mean(axis=1, keepdims=True) - xhat * inner)
    return dx, (dz * xhat).sum(axis=0), dz.sum(axis=0)
"""

EMBEDDING = """
def forward(table, w, words):
    return np.tanh(table[words]) @ w

def backward(dy, table, w, words):
    a = np.tanh(table[words])
    da = dy @ w.T * (1 - a ** 2)
    dtable = np.zeros_like(table)
    np.add.at(dtable, words, da)
    return dtable, a.T @ dy
"""

RECURRENT = """
def forward(x, h0, w, u):
    h = h0
    for t in range(len(x)):
        h = np.tanh(x[t] @ w + h @ u)
    return h

def backward(dy, x, h0, w, u):
    hs = [h0]
    for t in range(len(x)):
        hs.append(np.tanh(x[t] @ w + hs[t] @ u))
    dx, dw, du = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u)
    dh = dy
    for t in reversed(range(len(x))):
        dz = dh * (1 - hs[t + 1] ** 2)
        dx[t] = dz @ w.T
        dw += x[t].T @ dz
        du += hs[t].T @ dz
        dh = dz @ u.T
    return dx, dh, dw, du
"""

GATED = """
def forward(x, w, v):
    g = sigmoid(x @ v)
    return np.maximum(x @ w, 0) * g

def backward(dy, x, w, v):
    z = x @ w
    a = np.maximum(z, 0)
    g = sigmoid(x @ v)
    dz = dy * g * (z > 0)
    dg = dy * a * g * (1 - g)
    return dz @ w.T + dg @ v.T, x.T @ dz, x.T @ dg
"""

MEAN_LOSS = """
def forward(x, w, y):
    return ((np.tanh(x @ w) - y) ** 2).sum() / len(x)

def backward(dy, x, w, y):
    a = np.tanh(x @ w)
    da = dy * 2 * (a - y) / len(x)
    dz = da * (1 - a ** 2)
    return dz @ w.T, x.T @ dz, -da
"""

CAUSAL = """
def forward(x, wq, wk, wv):
    q, k, v = x @ wq, x @ wk, x @ wv
    s = q @ k.T
    s = np.where(np.tril(np.ones(s.shape)) > 0, s, -1e30)
    return softmax(s) @ v

def backward(dy, x, wq, wk, wv):
    q, k, v = x @ wq, x @ wk, x @ wv
    s = q @ k.T
    masked = np.where(np.tril(np.ones(s.shape)) > 0, s, -1e30)
    p = softmax(masked)
    dp = dy @ v.T
    ds = p * (dp - (dp * p).sum(axis=1, keepdims=True))
    dq, dk, dv = ds @ k, ds.T @ q, p.T @ dy
    dx = dq @ wq.T + dk @ wk.T + dv @ wv.T
    return dx, x.T @ dq, x.T @ dk, x.T @ dv
"""

STEPS = """
def states(x, w, u):
    h = np.zeros((x.shape[1], len(u)))
    found = [h]
    for row in x:
        h = np.tanh(row @ w + h @ u)
        found.append(h)
    return found

def forward(x, w, u):
    return np.stack(states(x, w, u)[1:])

def backward(dy, x, w, u):
    hs = states(x, w, u)
    dx, dw, du = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u)
    arriving = np.zeros_like(hs[0])
    for t in reversed(range(len(x))):
        dz = (dy[t] + arriving) * (1 - hs[t + 1] ** 2)
        dx[t] = dz @ w.T
        dw += x[t].T @ dz
        du += hs[t].T @ dz
        arriving = dz @ u.T
    return dx, dw, du
"""

SWISH = """
def forward(x, w, v):
    z = x @ w
    return z * sigmoid(z) * (x @ v)

def backward(dy, x, w, v):
    z, g = x @ w, x @ v
    s = sigmoid(z)
    dz = dy * g * (s + z * s * (1 - s))
    dg = dy * z * s
    return dz @ w.T + dg @ v.T, x.T @ dz, x.T @ dg
"""

ADAPTER = """
def forward(x, w, a, b):
    return x @ w + 0.25 * (x @ a) @ b

def backward(dy, x, w, a, b):
    d = 0.25 * dy
    dx = dy @ w.T + d @ b.T @ a.T
    return dx, x.T @ dy, x.T @ (d @ b.T), (x @ a).T @ d
"""

TIED = """
def forward(x, w, b):
    return np.tanh(x @ w + b) @ w.T

def backward(dy, x, w, b):
    h = np.tanh(x @ w + b)
    slope = 1 - h ** 2
    dz = dy @ w * slope
    dw = x.T @ dz + dy.T @ h
    return dz @ w.T, dw, dz.sum(axis=0)
"""

NORMALISED = """
def forward(x, w):
    r = 1 / np.sqrt(x.var(axis=1, keepdims=True) + 1e-3)
    return np.tanh((x - x.mean(axis=1, keepdims=True)) * r @ w.T)

def backward(dy, x, w):
    r = 1 / np.sqrt(x.var(axis=1, keepdims=True) + 1e-3)
    h = (x - x.mean(axis=1, keepdims=True)) * r
    dz = dy * (1 - np.tanh(h @ w.T) ** 2)
    d = dz @ w
    dx = r * (d - d.mean(axis=1, keepdims=True) - h * (d * h).mean(axis=1, keepdims=True))
    return dx, dz.T @ h
"""

FOCAL = """
def forward(x, w):
    p = sigmoid(x @ w)
    return -((1 - p) ** 2) * np.log(p)

def backward(dy, x, w):
    p = sigmoid(x @ w)
    slope = 2 * (1 - p) * np.log(p) - (1 - p) ** 2 / p
    dz = dy * slope * p * (1 - p)
    return dz @ w.T, x.T @ dz
"""

SHAPES: dict[str, tuple[str, dict[str, tuple[int, ...]]]] = {
    "attention": (ATTENTION, {"q": (4, 3), "k": (5, 3), "v": (5, 6)}),
    "heads": (HEADS, {"q": (2, 4, 4), "k": (2, 4, 4), "v": (2, 4, 4)}),
    "convolution": (CONVOLUTION, {"x": (7, 2), "w": (3, 2, 4), "b": (4,)}),
    "gru": (GRU, {"x": (4, 3), "h": (4, 3), "wz": (6, 3), "wr": (6, 3), "wn": (6, 3)}),
    "residual": (RESIDUAL, {"x": (5, 3), "w1": (3, 4), "b1": (4,), "w2": (4, 3)}),
    "layernorm": (LAYERNORM, {"x": (4, 5), "gamma": (5,), "beta": (5,)}),
    "embedding": (EMBEDDING, {"table": (5, 3), "w": (3, 4), "words": (7,)}),
    "recurrent": (RECURRENT, {"x": (4, 5, 3), "h0": (5, 4), "w": (3, 4), "u": (4, 4)}),
    "gated": (GATED, {"x": (5, 3), "w": (3, 4), "v": (3, 4)}),
    "causal": (CAUSAL, {"x": (4, 3), "wq": (3, 3), "wk": (3, 3), "wv": (3, 3)}),
    "steps": (STEPS, {"x": (4, 2, 3), "w": (3, 5), "u": (5, 5)}),
    "swish": (SWISH, {"x": (4, 3), "w": (3, 5), "v": (3, 5)}),
    "adapter": (ADAPTER, {"x": (5, 6), "w": (6, 4), "a": (6, 2), "b": (2, 4)}),
    "tied": (TIED, {"x": (4, 6), "w": (6, 3), "b": (3,)}),
    "normalised": (NORMALISED, {"x": (4, 5), "w": (3, 5)}),
    "focal": (FOCAL, {"x": (5, 3), "w": (3, 4)}),
    "loss": (MEAN_LOSS, {"x": (5, 3), "w": (3, 4), "y": (5, 4)}),
}


@dataclass(frozen=True)
class Planted:
    """One line of a right backward, spoilt.

    Attributes
    ----------
    right, wrong : what stands there, and what is put in its place.
    slugs : names of the mistake that are true.
    """

    pair: str
    right: str
    wrong: str
    slugs: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.pair}: {self.wrong.strip()}"


def planted(pair: str, *mistakes: tuple[str, str, str]) -> Iterator[Planted]:
    for right, wrong, slugs in mistakes:
        yield Planted(pair, right, wrong, tuple(slugs.split()))


def functions(pair: str, right: str = "", wrong: str = "") -> tuple[Callable, Callable, int]:
    """Forward, backward, and the line in which one text was replaced by the other."""
    forward, middle, backward = (HEAD + SHAPES[pair][0]).partition("def backward")
    text = forward + middle + backward
    line = 0
    if right:
        whole = text if right in HEAD else backward
        assert whole.count(right) == 1, right
        start = text.rindex(right)
        line = text[:start].count("\n") + 1
        text = text[:start] + wrong + text[start + len(right) :]
    name = f"composite_{next(NUMBER)}.py"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    namespace: dict = {}
    exec(compile(text, name, "exec"), namespace)
    return namespace["forward"], namespace["backward"], line


def inputs(pair: str, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    drawn = {name: rng.standard_normal(shape) for name, shape in SHAPES[pair][1].items()}
    if "words" in drawn:
        drawn["words"] = np.array([0, 3, 3, 1, 4, 0, 0])
    return drawn


ADDED = "np.add.at(dtable, words, da)"

PLANTED = [
    *planted(
        "attention",
        ("ds @ k,", "ds @ k * scale,", "scaled-by-constant chain-rule-factor-missing"),
        (" / scale\n    return", "\n    return", "scaled-by-constant chain-rule-factor-missing"),
        ("dy @ v.T, p", "dy @ v.T, dy @ v.T", "other-layers-values wrong-delta"),
        ("ds.T @ q", "ds.T @ (q / scale)", "chain-rule-factor-missing scaled-by-constant"),
        (
            "return p * (dp - (dp * p).sum(axis=-1, keepdims=True))",
            "return p * (dp - (dp * p).sum(axis=0, keepdims=True))",
            "bias-wrong-axis",
        ),
        (
            "return p * (dp - (dp * p).sum(axis=-1, keepdims=True))",
            "return p * (dp - dp.sum(axis=-1, keepdims=True))",
            "chain-rule-factor-missing",
        ),
        ("return p * (dp -", "return p * (dp +", "sign-flipped"),
        ("return p * (dp -", "return (dp -", "chain-rule-factor-missing"),
    ),
    *planted(
        "heads",
        ("dv = p.transpose(0, 2, 1) @ dy", "dv = p @ dy", "transposed"),
        ("ds.transpose(0, 2, 1) @ q", "ds @ q", "transposed"),
        ("dp = dy @ v.transpose(0, 2, 1)", "dp = dy @ v", "transposed"),
        ("dq = ds @ k", "dq = ds @ v", "wrong-weights"),
        ("dq = ds @ k", "dq = ds @ q", "wrong-weights"),
        ("return dq, dk", "return dk, dq", "swapped-gradients"),
        ("dp, p) / 2.0", "dp, p) / 4.0", "scaled-by-constant"),
    ),
    *planted(
        "convolution",
        ("dx[t + j] += w", "dx[t + j] = w", "overwrites-instead-of-accumulating"),
        ("dw[j] += np", "dw[j] = np", "overwrites-instead-of-accumulating"),
        ("range(len(dy))", "range(len(dy) - 1)", "tail-not-computed"),
        ("range(len(w))", "range(1, len(w))", "tail-not-computed"),
        ("np.outer(x[t + j]", "np.outer(x[t]", "other-layers-values tail-not-computed"),
        ("w[j] @ dy[t]", "w[-j] @ dy[t]", "sign-flipped permuted other-layers-values"),
        ("dy.sum(axis=0)", "dy.mean(axis=0)", "divided-by-batch-twice"),
    ),
    *planted(
        "gru",
        (" * (1 - n ** 2)", " * (1 - z ** 2)", "activation-derivative-at-output"),
        (" * (1 - n ** 2)", "", "activation-derivative-missing"),
        ("(h - n) * z", "(n - h) * z", "sign-flipped"),
        ("(h - n) * z", "(h - n) * n", "other-layers-values"),
        ("dr = dgated[:, size:] * h", "dr = dgated[:, size:]", "chain-rule-factor-missing"),
        ("dgated[:, size:] * r + dy", "dgated[:, size:] + dy", "chain-rule-factor-missing"),
        (" + dy * z", "", "path-missing"),
        (" + dr @ wr.T", " + dr @ wz.T", "wrong-weights"),
        ("dz @ wz.T + ", "", "path-missing"),
        ("gated.T @ dn", "both.T @ dn", "other-layers-values wrong-weights"),
        ("dn = dy * (1 - z)", "dn = dy * z", "other-layers-values"),
    ),
    *planted(
        "residual",
        ("dx = dy + dz", "dx = dz", "path-missing"),
        ("dx = dy + dz", "dx = dy - dz", "sign-flipped"),
        (" * (1 - a ** 2)", "", "activation-derivative-missing"),
        ("(1 - a ** 2)", "(1 - a)", "power-rule activation-derivative-formula"),
        ("a.T @ dy", "a.T @ dx", "wrong-delta other-layers-values"),
        ("dz.sum(axis=0)", "da.sum(axis=0)", "wrong-delta activation-derivative-missing"),
        ("dz.sum(axis=0)", "dz.sum(axis=0) / len(x)", "divided-by-batch-twice"),
        ("x.T @ dz", "x.T @ da", "wrong-delta activation-derivative-missing"),
        ("da = dy @", "da = np.clip(dy, -1, 1) @", "cotangent-clipped"),
        ("da = dy @", "da = dy * (dy > 0) @", "cotangent-masked"),
    ),
    *planted(
        "layernorm",
        ("dxhat = dz * gamma", "dxhat = dz", "batchnorm-gamma-missing chain-rule-factor-missing"),
        ("1e-3)\n    xhat", "1e-5)\n    xhat", "batchnorm-eps-mismatch"),
        ("* xhat).mean(axis=1", "* xhat).mean(axis=0", "bias-wrong-axis statistics-wrong-axis"),
        ("inner = (dxhat * xhat)", "inner = (dxhat * x)", "other-layers-values"),
        ("dx = rstd * (", "dx = (", "chain-rule-factor-missing batchnorm-terms-wrong"),
        ("(dz * xhat).sum", "(dz * x).sum", "other-layers-values batchnorm-parameter-gradient"),
        ("np.cos(xhat * gamma", "np.cos(x * gamma", "activation-derivative-at-output"),
        ("np.cos(xhat", "np.sin(xhat", "wrong-function-derivative"),
        ("keepdims=True) + 1e-3", "keepdims=True, ddof=1) + 1e-3", "batchnorm-unbiased-variance"),
    ),
    *planted(
        "embedding",
        (ADDED, "dtable[words] = da", "overwrites-instead-of-accumulating"),
        (ADDED, "dtable[words] += da", "overwrites-instead-of-accumulating"),
        (" * (1 - a ** 2)", "", "activation-derivative-missing"),
        ("da = dy @ w.T", "da = -dy @ w.T", "sign-flipped"),
    ),
    *planted(
        "recurrent",
        ("dw += x", "dw = x", "overwrites-instead-of-accumulating"),
        ("reversed(range(len(x)))", "range(len(x))", "layers-out-of-order"),
        ("hs[t + 1] ** 2", "hs[t] ** 2", "other-layers-values activation-derivative-at-output"),
        ("du += hs[t].T", "du += hs[t + 1].T", "other-layers-values"),
        ("dh = dz @ u.T", "dh = dz @ u", "transposed wrong-product wrong-weights"),
        ("dh = dz @ u.T", "dh = dh @ u.T", "wrong-delta"),
        ("dh = dz @ u.T", "dh = dh + dz @ u.T", "term-without-cotangent"),
    ),
    *planted(
        "gated",
        ("(z > 0)", "(dy > 0)", "cotangent-masked wrong-delta"),
        ("(z > 0)", "(z < 0)", "region-wrong"),
        ("(z > 0)", "(g > 0)", "activation-derivative-at-output"),
        ("dg = dy * a", "dg = dy * z", "other-layers-values"),
        (" + dg @ v.T", "", "path-missing"),
        (" * g * (1 - g)", " * (1 - g)", "chain-rule-factor-missing wrong-delta"),
        ("dy * g * (z > 0)", "dy * (z > 0)", "chain-rule-factor-missing"),
    ),
    *planted(
        "causal",
        ("softmax(masked)", "softmax(s)", "region-wrong other-layers-values"),
        ("softmax(masked)", "softmax(q @ k.T)", "region-wrong wrong-function-derivative"),
        ("p * (dp - (dp * p).sum(axis=1, keepdims=True))", "p * (1 - p) * dp",
         "softmax-jacobian-diagonal"),
        ("p * (dp - (dp * p).sum(axis=1, keepdims=True))", "p * dp", "softmax-jacobian-diagonal"),
        ("dk @ wk.T + ", "", "path-missing"),
    ),
    *planted(
        "steps",
        ("(dy[t] + arriving)", "dy[t]", "path-missing gradient-stops"),
        ("arriving = dz @ u.T", "pass", "gradient-stops"),
    ),
    *planted(
        "swish",
        ("(s + z * s * (1 - s))", "(z * s * (1 - s))", "product-rule-term-missing"),
        ("(s + z * s * (1 - s))", "s", "product-rule-term-missing"),
    ),
    *planted(
        "adapter",
        ("x.T @ (d @ b.T)", "x.T @ (dy @ b.T)", "scaled-by-constant"),
        (" + d @ b.T @ a.T", "", "path-missing"),
    ),
    *planted(
        "tied",
        (" + dy.T @ h", "", "path-missing"),
        ("dw = x.T @ dz", "dw = x.T @ (dz * slope)", "activation-derivative-twice"),
    ),
    *planted(
        "normalised",
        ("- d.mean(axis=1, keepdims=True) - h * (d * h).mean(axis=1",
         "- d.mean(axis=0, keepdims=True) - h * (d * h).mean(axis=0", "statistics-wrong-axis"),
    ),
    *planted(
        "focal",
        ("2 * (1 - p) * np.log(p) - (1 - p) ** 2 / p", "-(1 - p) ** 2 / p",
         "product-rule-term-missing"),
        ("2 * (1 - p) * np.log(p) - (1 - p) ** 2 / p", "2 * (1 - p) * np.log(p)",
         "product-rule-term-missing"),
    ),
    *planted(
        "loss",
        ("(a - y) / len(x)", "(a - y)", "scaled-by-batch"),
        ("* 2 * (a", "* (a", "scaled-by-constant"),
        ("(a - y)", "(a + y)", "sign-flipped"),
        ("x.T @ dz, -da", "x.T @ dz, da", "sign-flipped"),
        ("(a - y) / len(x)", "(a - y) / len(x) / len(x)", "divided-by-batch-twice"),
        ("(a - y) / len(x)", "(a - y) / y.size", "divided-by-batch-twice scaled-by-constant"),
    ),
]  # fmt: skip
