"""Mistakes planted in layers are named: caches, buffers, aliases, batch sizes, statistics."""

import numpy as np
import pytest

from gradcheck import check_module
from tests.gradcheck.broken_layers import PLANTED
from tests.gradcheck.layers import Affine, Dense, MeanAffine, Norm


@pytest.mark.parametrize("name", PLANTED)
def test_planted_mistakes_are_named(name, rng):
    slugs, layer = PLANTED[name]
    report = check_module(layer(rng), rng.standard_normal((6, 3)))
    assert report.verdict == "fail", str(report)
    assert report.causes[0].slug in slugs, [str(cause) for cause in report.causes]
    assert "<" not in report.causes[0].sentence  # no field left blank


def test_a_layer_that_must_accumulate(rng):
    report = check_module(Affine(rng), rng.standard_normal((6, 3)), accumulate=True)
    assert report.causes[0].slug == "overwrites-instead-of-accumulating"
    assert check_module(Dense(rng), rng.standard_normal((6, 3)), accumulate=True)
    report = check_module(Dense(rng), rng.standard_normal((6, 3)), accumulate=False)
    assert report.causes[0].slug == "accumulates-into-stale-buffer"


def test_an_unbiased_running_variance_is_a_convention(rng):
    report = check_module(Norm(rng), rng.standard_normal((6, 3)))
    assert report
    assert "unbiased-running-variance" in [cause.slug for cause in report.conventions]


def test_means_beside_sums_are_noted(rng):
    layer = MeanAffine(rng)
    layer.__class__ = type("Mixed", (MeanAffine,), {"backward": mixed})
    report = check_module(layer, rng.standard_normal((6, 3)))
    assert report
    assert "some gradients are means" in str(report)


def mixed(layer, grad_output):
    dx = MeanAffine.backward(layer, grad_output)
    layer.bias_grad = layer.bias_grad * len(grad_output)
    return dx


def test_dead_units_are_reported(rng):
    layer = Affine(rng)
    layer.weight[:, 1] = layer.bias[1] = 0
    report = check_module(layer, rng.standard_normal((6, 3)))
    assert [cause.slug for cause in report.conventions] == ["dead-unit"]


def test_a_layer_for_one_row_only(rng):
    assert check_module(Affine(rng), rng.standard_normal((1, 3)))
    assert np.isfinite(check_module(Dense(rng), np.ones((1, 3))).findings[0].numeric)
