"""Growth with depth against NumPy in float64, the theory, and numbers beyond every exponent."""

import json
import math
import sys

import numpy as np
import pytest

from mlp.stress import DepthStudy, depth, theory
from mlp.stress.depth import GRADIENT_STREAM, INPUT_STREAM
from mlp.stress.draws import as_draw
from mlp.stress.interval import mean_interval, t_quantile
from mlp.stress.normals import layer_keys, normal, seed_keys

pytestmark = pytest.mark.compiled  # as plain Python it takes minutes


@pytest.mark.parametrize(
    ("init", "name", "batch", "layers"),
    [("he", "relu", 1, 4), ("normal:0.3", "tanh", 3, 4), ("xavier", "gelu", 1, 4),
     ("toy", "leaky_relu", 2, 4), ("uniform", "sigmoid", 1, 4), ("orthogonal", "identity", 1, 4),
     ("normal:3", "elu", 1, 40), ("normal:3", "gelu", 2, 40), ("normal:0.01", "silu", 1, 30)],
)  # fmt: skip
def test_is_numpy(init, name, batch, layers):
    """The same weights, forward and back in float64; deep ones leave the range of float32."""
    study = depth(layers, 20, init=init, activation=name, seeds=1, first_seed=9, batch=batch)
    keys, phi = seed_keys(9), theory.activation(name)
    y = normal(layer_keys(*keys, INPUT_STREAM), (batch, 20)).astype(np.float64)
    ws, zs = np.empty((layers, 20, 20), np.float32), []
    for i, w in enumerate(ws):
        as_draw(init).fill(layer_keys(*keys, i), w)
        zs.append(y @ w.astype(np.float64))
        y = phi.value(zs[-1])
        assert study.forward[0, i] == pytest.approx(np.log2((y**2).mean()), abs=1e-3)
    dy = normal(layer_keys(*keys, GRADIENT_STREAM), (batch, 20)).astype(np.float64)
    dy /= math.sqrt((dy**2).mean())
    for i in range(layers - 1, -1, -1):
        assert study.backward[0, i] == pytest.approx(np.log2((dy**2).mean()), abs=1e-3)
        dy = (dy * phi.derivative(zs[i])) @ ws[i].T.astype(np.float64)


@pytest.mark.parametrize(
    ("init", "name", "batchnorm"),
    [("normal:3", "relu", False), ("normal:0.001", "relu", False), ("normal:3", "gelu", False),
     ("normal:0.001", "silu", False), ("toy", "elu", False), ("normal:3", "softplus", False),
     ("normal:0.001", "tanh", False), ("uniform", "sigmoid", False), ("he", "relu", True),
     ("lsuv", "tanh", False)],
)  # fmt: skip
def test_no_depth_overflows_or_underflows(init, name, batchnorm):
    """A thousand layers: thousands of bits up or down, the same from both ends."""
    study = depth(1000, 16, init=init, activation=name, batchnorm=batchnorm, seeds=2)
    assert np.isfinite(study.forward).all()
    assert np.isfinite(study.backward).all()
    if study.forward_theory is not None and not batchnorm:
        assert np.isfinite(study.forward_theory).all()
        rate = study.forward_theory[-1] / 1000
        assert study.forward.mean(axis=0)[-1] / 1000 == pytest.approx(rate, abs=0.5)


def test_relu_that_vanishes_is_he_that_is_scaled():
    """ReLU is homogeneous, so σ only shifts the logarithms: exactly, layer by layer."""
    he, small = (
        depth(300, 32, init=f"normal:{s * math.sqrt(2 / 32)!r}", seeds=2) for s in (1.0, 2.0**-20)
    )
    shift = -40.0 * np.arange(1, 301)
    np.testing.assert_allclose(small.forward, he.forward + shift, rtol=0, atol=1e-3)


def test_a_seed_is_the_same_network_wherever_it_runs():
    together = depth(5, 17, seeds=4)
    alone = depth(5, 17, seeds=1, first_seed=2)
    np.testing.assert_array_equal(together.forward[2], alone.forward[0])
    np.testing.assert_array_equal(together.backward[2], alone.backward[0])


def test_weights_that_are_not_kept_are_the_same(monkeypatch):
    kept = depth(4, 16, init="orthogonal", seeds=2)
    monkeypatch.setattr(sys.modules[depth.__module__], "CACHE_BYTES", 0)
    drawn = depth(4, 16, init="orthogonal", seeds=2)
    np.testing.assert_array_equal(kept.backward, drawn.backward)


def test_intervals_hold_the_truth():
    """The t-interval of 95 % holds the mean of normal numbers in 95 of 100 cases; t from tables."""
    rng = np.random.default_rng(1)
    _, low, high = mean_interval(rng.standard_normal((6, 4000)))
    assert ((low < 0) & (high > 0)).mean() == pytest.approx(0.95, abs=0.015)
    for freedom, t in ((1, 12.706), (2, 4.303), (3, 3.182), (10, 2.228), (99, 1.984)):
        assert t_quantile(freedom) == pytest.approx(t, abs=5e-4)


def test_lsuv_gives_unit_variance():
    study = depth(20, 200, init="lsuv", activation="identity", seeds=3, batch=20)
    np.testing.assert_allclose(study.forward, 0, atol=0.02)


def test_study_survives_json():
    study = depth(3, 8, init="toy", seeds=2)
    again = DepthStudy.from_dict(json.loads(json.dumps(study.to_dict(), allow_nan=False)))
    np.testing.assert_array_equal(again.forward, study.forward)
    assert again.forward_theory is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": 0}, "depth: depth is 0, expected at least 1"),
        ({"width": 0}, "depth: width is 0, expected at least 1"),
        ({"seeds": 0}, "depth: seeds is 0, expected at least 1"),
        ({"init": "xaver"}, r"init is 'xaver', expected one of .*did you mean 'xavier'\?"),
        ({"init": "normal"}, "init: normal:σ is '', expected a number"),
        ({"init": "he:2"}, "init is 'he:2', expected 'he'"),
        ({"activation": "rellu"}, r"did you mean 'relu'\?"),
        ({"batchnorm": True, "batch": 1}, "depth: batch is 1, expected at least 2"),
        ({"sigma_b": -1.0}, "depth: sigma_b is -1.0, expected a number from 0 on"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        depth(**settings)
