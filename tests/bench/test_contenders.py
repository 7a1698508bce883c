"""The networks, the peers' equality, the interleaving, and a run of it all."""

from dataclasses import replace

import numpy as np
import pytest

from bench import __main__ as command
from bench import field, products
from bench.contender import Contender
from bench.networks import GRID_BATCHES, STEPS, Network, Problem, grid, layers
from bench.peers import by_hand, ours
from bench.results import Results
from bench.timing import QUICK, Budget, calls_per_round, interleave, timed

pytestmark = pytest.mark.compiled


def test_sixty_points():
    points = grid()
    assert len({point.name for point in points}) == len(points) == 60
    assert min(p.batch for p in points if p.batchnorm) == 4
    assert {p.batch for p in points if not p.batchnorm} == set(GRID_BATCHES)


def test_flop_are_those_that_training_needs():
    # 3·2 forward and back through 2-3-2 at batch 5, but no gradient of the input
    assert Network("n", (2, 3, 2), 5, "relu").flop == 2 * 5 * (2 * 6 + 3 * 6)


def test_widths_are_written_short():
    assert layers((64,) * 50 + (10,)) == "64×50-10"
    assert layers((8, 64, 64, 4)) == "8-64-64-4"


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("peer", [ours, by_hand], ids=["ours", "NumPy"])
def test_contenders_compute_the_same(name, peer):
    network = STEPS[name]
    smaller = replace(network, widths=tuple(min(width, 48) for width in network.widths))
    problem = Problem(smaller)
    for contender in peer.variants(problem):
        field.verify(contender, problem)


@pytest.mark.parametrize("name", ["rl", "tabular"])
@pytest.mark.parametrize("kind", [0, -1], ids=["a weight", "a bias or beta"])
def test_a_contender_that_is_wrong_by_a_hundredth_is_refused(name, kind):
    problem = Problem(STEPS[name])
    right = by_hand.variants(problem)[0]

    def parameters():
        values = right.parameters()
        values[kind] += 0.01 * (values[kind] - problem.parameters[kind])
        return values

    with pytest.raises(field.DifferentError, match="parameter"):
        field.verify(replace(right, parameters=parameters), problem)


def test_a_peer_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn", None)
    monkeypatch.delitem(__import__("sys").modules, "bench.peers.scikit", raising=False)
    found, notes = field.load(("by_hand", "scikit"))
    assert found == [by_hand]
    assert notes == ["scikit-learn is left out: sklearn is not installed"]


def test_turns_are_interleaved_in_changing_order():
    order = []

    def prepare(name):
        if order[-1:] != [name]:
            order.append(name)

    entrants = [
        replace(timed(name, lambda: None), prepare=lambda name=name: prepare(name))
        for name in "abc"
    ]
    assert set(interleave(entrants, Budget(seconds=5, most=30, least=30))) == set("abc")
    followed = set(zip(order[3:], order[4:], strict=False))
    assert followed >= {(a, b) for a in "abc" for b in "abc" if a != b}


def test_a_step_in_a_loop_is_a_share_of_the_call():
    work = np.ones(200_000)
    one, ten = timed("one", work.sum), timed("ten", work.sum, steps=10)
    result = interleave([one, ten], Budget(seconds=0.2, most=9, least=5))
    assert 5 < result["one"].low / result["ten"].high < 20 or (
        5 < result["one"].median / result["ten"].median < 20
    )


def test_a_turn_holds_many_short_calls():
    assert calls_per_round(timed("nothing", lambda: None), seconds=0.001) > 100


def test_the_fastest_variant_is_chosen():
    work = np.ones(100_000)
    slow, fast = timed("", lambda: work.cumsum(), 1), timed("", lambda: None, 1)
    slow.variant, fast.variant = "slow", "fast"
    assert field.fastest([slow, fast], QUICK).variant == "fast"


def test_parameters_that_are_not_finite_are_seen():
    bad = Contender("bad", lambda: None, lambda: [np.array([1.0, np.nan])])
    assert not field.all_finite([bad])


def test_a_quick_run_of_one_network(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "hold_to", lambda threads: None)  # not the test's own process
    monkeypatch.setattr(field, "PEERS", ("by_hand",))
    monkeypatch.setattr(field.load, "__defaults__", (("by_hand",), 1))
    path = tmp_path / "results.json"
    assert command.main(["steps", "--quick", "--only", "rl", "--json", str(path)]) == 0
    (row,) = Results.load(path).sections["steps"]
    assert set(row.times) == {"backproof", "NumPy"}
    assert "A training step from Python" in capsys.readouterr().out


@pytest.mark.parametrize("form", products.FORMS)
def test_both_compute_the_same_product(form):
    row = products.row(form, "float64", 5, QUICK)  # which compares them before it times them
    assert set(row.times) == {"backproof", "NumPy"}


def test_an_unknown_section_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.arguments(["step"])
    assert "no section step" in capsys.readouterr().err
