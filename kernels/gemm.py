"""The matrix product, in the three forms that an affine layer needs.

Plain loops, ordered so that the innermost one runs along contiguous memory.
"""

from kernels.jit import jit


@jit
def matmul_bias(a, b, bias, c):
    """c = a @ b + bias;  a (n, k), b (k, m), bias (m,), c (n, m)."""
    n, k, m = a.shape[0], a.shape[1], b.shape[1]
    for i in range(n):
        for j in range(m):
            c[i, j] = bias[j]
        for p in range(k):
            factor = a[i, p]
            for j in range(m):
                c[i, j] += factor * b[p, j]


@jit
def matmul_transpose_a(a, b, c):
    """c = aᵀ @ b;  a (n, k), b (n, m), c (k, m)."""
    n, k, m = a.shape[0], a.shape[1], b.shape[1]
    for p in range(k):
        for j in range(m):
            c[p, j] = 0
        for i in range(n):
            factor = a[i, p]
            for j in range(m):
                c[p, j] += factor * b[i, j]


@jit
def matmul_transpose_b(a, b, c):
    """c = a @ bᵀ;  a (n, m), b (k, m), c (n, k)."""
    n, m, k = a.shape[0], a.shape[1], b.shape[0]
    for i in range(n):
        for p in range(k):
            total = a.dtype.type(0)
            for j in range(m):
                total += a[i, j] * b[p, j]
            c[i, p] = total
