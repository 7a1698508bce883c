"""What the tests of diagnoses share."""

import importlib

import pytest

from tests.gradcheck.diagnose.drawing import RNG, START


@pytest.fixture(autouse=True)
def same_numbers_for_each_test():
    RNG.bit_generator.state = START


@pytest.fixture
def without_repairs(monkeypatch):
    """The recognisers name a cause by themselves, whatever edits would mend."""
    monkeypatch.setattr(importlib.import_module("gradcheck.examine"), "repair", lambda evidence: [])


@pytest.fixture
def repairs_at_one_shape(shape, request):
    """Trying edits takes most of the time of a check, and the edits are the same at each shape."""
    if shape != (20, 3):
        request.getfixturevalue("without_repairs")
