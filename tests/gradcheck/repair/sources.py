"""Right pairs that no list of operations knows, as text, with the shapes of their inputs."""

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

ROOTED = """
def forward(x, g):
    r = 1 / np.sqrt((x ** 2).mean(axis=1, keepdims=True) + 1e-3)
    return np.tanh(x * r * g)

def backward(dy, x, g):
    r = 1 / np.sqrt((x ** 2).mean(axis=1, keepdims=True) + 1e-3)
    dz = dy * (1 - np.tanh(x * r * g) ** 2)
    d = dz * g
    dx = r * (d - x * r * (d * x * r).mean(axis=1, keepdims=True))
    return dx, (dz * x * r).sum(axis=0)
"""

SCORED = """
def forward(x, v):
    p = softmax(x @ v)
    return (p[:, :, None] * x).sum(axis=1)

def backward(dy, x, v):
    p = softmax(x @ v)
    dp = (dy[:, None, :] * x).sum(axis=2)
    da = p * (dp - (p * dp).sum(axis=1, keepdims=True))
    dx = p[:, :, None] * dy[:, None, :] + da[:, :, None] * v
    return dx, (da[:, :, None] * x).sum(axis=(0, 1))
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
    "rooted": (ROOTED, {"x": (4, 5), "g": (5,)}),
    "scored": (SCORED, {"x": (3, 4, 5), "v": (5,)}),
    "focal": (FOCAL, {"x": (5, 3), "w": (3, 4)}),
    "loss": (MEAN_LOSS, {"x": (5, 3), "w": (3, 4), "y": (5, 4)}),
}
