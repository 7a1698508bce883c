"""mpiexec -n 2 python mpi_sweep.py OUT: the grid of test_executors on mpi4py's workers."""

import sys

from mpi4py.futures import MPIPoolExecutor

from mlp.stress.grid import Grid
from mlp.stress.sweep import sweep

if __name__ == "__main__":
    grid = Grid(init=("he", "orthogonal", "scaled:2:0.3"), activation=("relu", "tanh"),
                normalization=("none", "batchnorm"), depth=(1, 4), width=(8,), seeds=2,
                passes=4, batch=4)  # fmt: skip
    with MPIPoolExecutor() as executor:
        print(sweep(grid, sys.argv[1], executor=executor))
