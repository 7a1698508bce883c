"""The runner and the peers, on small parts of the catalogue."""

import json

import numpy as np
import pytest

from gradcheck.__main__ import main
from gradcheck.catalogue import peers
from gradcheck.catalogue.case import Bug, Pair, Right
from gradcheck.catalogue.run import Tally, run_all, run_catalogue, text_of


def pair(slope):
    def make(rng):
        return Pair(np.sin, lambda dy, x: slope * dy * np.cos(x), [rng.standard_normal(4)], ("x",))

    return make


GOOD, BAD = Right("sin", "sines", pair(1)), Bug("−cos", "sines", pair(-1), ("sign-flipped",))


def tally(planted, correct):
    return Tally(run_all(planted, 0), run_all(correct, 0))


def test_a_bug_is_caught_and_named_and_a_right_function_passes():
    found = tally([BAD], [GOOD])
    assert (found.caught, found.first, found.near_the_top) == (1, 1, 1)
    assert found.false_alarms == []
    assert found.is_perfect


def test_what_is_missed_or_alarmed_is_listed_by_name():
    missed = Bug("not wrong", "sines", pair(1), ("sign-flipped",))
    alarmed = Right("not right", "sines", pair(-1))
    found = tally([missed], [alarmed])
    text = text_of(found, 0.0, 0)
    assert not found.is_perfect
    assert "sines: not wrong: pass; expected sign-flipped, got nothing" in text
    assert "sines: not right: fail" in text


def test_what_the_checker_raises_is_an_outcome():
    def broken(rng):
        raise RuntimeError("no problem here")

    found = tally([], [Right("broken", "sines", broken)])
    assert [o.note for o in found.false_alarms] == ["RuntimeError: no problem here"]


def test_the_same_seed_gives_the_same_answers():
    first, second = (run_catalogue(3, "leaky relu") for _ in range(2))
    assert [(o.verdict, o.causes) for o in first.bugs] == [
        (o.verdict, o.causes) for o in second.bugs
    ]


def test_command_prints_counts(capsys):
    main(["catalogue", "--only", "sin"])
    out = capsys.readouterr()
    assert "planted bugs caught      3 of 3 (100.0 %)" in out.out
    assert out.err == ""  # a bar on terminals only


def test_command_gives_json(capsys):
    main(["catalogue", "--only", "sin", "--json", "--seed", "1"])
    document = json.loads(capsys.readouterr().out)
    assert (document["seed"], document["bugs"], document["caught"]) == (1, 3, 3)


def test_an_unknown_cause_is_a_usage_error(capsys):
    assert main(["catalogue", "--only", "no-such-cause"]) == 2
    assert "no-such-cause" in capsys.readouterr().err


@pytest.mark.parametrize("peer", peers.PEERS, ids=lambda peer: peer.name)
def test_peers_tell_a_right_from_a_wrong_gradient(peer):
    pytest.importorskip(peer.package)
    assert peers.ask(peer, GOOD, 0) == peers.ACCEPTED
    assert peers.ask(peer, BAD, 0) == peers.REFUSED


def test_a_layer_is_nothing_that_a_peer_can_express():
    layer = next(o.case for o in run_catalogue(0, "parameter-modified").bugs)
    assert peers.ask(peers.PEERS[0], layer, 0) == peers.CANNOT
