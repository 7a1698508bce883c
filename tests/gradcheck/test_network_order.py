"""What a network does between its layers: their order, what it passes on, what it keeps."""

import numpy as np
import pytest

from gradcheck import check_network
from gradcheck.catalogue import network as catalogue

SQUARE = {"widths": catalogue.SQUARE_WIDTHS}

MISTAKES = {
    "the order of forward": (catalogue.WrongOrder, SQUARE, "layers-out-of-order"),
    "a layer left out": (catalogue.SkipsLayer, SQUARE, "layers-out-of-order"),
    "batchnorm left out": (catalogue.SkipsBatchNorm, {"batchnorm": 2}, "batchnorm-skipped"),
    "weights of another layer": (catalogue.WeightsOfOtherLayer, SQUARE, "wrong-weights"),
    "targets forgotten": (catalogue.TargetsForgotten, {}, "one-hot-not-subtracted"),
    "targets summed": (catalogue.TargetsSummed, {"is_soft": True}, "targets-not-normalised"),
    "an output kept": (catalogue.KeepsFirstOutput, {}, "stale-cache"),
    "clipped": (catalogue.ClipsDelta, {}, "cotangent-clipped"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_the_network_does_between_its_layers_is_named(name):
    kind, how, slug = MISTAKES[name]
    made = catalogue.build(net=kind, **how)(np.random.default_rng(5))
    report = check_network(made.net, made.x, made.labels)
    assert report.causes[0].slug == slug, str(report)


def test_the_limit_of_clipping_is_told():
    made = catalogue.build(net=catalogue.ClipsDelta)(np.random.default_rng(5))
    report = check_network(made.net, made.x, made.labels)
    assert "0.02" in report.causes[0].sentence


def test_a_layer_left_out_is_told_by_its_number():
    made = catalogue.build(net=catalogue.SkipsLayer, **SQUARE)(np.random.default_rng(5))
    report = check_network(made.net, made.x, made.labels)
    assert "layer 1 is left out" in report.causes[0].sentence


def test_a_narrow_cause_brings_the_wider_one():
    made = catalogue.build(net=catalogue.DerivativeOfOtherLayer, **SQUARE)(np.random.default_rng(5))
    report = check_network(made.net, made.x, made.labels)
    assert [c.slug for c in report.causes[:2]] == ["other-layers-values", "stale-cache"]


class Unnamed(catalogue.SoftmaxCrossEntropy):
    """A criterion whose name tells nothing."""


class TargetsForgottenByCriterion(Unnamed):
    def derivative(self):
        return self.p / len(self.y)


def test_a_criterion_is_known_by_what_it_gives():
    made = catalogue.build()(np.random.default_rng(5))
    made.net.criterion = TargetsForgottenByCriterion()
    report = check_network(made.net, made.x, made.labels)
    assert report.causes[0].slug == "one-hot-not-subtracted", str(report)
