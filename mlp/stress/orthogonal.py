"""Orthogonal matrices, whose bits do not depend on a linear-algebra library."""

import math

import numpy as np

from kernels.jit import jit


def orthogonal(normals: np.ndarray) -> np.ndarray:
    """Columns, or rows where they are fewer, orthonormal, and uniformly so for entries from N(0, 1)
    (Saxe et al. 2014, arXiv:1312.6120): Q of a QR decomposition with a positive diagonal in R
    (Mezzadri 2007).
    """
    n_in, n_out = normals.shape
    vectors = np.array(normals if n_in <= n_out else normals.T, np.float64, order="C")
    orthonormalize(vectors)
    return vectors if n_in <= n_out else np.ascontiguousarray(vectors.T)


@jit
def orthonormalize(rows):
    """Gram and Schmidt, each row twice, which is enough (Giraud et al. 2005).

    LAPACK's bits depend on its number of threads, which executors choose; these do not.
    """
    for i in range(rows.shape[0]):
        for _ in range(2):
            for j in range(i):
                product = 0.0
                for k in range(rows.shape[1]):
                    product += rows[i, k] * rows[j, k]
                for k in range(rows.shape[1]):
                    rows[i, k] -= product * rows[j, k]
        square = 0.0
        for k in range(rows.shape[1]):
            square += rows[i, k] * rows[i, k]
        size = math.sqrt(square)
        for k in range(rows.shape[1]):
            rows[i, k] /= size
