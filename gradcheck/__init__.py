"""Gradient checking with an error bar and a verdict. Imports NumPy alone.

>>> import numpy as np
>>> from gradcheck import check
>>> x = np.linspace(0.1, 1.0, 4)
>>> report = check(np.sin, lambda dy, x: (dy * np.cos(x),), [x], names=["x"])
>>> report.verdict
'pass'
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradcheck.check import check, check_gradient
    from gradcheck.module import check_module
    from gradcheck.network import check_network
    from gradcheck.pair import pair
    from gradcheck.update import check_step, check_update
    from gradcheck.verdict import FAIL, INCONCLUSIVE, PASS, Cause, Detail, Finding, Report

__all__ = [
    "FAIL", "INCONCLUSIVE", "PASS", "Cause", "Detail", "Finding", "Report", "check",
    "check_gradient", "check_module", "check_network", "check_step", "check_update",
    "pair",
]  # fmt: skip

HOMES = {
    "check": "check",
    "check_gradient": "check",
    "check_module": "module",
    "check_network": "network",
    "check_step": "update",
    "check_update": "update",
    "pair": "pair",
}
"""The module of each public name; "verdict" for the others."""


def __getattr__(name: str) -> Any:
    """Imported when first asked for: pytest loads the plugin, and this file, with every run."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{HOMES.get(name, 'verdict')}"), name)
    globals()[name] = value
    return value


class Package(ModuleType):
    """A package whose attribute `check` is the function, not the module of the same name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = Package
