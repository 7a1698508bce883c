"""The toy: its data, ours, and somebody else's implementation of it."""

import numpy as np
import pytest

from gradcheck import check_network, toy
from gradcheck.course import TargetError, build_toy, load
from gradcheck.reference import quantities, with_bars
from gradcheck.toycheck import run_toy
from mlp import MLP

HOMEWORK = "tests.gradcheck.homework"


def test_there_are_180_numbers():
    assert sum(case.count for _, case in toy.CASES) == 180
    assert [case.count for case in toy.BATCH] == [45, 45, 45]


def test_the_weights_come_from_their_seeds():
    for seed, weights in zip(toy.SEEDS, toy.WEIGHTS, strict=True):
        drawn = np.random.RandomState(seed).randint(-3, 7, size=weights.shape)
        np.testing.assert_array_equal(drawn, weights)


def test_the_gradients_start_from_softmax_minus_target():
    """db3 is dz, every unit being alive; with targets that do not sum to one it is p - y."""
    for case in toy.BATCH:
        z = case.published["output"]
        p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        np.testing.assert_array_equal(case.published["db3"], p - case.target[0])


def test_the_reference_gives_what_is_published():
    for _, case in toy.CASES:
        found = quantities(toy.WEIGHTS, "relu", 0, case.x, case.target, np.float64)
        for name, value in case.published.items():
            np.testing.assert_array_equal(found[name].reshape(value.shape), value)


def test_the_references_bar_covers_its_float64_run():
    for activation in ("relu", "sigmoid", "tanh"):
        for batchnorm in range(4):
            problem = (toy.WEIGHTS, activation, batchnorm, toy.BATCH_X, toy.BATCH_TARGETS)
            rounded = quantities(*problem, np.float64)
            for name, (value, bar) in with_bars(*problem).items():
                assert abs(rounded[name] - value).max() <= bar


def test_every_published_number_is_reproduced():
    result = run_toy()
    assert (result.matched, result.expected) == (180, 180)
    assert result.mismatches() == []
    assert result.verdict == "pass"


@pytest.mark.parametrize("phi", ["relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("batchnorm", [0, 1, 2, 3])
@pytest.mark.parametrize("target", ["mlp:MLP", f"{HOMEWORK}:MLP", f"{HOMEWORK}:IntegerMLP"])
def test_every_variant_agrees_with_the_reference(phi, batchnorm, target):
    result = run_toy(target, phi, batchnorm)
    assert result.verdict == "pass", result.mismatches()
    assert result.matched == result.expected
    if (phi, batchnorm) != ("relu", 0):
        assert not result.is_published
        assert result.differences


def test_a_sum_is_a_convention_not_a_mistake():
    result = run_toy(f"{HOMEWORK}:MLP", "tanh", 1)
    scales = {row.scale for row in result.rows if row.quantity.startswith(("dW", "grad"))}
    assert scales == {"sum over the batch"}


def test_a_planted_transpose_is_found_where_it_is():
    result = run_toy(f"{HOMEWORK}:TransposedMLP")
    assert result.verdict == "fail"
    assert {m["quantity"] for m in result.mismatches()} == {"dW2"}
    assert result.matched == 180 - 4 * 6


def test_the_toy_is_no_gradient_of_plain_cross_entropy():
    """-Σ y·log p has the gradient p·Σy - y: a check against it must fail."""
    net = build_toy("mlp:MLP")
    report = check_network(net, toy.BATCH_X, toy.BATCH_TARGETS)
    assert report
    normalised = toy.BATCH_TARGETS / toy.BATCH_TARGETS.sum(axis=1, keepdims=True)
    net.backward = lambda labels, backward=net.backward: backward(normalised)
    assert check_network(net, toy.BATCH_X, toy.BATCH_TARGETS).verdict == "fail"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere", "expected module:attribute"),
        (":MLP", "expected module:attribute"),
        ("no_such_module:MLP", "there is no module 'no_such_module'"),
        (".homework:MLP", "expected module:attribute"),
        (f"{HOMEWORK}:UnfinishedMLP", r"raised NotImplementedError: to do .*homework.py:\d+"),
        ("this_exits:MLP", "importing 'this_exits' raised SystemExit: 3"),
        ("mlp:Nothing", "module 'mlp' has no 'Nothing'"),
        ("gradcheck:check", "has no method 'forward'"),
        (f"{HOMEWORK}:HalfMLP", "has no method 'backward'"),
        ("gradcheck.toy:Sample", "has no method 'forward'"),
    ],
)
def test_targets_that_cannot_be(target, message, tmp_path, monkeypatch):
    (tmp_path / "this_exits.py").write_text("import sys; sys.exit(3)")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TargetError, match=message):
        run_toy(target)


def test_what_a_target_names_is_loaded():
    assert load("mlp:MLP") is MLP
