"""What all tests of the checker share."""

import importlib

import pytest


@pytest.fixture(autouse=True)
def recognisers_raise(monkeypatch):
    """An error in a recogniser, which a user must not see, is one for the tests."""
    module = importlib.import_module("gradcheck.diagnose.diagnose")
    monkeypatch.setattr(module, "RAISES", True)
