"""A C function called through ctypes, checked by gradcheck in float64 and float32.

`called` picks the C function by the dtype of what it is given. So a check in float32 takes sharp
differences, of the float64 function, and judges the float32 gradient by them.
"""

import ctypes
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gradcheck import Report, check

SOURCE = """
#include <math.h>

#define SOFTPLUS(REAL, NAME, EXP, LOG1P)                                              \\
    void NAME##_forward(const REAL *x, REAL *y, long n) {                             \\
        for (long i = 0; i < n; i++)                                                  \\
            y[i] = (x[i] > 0 ? x[i] : 0) + LOG1P(EXP(x[i] > 0 ? -x[i] : x[i]));       \\
    }                                                                                 \\
    void NAME##_backward(const REAL *dy, const REAL *x, REAL *dx, long n) {           \\
        for (long i = 0; i < n; i++) dx[i] = dy[i] / (1 + EXP(-x[i]));                \\
    }                                                                                 \\
    void NAME##_mistaken(const REAL *dy, const REAL *x, REAL *dx, long n) {           \\
        for (long i = 0; i < n / 4 * 4; i++) dx[i] = dy[i] / (1 + EXP(-x[i]));        \\
        for (long i = n / 4 * 4; i < n; i++) dx[i] = 0; /* the tail is forgotten */   \\
    }

SOFTPLUS(double, softplus64, exp, log1p)
SOFTPLUS(float, softplus32, expf, log1pf)
"""

COMPILERS = ("cc", "gcc", "clang")

NAMES = {np.dtype(np.float64): "softplus64", np.dtype(np.float32): "softplus32"}


def compiler() -> str | None:
    """The C compiler of this machine, if there is one."""
    return next((path for name in COMPILERS if (path := shutil.which(name))), None)


def compiled(folder: Path) -> ctypes.CDLL:
    """The library, built in `folder`."""
    source, library = folder / "softplus.c", folder / "softplus.so"
    source.write_text(SOURCE)
    command = [str(compiler()), "-O2", "-shared", "-fPIC", str(source), "-o", str(library), "-lm"]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(library))


def called(library: ctypes.CDLL, suffix: str) -> Callable[..., np.ndarray]:
    """The C function as one of arrays: it writes its last argument, which is returned."""

    def function(*arrays: np.ndarray) -> np.ndarray:
        given = [np.ascontiguousarray(array) for array in arrays]
        result = np.empty_like(given[0])
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (*given, result)]
        c_function = getattr(library, NAMES[result.dtype] + suffix)
        c_function(*pointers, ctypes.c_long(result.size))
        return result

    return function


def reports(library: ctypes.CDLL) -> list[Report]:
    """Right and mistaken, in both precisions."""
    forward = called(library, "_forward")
    x = np.random.default_rng(0).standard_normal(11)
    return [
        check(
            forward,
            called(library, suffix),
            [x.astype(dtype)],
            names=["x"],
            title=f"softplus{suffix} {dtype}",
        )
        for dtype in NAMES
        for suffix in ("_backward", "_mistaken")
    ]


def main() -> int:
    """Print the reports."""
    if compiler() is None:
        print(f"no C compiler was found: none of {', '.join(COMPILERS)}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        for report in reports(compiled(Path(folder))):
            report.print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
