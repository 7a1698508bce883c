"""What recognisers say is ranked; one that fails costs nothing but what it would have said."""

import importlib

import numpy as np
import pytest

from gradcheck import check, guard

module = importlib.import_module("gradcheck.diagnose.diagnose")


def broken(evidence, i):
    raise ZeroDivisionError("of a recogniser")
    yield


def test_a_recogniser_that_fails_costs_no_verdict(rng, monkeypatch):
    family = type("Family", (), {"RECOGNISERS": (broken,)})
    monkeypatch.setattr(module, "FAMILIES", (family, *module.FAMILIES))
    monkeypatch.setattr(guard, "RAISES", False)
    report = check(np.sin, lambda dy, x: (-dy * np.cos(x),), [rng.standard_normal((3, 4))])
    assert report.verdict == "fail"
    assert report.causes[0].slug == "sign-flipped"
    assert "ZeroDivisionError: of a recogniser (test_diagnose.py:" in " ".join(report.notes)


def test_the_tests_see_it(rng, monkeypatch):
    family = type("Family", (), {"RECOGNISERS": (broken,)})
    monkeypatch.setattr(module, "FAMILIES", (family,))
    with pytest.raises(ZeroDivisionError):
        check(np.sin, lambda dy, x: (-dy * np.cos(x),), [rng.standard_normal((3, 4))])
