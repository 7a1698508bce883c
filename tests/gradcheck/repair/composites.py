"""Mistakes planted in right pairs."""

import linecache
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np

from tests.gradcheck.repair.sources import HEAD, SHAPES

NUMBER = count()


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
        "rooted",
        (" - x * r * (d * x * r).mean(axis=1, keepdims=True)", "",
         "batchnorm-variance-term-missing batchnorm-statistics-constant"),
    ),
    *planted(
        "scored",
        (" + da[:, :, None] * v", "", "path-missing"),
        ("p[:, :, None] * dy[:, None, :] + da", "da", "path-missing"),
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
