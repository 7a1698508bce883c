"""What gradcheck itself raises while it names a mistake costs the name, and is told."""

import numpy as np
import pytest

from gradcheck import check, check_module, check_network, check_update, guard, update
from gradcheck.diagnose import scaling
from gradcheck.network import check as network_check
from gradcheck.network import mistakes, walk
from tests.gradcheck import layers
from tests.gradcheck.plants import PLANTS, planted

PLANT = next(iter(PLANTS))


def broken(*given):
    raise ZeroDivisionError("of a recogniser")
    yield


def of_a_function():
    x = np.random.default_rng(0).standard_normal((3, 4))
    return check(np.sin, lambda dy, x: (-dy * np.cos(x),), [x])


def of_a_module():
    layer = layers.Affine(np.random.default_rng(0), 3, 2)
    layer.backward = lambda dy: 2 * layers.Affine.backward(layer, dy)
    return check_module(layer, np.random.default_rng(1).standard_normal((4, 3)))


def of_a_network():
    style, edits, options, *_ = PLANTS[PLANT]
    return check_network(*planted(style, edits, **options))


def of_an_update():
    return check_update(lambda w, g: w + 0.1 * g, "gradient_descent", lr=0.1)


CASES = {
    "function": (of_a_function, scaling, "RECOGNISERS", (broken,)),
    "module": (of_a_module, scaling, "RECOGNISERS", (broken,)),
    "network, one guess": (of_a_network, mistakes, "path_mistakes", broken),
    "network, the walk": (of_a_network, walk.Walk, "run", lambda self: 1 // 0),
    "network, elsewhere": (of_a_network, network_check, "explain", lambda *given: 1 // 0),
    "network, its edits": (of_a_network, network_check, "mended", lambda *given: 1 // 0),
    "update": (of_an_update, update, "mutants", broken),
}


@pytest.mark.parametrize("name", CASES)
def test_the_report_stands(name, monkeypatch):
    run, holder, attribute, value = CASES[name]
    known = [(f.name, f.verdict) for f in run().findings]
    monkeypatch.setattr(guard, "RAISES", False)
    monkeypatch.setattr(holder, attribute, value)
    report = run()
    assert [(f.name, f.verdict) for f in report.findings] == known
    assert report.verdict == "fail"
    told = [note for note in report.notes if "gradcheck itself failed" in note]
    assert len(told) == 1
    assert "ZeroDivisionError" in told[0]


@pytest.mark.parametrize("name", CASES)
def test_the_tests_see_it(name, monkeypatch):
    run, holder, attribute, value = CASES[name]
    monkeypatch.setattr(holder, attribute, value)
    with pytest.raises(ZeroDivisionError):
        run()
