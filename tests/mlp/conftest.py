"""Fixtures of the tests of training."""

import pytest

from mlp import training


@pytest.fixture(params=["one", "default", "all"])
def slices(request, monkeypatch):
    """Compiled calls of one step each, as they come, and of a whole epoch."""
    seconds = {"one": 0.0, "default": training.SLICE_SECONDS, "all": 1e9}[request.param]
    monkeypatch.setattr(training, "SLICE_SECONDS", seconds)
    return request.param
