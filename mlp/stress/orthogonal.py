"""Random orthogonal matrices, whose bits do not depend on a linear-algebra library."""

import math

import numpy as np

from kernels.jit import jit_as_written


def orthogonal(rng: np.random.Generator, n_in: int, n_out: int) -> np.ndarray:
    """Columns, or rows where they are fewer, orthonormal and uniformly so (Saxe et al. 2014,
    arXiv:1312.6120): QR of a normal matrix, with a positive diagonal in R.
    """
    vectors = rng.normal(size=(min(n_in, n_out), max(n_in, n_out)))
    orthonormalize(vectors)
    return vectors if n_in <= n_out else np.ascontiguousarray(vectors.T)


@jit_as_written
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
