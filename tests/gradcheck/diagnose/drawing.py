"""Numbers that the tests of a file draw, each from the same beginning (see conftest.py)."""

import numpy as np

RNG = np.random.default_rng(3)
START = RNG.bit_generator.state


def draw(*shape):
    return RNG.standard_normal(shape)
