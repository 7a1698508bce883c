"""Mistakes planted in layers are named: caches, buffers, aliases, batch sizes, statistics."""

import numpy as np
import pytest

from gradcheck import check_module
from tests.gradcheck import broken_norms  # noqa: F401, notes its layers in PLANTED
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


def rescaled(attribute, power):
    """MeanAffine with one gradient times a power of the batch size."""

    def backward(layer, grad_output):
        dx = MeanAffine.backward(layer, grad_output)
        setattr(layer, attribute, getattr(layer, attribute) * float(len(grad_output)) ** power)
        return dx

    return type("Rescaled", (MeanAffine,), {"backward": backward})


@pytest.mark.parametrize(("attribute", "power", "name", "slug"), [
    ("bias_grad", 1, "weight", "divided-by-batch-twice"),
    ("weight_grad", 1, "bias", "divided-by-batch-twice"),
    ("weight_grad", 2, "weight", "scaled-by-batch"),
], ids=["a mean beside a sum", "the other way round", "N times the sum"])  # fmt: skip
def test_one_layer_has_one_scale(attribute, power, name, slug, rng):
    layer = MeanAffine(rng)
    layer.__class__ = rescaled(attribute, power)
    report = check_module(layer, rng.standard_normal((6, 3)))
    finding = next(f for f in report.findings if f.name == name)
    assert (finding.verdict, finding.causes[0].slug) == ("fail", slug)


class Accumulating(Affine):
    """Adds to the gradients that it names, and overwrites the others."""

    added = ("weight_grad", "bias_grad")

    def backward(self, grad_output):
        before = {name: getattr(self, name, 0.0) for name in self.added}
        dx = super().backward(grad_output)
        for name, value in before.items():
            setattr(self, name, getattr(self, name) + value)
        return dx

    def zero_grad(self):
        self.weight_grad, self.bias_grad = 0 * self.weight, 0 * self.bias


@pytest.mark.parametrize("overwritten", ["weight", "bias"])
def test_gradients_are_added_up_all_or_none(overwritten, rng):
    layer, x = Accumulating(rng), rng.standard_normal((6, 3))
    assert check_module(layer, x)
    layer.added = tuple(n for n in layer.added if n != f"{overwritten}_grad")
    report = check_module(layer, x)
    finding = next(f for f in report.findings if f.name == overwritten)
    assert finding.verdict == report.verdict == "fail"
    assert finding.causes[0].slug == "overwrites-instead-of-accumulating"
    layer.added = ()
    assert check_module(layer, x)


def test_dead_units_are_reported(rng):
    layer = Affine(rng)
    layer.weight[:, 1] = layer.bias[1] = 0
    report = check_module(layer, rng.standard_normal((6, 3)))
    assert [cause.slug for cause in report.conventions] == ["dead-unit"]


def test_a_layer_for_one_row_only(rng):
    assert check_module(Affine(rng), rng.standard_normal((1, 3)))
    assert np.isfinite(check_module(Dense(rng), np.ones((1, 3))).findings[0].numeric)
