"""Gradient explosion across passes and layers: measured, predicted, explained.

>>> from mlp import stress
>>> stress.run(passes=30).overflow_pass
7
"""

from mlp.stress.depth import depth
from mlp.stress.growth import DepthStudy
from mlp.stress.passes import run
from mlp.stress.series import NonFinite, Remedy, Study

__all__ = ["DepthStudy", "NonFinite", "Remedy", "Study", "depth", "run"]
