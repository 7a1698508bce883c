"""Fixtures that generate cases from the table of operations."""

import numpy as np
import pytest
from numba import config

from kernels import OPS

COMPILED = not config.DISABLE_JIT


def pytest_collection_modifyitems(config, items):
    if not COMPILED:
        chosen = [item for item in items if "compiled" not in item.keywords]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen
    # Of two processes with half of the tests each, one compiles nearly everything that way; the
    # other begins with what is plain NumPy.
    items.sort(key=lambda item: not item.nodeid.startswith("tests/gradcheck/"))


def pytest_generate_tests(metafunc):
    if "op" in metafunc.fixturenames:
        metafunc.parametrize("op", OPS.values(), ids=list(OPS))
    if "differentiable" in metafunc.fixturenames:
        ops = [op for op in OPS.values() if op.backward is not None]
        metafunc.parametrize("differentiable", ops, ids=[op.name for op in ops])
    if "elementwise" in metafunc.fixturenames:
        ops = [op for op in OPS.values() if op.is_elementwise]
        metafunc.parametrize("elementwise", ops, ids=[op.name for op in ops])
    if "activation" in metafunc.fixturenames:
        ops = [op for op in OPS.values() if op.is_elementwise and op.backward is not None]
        metafunc.parametrize("activation", ops, ids=[op.name for op in ops])
    if "dtype" in metafunc.fixturenames:
        metafunc.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(20 if metafunc.config.getoption("thorough") else 3))


@pytest.fixture
def rng():
    return np.random.default_rng(20261122)
