"""What people do wrong at each step of a backward, as formulas that can be tried.

Each module is one kind of step. A path mistake changes the gradient that is passed on; an
array mistake changes one gradient that is kept, and passes on the right one.
"""

from gradcheck.network.mistakes.activation import activation_paths
from gradcheck.network.mistakes.batchnorm import batchnorm_arrays, batchnorm_paths
from gradcheck.network.mistakes.general import array_mistakes, path_mistakes
from gradcheck.network.mistakes.linear import linear_arrays, linear_paths
from gradcheck.network.mistakes.loss import loss_paths
from gradcheck.network.mistakes.scene import Guess, Mistake, Scene

__all__ = [
    "Guess", "Mistake", "Scene", "activation_paths", "array_mistakes", "batchnorm_arrays",
    "batchnorm_paths", "linear_arrays", "linear_paths", "loss_paths", "path_mistakes",
]  # fmt: skip
