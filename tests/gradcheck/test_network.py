"""check_network: whole networks, right and with planted mistakes."""

import numpy as np
import pytest

from gradcheck import check_network
from mlp import MLP
from tests.gradcheck import homework
from tests.gradcheck.plants import DX, MEANS, PLANTS, RIGHT, planted


def network(rng, **options):
    net = MLP(3, 3, [5, 4], "tanh", seed=1, **options)
    net.params = net.params + 0.3 * rng.standard_normal(net.params.shape)
    return net


def spoil(net, change):
    """The network with a backward after which `change(net)` alters a gradient."""
    backward = net.backward

    def spoilt(labels):
        dx = backward(labels)
        change(net)
        return dx

    net.backward = spoilt
    return net


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_right_networks_pass(rng, reduction):
    net = network(rng, reduction=reduction, num_bn_layers=1)
    x, labels = rng.standard_normal((6, 3)), rng.integers(0, 3, 6)
    before = net.params.copy()
    statistics = [np.array(bn.running_mean) for bn in net.bn_layers]
    report = check_network(net, x, labels)
    assert report, str(report)
    assert [f.name for f in report.findings][:2] == ["linear_layers[0].W", "linear_layers[0].b"]
    assert report.findings[-1].name == "input"
    assert not report.notes
    np.testing.assert_array_equal(net.params, before)
    for bn, mean in zip(net.bn_layers, statistics, strict=True):
        np.testing.assert_array_equal(bn.running_mean, mean)


def test_a_checked_network_is_as_it_was(rng):
    """Outputs and gradients after the check are those of a forward and backward before it."""
    net, other = (network(np.random.default_rng(5), num_bn_layers=1) for _ in range(2))
    x, labels = rng.standard_normal((6, 3)), rng.integers(0, 3, 6)
    check_network(net, x, labels)
    other.forward(x)
    other.backward(labels)
    np.testing.assert_array_equal(net.output, other.output)
    np.testing.assert_array_equal(net.grads, other.grads)


CHANGES = {
    "sign of one bias": lambda net: net.linear_layers[1].db.__imul__(-1),
    "one weight off by 1e-4": lambda net: net.linear_layers[2].dW.__setitem__(
        (1, 1), net.linear_layers[2].dW[1, 1] * 1.0001
    ),
    "gamma forgotten": lambda net: net.bn_layers[0].dgamma.__imul__(0),
    "half of a layer": lambda net: net.linear_layers[0].dW.__imul__(0.5),
}


@pytest.mark.parametrize("name", CHANGES)
def test_planted_mistakes_are_found(name, rng):
    net = spoil(network(rng, num_bn_layers=1), CHANGES[name])
    report = check_network(net, rng.standard_normal((6, 3)), rng.integers(0, 3, 6))
    assert report.verdict == "fail"
    assert sum(finding.verdict == "fail" for finding in report.findings) == 1


def test_a_misplaced_mean_is_found(rng):
    """Where the network says how it reduces, a tensor scaled otherwise is wrong."""
    net = spoil(network(rng), lambda net: net.linear_layers[1].db.__imul__(6))
    x, labels = rng.standard_normal((6, 3)), rng.integers(0, 3, 6)
    assert check_network(net, x, labels).verdict == "fail"
    net.__class__ = type("Silent", (MLP,), {"reduction": None})
    net._reduction = "mean"
    report = check_network(net, x, labels)
    assert report.verdict == "fail"  # its layer's dW is a mean, of the same δ
    assert report.notes[0].startswith("first wrong: linear_layers[1].db ")
    (failed,) = (f for f in report.findings if f.verdict == "fail")
    assert (failed.name, failed.causes[0].slug) == ("linear_layers[1].b", "scaled-by-batch")
    np.testing.assert_allclose(failed.analytic / failed.numeric, 6, rtol=1e-6)


def test_means_of_weights_and_sums_of_the_rest_are_those_of_one_year():
    report = check_network(*planted("homework", MEANS, batchnorm=2))
    assert report
    assert report.notes[-1].startswith("the others are of the mean, as in one year of the course")


def test_layers_that_differ_are_a_convention_of_no_single_loss():
    means = [
        ("(delta * self.hat).sum(axis=0, k", "(delta * self.hat).mean(axis=0, k"),
        ("self.dbeta = delta.sum", "self.dbeta = delta.mean"),
    ]
    report = check_network(*planted("homework", means, batchnorm=2))
    assert report
    assert "gradients of no single loss" in report.notes[-1]


def test_gradients_of_one_layer_that_differ_are_no_convention():
    edits = [*MEANS, ("(delta * self.hat).sum(axis=0, k", "(delta * self.hat).mean(axis=0, k")]
    report = check_network(*planted("homework", edits, batchnorm=2))
    failed = [f for f in report.findings if f.verdict == "fail"]
    assert [f.name for f in failed] == ["bn_layers[0].beta", "bn_layers[1].beta"]
    assert {f.causes[0].slug for f in failed} == {"scaled-by-batch"}
    assert report.notes[:2] == (
        "first wrong: bn_layers[1].dbeta (everything above it matches)",
        "wrong by itself, too: bn_layers[0].dbeta",
    )


@pytest.mark.parametrize("kind", ["ReLU", "Tanh"])
def test_a_layer_that_forward_leaves_out_is_no_pass(kind):
    skipped = [("if i < len(self.bn_layers)", "if i < 0")]
    names = [f"bn_layers[{k}].{letter}" for k in (0, 1) for letter in ("gamma", "beta")]
    net, x, y = planted("homework", skipped, kind, batchnorm=2)
    for layer in net.bn_layers:
        layer.dgamma, layer.dbeta = np.zeros_like(layer.gamma), np.zeros_like(layer.beta)
    report = check_network(net, x, y)
    assert report.verdict == "inconclusive"
    untold = [f for f in report.findings if f.verdict == "inconclusive"]
    assert [f.name for f in untold] == names
    assert all(f.note.startswith("the loss does not depend on it") for f in untold)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "tanh"])
def test_float32_networks_do_not_fail(name):
    for seed in range(2):
        rng = np.random.default_rng(seed)
        net = MLP(20, 4, [32], name, dtype=np.float32, seed=seed)
        x, labels = rng.standard_normal((16, 20)).astype(np.float32), rng.integers(0, 4, 16)
        assert check_network(net, x, labels), name
        coarse = check_network(net, x, labels, twin=net)
        assert coarse.verdict != "fail", str(coarse)


def test_units_at_rest_on_a_kink_do_not_fail():
    """Exclusive or with zero biases: the row of zeros puts every unit on its kink."""
    x, labels = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    report = check_network(MLP(2, 2, [16], "relu", seed=4), x, labels)
    assert report.verdict == "inconclusive"
    assert any("kink" in finding.note for finding in report.findings)


def test_a_foreign_network_is_checked_too(rng):
    weights = [rng.standard_normal((a, b)) for a, b in ((3, 4), (4, 2))]
    draw = iter(weights)
    net = homework.MLP(
        3,
        2,
        [4],
        [homework.Tanh(), homework.Sigmoid()],
        lambda a, b: next(draw),
        lambda b: rng.standard_normal((1, b)),
        homework.SoftmaxCrossEntropy(),
        0.1,
        num_bn_layers=1,
    )
    report = check_network(net, rng.standard_normal((5, 3)), rng.dirichlet(np.ones(2), 5))
    assert report, str(report)
    # All but b before batchnorm, whose gradient is zero, and the input's, which is not returned.
    assert len(report.notes) == 5
    assert all("sum over the batch" in note for note in report.notes)


@pytest.mark.parametrize("name", PLANTS)
def test_the_first_wrong_place_and_its_cause(name):
    style, edits, options, places, slugs = PLANTS[name]
    places = places if isinstance(places, tuple) else (places,)
    slugs = slugs if isinstance(slugs, tuple) else (slugs,)
    report = check_network(*planted(style, edits, **options))
    assert report.verdict == "fail"
    assert any(report.notes[0].startswith(f"first wrong: {p} ") for p in places), report.notes
    assert report.causes[0].slug in slugs, report.causes


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("draw", [1, 2, 3])
def test_right_homeworks_pass(name, draw):
    style, edits, options = RIGHT[name]
    report = check_network(*planted(style, edits, **options, seed=draw))
    assert report.verdict != "fail", str(report)
    assert report, str(report)


def test_what_follows_from_a_mistake_is_said_to():
    """One mistake at the top: every array below is wrong, and one of them is told the cause."""
    report = check_network(*planted(*PLANTS["one-hot forgotten"][:2]))
    told = [f for f in report.findings if f.causes and f.causes[0].slug != "follows-from"]
    assert [f.name for f in told] == ["linear_layers[3].b"]
    others = [f for f in report.findings if f not in told]
    assert all(f.note == "follows from criterion.derivative" for f in others)
    assert all(f.where.startswith(f.name.replace(".", ".d").rsplit("]", 1)[0]) for f in others)


def test_a_mean_taken_between_layers_is_no_convention():
    """All arrays below share the factor, even where dW and db are means of a summed δ."""
    edits = [*MEANS, (DX, "return delta @ self.W.T / len(delta)")]
    report = check_network(*planted("homework", edits, "Sigmoid"))
    assert report.notes[0].startswith("first wrong: linear_layers[3].dx ")
    told = next(f for f in report.findings if f.name == "linear_layers[2].b")
    assert told.causes[0].slug == "divided-by-batch-twice"


def test_two_mistakes_are_both_told():
    edits = PLANTS["dW transposed"][1] + PLANTS["tanh not squared"][1]
    report = check_network(*planted("homework", edits))
    assert report.notes[0].startswith("first wrong: activations[3].derivative")
    assert any("linear_layers[2].dW" in note for note in report.notes)
    assert {"transposed", "activation-derivative-formula"} <= {c.slug for c in report.causes}


def test_a_criterion_of_another_name_is_asked_itself():
    """A squared error by the name of Distance, whose forward gives one loss for each sample."""

    class Distance:
        def forward(self, x, y):
            self.off = x - y
            return 1.5 * (self.off**2).sum(axis=1)

        def derivative(self):
            return 3 * self.off

    net, x, y = planted("homework", [], soft=True)
    net.criterion = Distance()
    assert check_network(net, x, y)
    Distance.derivative = lambda self: 2 * self.off
    report = check_network(net, x, y)
    assert report.verdict == "fail"
    assert report.notes[0].startswith("first wrong: criterion.derivative")
    assert report.causes[0].slug == "scaled-by-constant"


def test_dead_layers_are_no_pass():
    net, x, y = planted("homework", [], "ReLU")
    net.linear_layers[1].b[...] = -100
    report = check_network(net, x, y)
    assert report.verdict == "inconclusive"
    told = "4 of 4 units of linear_layers[1] are zero"
    assert any(c.slug == "dead-unit" and told in c.sentence for c in report.conventions)
    assert not any("linear_layers[0]" in c.sentence for c in report.conventions)
    (below,) = [f for f in report.findings if f.name == "linear_layers[0].W"]
    assert below.note == "the gradient is zero, as all units of linear_layers[1] are dead"
    assert not any("does not depend" in f.note for f in report.findings)


def test_a_constant_initialisation_is_noted():
    net, x, y = planted("homework", [])
    for layer in net.linear_layers[:2]:
        layer.W[...], layer.b[...] = 0.3, 0.1
    net.linear_layers[2].W[...] = 0.2
    report = check_network(net, x, y)
    assert any("constant initialisation" in note for note in report.notes)


def test_what_a_network_raises_is_a_finding():
    net, x, y = planted("homework", [("return self.p - self.y", "return self.q - self.y")])
    report = check_network(net, x, y)
    assert report.verdict == "fail"
    assert "AttributeError" in report.findings[0].note


def test_layers_are_as_they_were():
    """Whatever was listened to is no longer."""
    net, x, y = planted("homework", [])
    check_network(net, x, y)
    for layer in (*net.linear_layers, *net.activations, net.criterion):
        assert not {"forward", "backward", "derivative"} & set(vars(layer))


@pytest.mark.parametrize(
    ("edits", "verdict"), [([], "pass"), ([(DX, "return delta @ self.W")], "fail")]
)
def test_float32_parameters_with_a_float64_batch(edits, verdict):
    """Differences are taken of a copy in float64: steps of float32 parameters are rounded."""
    net, x, labels = planted("homework", edits, dtype=np.float32)
    report = check_network(net, x.astype(np.float64), labels)
    assert report.verdict == verdict, str(report)
    assert net.linear_layers[0].W.dtype == np.float32
