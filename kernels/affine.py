"""The affine map y = x·w + b."""

import numpy as np

from kernels.boundary import kernel_inlined
from kernels.gemm import matmul_bias, matmul_transpose_a, matmul_transpose_b, product
from kernels.jit import jit_inlined
from kernels.op import Op
from kernels.share import ALONE, LINE_ENTRIES, share


@kernel_inlined
def affine_forward(x, w, b, y):
    """y = x·w + b;  x (n, k), w (k, m), b (m,), y (n, m)."""
    matmul_bias(x, w, b, y)


@kernel_inlined
def affine_backward(dy, x, w, dx, dw, db):
    """dx = dy·wᵀ (n, k);  dw = xᵀ·dy (k, m);  db = Σₙ dy (m,).

    From dL = Σ dy·(dx·w + x·dw + db): each gradient is what its differential multiplies.
    """
    matmul_transpose_b(dy, w, dx, ALONE, product)
    matmul_transpose_a(x, dy, dw)
    affine_bias_backward(dy, db, ALONE)


@jit_inlined
def affine_bias_backward(dy, db, team):
    """db = Σₙ dy."""
    first, end = share(db.size, LINE_ENTRIES, team)
    for j in range(first, end):
        db[j] = 0
    for i in range(dy.shape[0]):
        for j in range(first, end):
            db[j] += dy[i, j]


affine = Op(
    forward=affine_forward,
    backward=affine_backward,
    signature="(n,k),(k,m),(m)->(n,m)",
    reference=lambda x, w, b: np.matmul(x, w) + b,
)
