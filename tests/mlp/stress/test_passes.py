"""The toy's passes against published sizes, NumPy, and the recorder against plain statistics."""

import itertools
import json
import time

import numpy as np
import pytest

from gradcheck import toy as published
from mlp import MLP, stress
from mlp.stress import toy
from mlp.stress.remedies import fresh, untried, variant
from mlp.stress.report import passes_report
from mlp.stress.statistics import cosine, log2_statistics

SIZES = (1.5e3, 5.5e8, 5.5e19, 5.4e41, 5.3e85, 5.2e173)
"""Largest output of passes 1 to 6; pass 7 overflows."""


def combinations():
    for activation, dtype in itertools.product(("relu", "sigmoid", "tanh"), ("float32", "float64")):
        for which, batchnorm in (("single", False), ("batch", False), ("batch", True)):
            yield {"activation": activation, "dtype": dtype, "input": which, "batchnorm": batchnorm}


def test_toy_is_the_published_one():
    for ours, theirs in zip(toy.WEIGHTS, published.WEIGHTS, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(toy.INPUTS["single"], published.SINGLE.x)
    np.testing.assert_array_equal(toy.TARGETS["single"], published.SINGLE.target)
    np.testing.assert_array_equal(toy.INPUTS["batch"], published.BATCH_X)
    np.testing.assert_array_equal(toy.TARGETS["batch"], published.BATCH_TARGETS)
    assert toy.LEARNING_RATE == published.LEARNING_RATE


def test_toy_explodes_as_published():
    study = stress.run()
    found = 2.0 ** study.of("output", "log2_max")[:6, -1]
    assert [float(f"{value:.1e}") for value in found] == list(SIZES)
    assert study.overflow_pass == 7
    assert study.first_nonfinite.pass_number == 7
    assert (study.first_nonfinite.layer, study.first_nonfinite.tensor) == (3, "preactivation")
    assert stress.run(dtype="float32").overflow_pass == 4


def test_overflow_is_foreseen():
    for dtype, at in (("float32", 4), ("float64", 7)):
        study = stress.run(dtype=dtype)
        assert study.forecast_pass == at
        assert study.forecast_made_at == 2


@pytest.mark.parametrize(("name", "published"), [("sigmoid", 1e-5), ("tanh", 3e-11)])
def test_saturated_toy_stays_finite(name, published):
    """Flat from the first pass on: the first weights barely move, and nothing is foreseen."""
    study = stress.run(activation=name)
    assert study.overflow_pass is None
    assert study.forecast_pass is None
    assert study.series["saturated"][0, 0] == pytest.approx(1, abs=0.4)
    np.testing.assert_allclose(2.0 ** study.of("dW")[:, 0], published, rtol=0.5)
    assert study.series["log2_update_to_weight"][1:, 0].max() < -10
    assert study.series["dead"][:, 1].max() == 0


def test_series_are_those_of_numpy():
    """First pass of the toy's batch, every tensor by hand."""
    net, (x, y) = published_network(), (toy.INPUTS["batch"], toy.TARGETS["batch"])
    study = stress.run(input="batch", passes=1)
    net.forward(x)
    net.backward(y)
    for i, layer in enumerate(net.linear_layers):
        for name, array in (
            ("W", layer.W), ("dW", layer.dW), ("db", layer.db), ("dx", layer.dx),
            ("output", net.layer_outputs[i]),
        ):  # fmt: skip
            statistics = {
                "log2_norm": np.linalg.norm(array),
                "log2_max": np.abs(array).max(),
                "log2_mean_square": (array**2).mean(),
            }
            for statistic, value in statistics.items():
                found = study.of(name, statistic)[0, i]
                assert found == pytest.approx(np.log2(value), abs=1e-12), (name, i, statistic)
    assert study.series["loss"][0] == pytest.approx(net.total_loss(y) / 3)


@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_fractions_are_those_of_numpy(name, rng):
    """Of layers that become narrower, in the second pass as in the first."""
    net = MLP(4, 2, [9, 5], [name] * 3, lr=1e-3, weight_init_fn=lambda *s: 3 * rng.normal(size=s))
    x, y = rng.standard_normal((6, 4)), rng.integers(0, 2, 6)
    study = stress.run(net, x, y, passes=3)
    for i in range(3):
        net.forward(x)
        net.backward(y)
        slopes = [np.abs(activation.derivative()) for activation in net.activations]
        saturated = [(slope < 0.01).mean() for slope in slopes]
        np.testing.assert_array_equal(study.series["saturated"][i], saturated)
        dead = [(slope == 0).all(axis=0).mean() for slope in slopes]
        np.testing.assert_array_equal(study.series["dead"][i], dead)
        net.step()


def published_network():
    weights = iter(published.WEIGHTS)
    return MLP(2, 2, [3, 3], ["relu"] * 3, lambda n_in, n_out: next(weights))


@pytest.mark.parametrize("exponent", [-1070, -1022, -600, 0, 600, 1020])
def test_statistics_neither_overflow_nor_underflow(exponent, rng):
    values = np.ldexp(np.round(rng.uniform(-1, 1, 50), 3), exponent)
    values[0] = np.ldexp(1.0, exponent)
    exact = np.ldexp(values, -exponent) if exponent < 0 else values / 2.0**exponent
    found = np.empty(3)
    log2_statistics(values, found)
    expected = [
        np.log2(np.linalg.norm(exact)) + exponent,
        exponent,
        np.log2((exact**2).mean()) + 2 * exponent,
    ]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert cosine(values, -values) == pytest.approx(-1)


def test_statistics_of_zeros_and_the_infinite():
    found = np.empty(3)
    for value, expected in ((0.0, -np.inf), (np.inf, np.inf), (np.nan, np.nan)):
        log2_statistics(np.array([0.0, value]), found)
        np.testing.assert_array_equal(found, expected)


def test_network_stays_as_it_is(rng):
    net, x, y = MLP(3, 2, [4]), rng.standard_normal((5, 3)), rng.integers(0, 2, 5)
    before = net.params.copy()
    study = stress.run(net, x, y, passes=3, lr=0.1)
    np.testing.assert_array_equal(net.params, before)
    assert study.passes == 3
    assert study.settings["lr"] == 0.1


@pytest.mark.parametrize("settings", list(combinations()), ids=str)
def test_study_survives_json(settings):
    study = stress.run(**settings)
    text = json.dumps(study.to_dict(), allow_nan=False)
    again = stress.Study.from_dict(json.loads(text))
    assert again.to_dict() == study.to_dict()
    for name, values in study.series.items():
        np.testing.assert_array_equal(again.series[name], values)
        assert again.series[name].dtype == np.float64


@pytest.mark.compiled
def test_every_combination_is_quick():
    """Thirty passes of each take 0.1 s together, and a third of that where nobody else works."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        for settings in combinations():
            stress.run(**settings)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.1


def test_remedies_help():
    study = stress.run(remedies=True, input="batch")
    assert [r.name for r in study.remedies] == [
        "initialisation", "learning rate", "clipping", "batchnorm",
    ]  # fmt: skip
    fresh_start, *others = study.remedies
    assert all(remedy.helps for remedy in others)
    assert fresh_start.overflow_pass == 25  # another start only puts it off
    assert untried(study) is None
    assert stress.run(activation="tanh", remedies=True).remedies == []


def test_batchnorm_is_no_remedy_for_one_sample():
    study = stress.run(remedies=True)
    assert "batchnorm" not in [remedy.name for remedy in study.remedies]
    text = passes_report(study, stress.run(dtype="float32"))
    assert "batchnorm: not tried: batchnorm needs two samples" in text


def test_remedies_keep_the_other_settings():
    net = MLP(2, 2, [3], lr=0.5, weight_decay=0.25, max_norm=7.0, momentum=0.5)
    for again in (variant(net), fresh(net)):
        assert (again.lr, again.weight_decay, again.max_norm, again.momentum) == (0.5, 0.25, 7, 0.5)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"passes": 0}, ValueError, "run: passes is 0, expected at least 1"),
        ({"activation": "rellu"}, ValueError, r"did you mean 'relu'\?"),
        ({"input": "both"}, ValueError, "run: input is 'both', expected one of single, batch"),
        ({"batchnorm": True}, ValueError, "run: input is 'single', expected 'batch' with batch"),
        ({"dtype": "float16"}, TypeError, "run: dtype is 'float16', expected float32 or float64"),
    ],
)
def test_bad_settings(settings, error, message):
    with pytest.raises(error, match=message):
        stress.run(**settings)


NET, X, Y = MLP(2, 2, [3]), np.ones((4, 2)), np.array([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("given", "settings", "error", "message"),
    [
        ((NET,), {}, TypeError, "a network without inputs and targets"),
        ((NET, X), {}, TypeError, "a network without inputs and targets"),
        ((None, X, Y), {}, TypeError, "inputs or targets without a network"),
        (("net", X, Y), {}, TypeError, "network is 'net', expected an MLP"),
        ((NET, X[:0], Y[:0]), {}, ValueError, "inputs has 0 rows, expected at least 1"),
        ((NET, X, Y), {"activation": "tanh"}, ValueError, "activation is a setting of the toy"),
    ],
)
def test_bad_networks(given, settings, error, message):
    with pytest.raises(error, match=message):
        stress.run(*given, **settings)
