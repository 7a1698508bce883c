"""Forward and backward of every operation, compiled with Numba.

>>> import numpy as np, kernels
>>> x, w, b = np.array([[4.0, 3.0]]), np.eye(2), np.zeros(2)
>>> kernels.affine_forward(x, w, b)
array([[4., 3.]])

Called from Python, a kernel checks its arguments and allocates the outputs that are left
out. Named inside `@njit` code it is the compiled loop: every array is passed, nothing is
checked. `OPS` is the table of operations.
"""

from typing import TYPE_CHECKING

from kernels import activation, affine, batchnorm, loss, update
from kernels.boundary import Hyper, Kernel, kernel
from kernels.op import OPS, Op

__all__ = ["OPS", "Hyper", "Kernel", "Op", "kernel"]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Kernel: ...


for _op in OPS.values():
    for _kernel in filter(None, (_op.forward, _op.backward)):
        globals()[_kernel.__name__] = _kernel
        __all__ += [_kernel.__name__]
