"""The affine map y = x·w + b."""

import numpy as np

from kernels.boundary import kernel_inlined
from kernels.gemm import matmul_bias, matmul_transpose_a, matmul_transpose_b
from kernels.jit import jit_inlined
from kernels.op import Op


@kernel_inlined
def affine_forward(x, w, b, y):
    """y = x·w + b;  x (n, k), w (k, m), b (m,), y (n, m)."""
    matmul_bias(x, w, b, y)


@kernel_inlined
def affine_backward(dy, x, w, dx, dw, db):
    """dx = dy·wᵀ (n, k);  dw = xᵀ·dy (k, m);  db = Σₙ dy (m,).

    From dL = Σ dy·(dx·w + x·dw + db): each gradient is what its differential multiplies.
    """
    affine_input_backward(dy, w, dx)
    affine_parameters_backward(dy, x, dw, db)


@jit_inlined
def affine_input_backward(dy, w, dx):
    """dx = dy·wᵀ."""
    matmul_transpose_b(dy, w, dx)


@jit_inlined
def affine_parameters_backward(dy, x, dw, db):
    """dw = xᵀ·dy;  db = Σₙ dy."""
    matmul_transpose_a(x, dy, dw)
    for j in range(dy.shape[1]):
        db[j] = 0
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            db[j] += dy[i, j]


affine = Op(
    forward=affine_forward,
    backward=affine_backward,
    signature="(n,k),(k,m),(m)->(n,m)",
    reference=lambda x, w, b: np.matmul(x, w) + b,
)
