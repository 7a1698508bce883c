"""check_update: right steps of several styles pass, and mistakes planted in them are named."""

import numpy as np
import pytest

from gradcheck import check_step, check_update
from tests.gradcheck import homework

LR, MU, B1, B2, EPS = 0.05, 0.9, 0.9, 0.999, 1e-8
SGD = ("gradient_descent", {"lr": LR})
MOMENTUM = ("momentum", {"lr": LR, "momentum": MU})
NESTEROV = ("nesterov", {"lr": LR, "momentum": MU})
ADAM = ("adam", {"lr": LR, "beta1": B1, "beta2": B2, "eps": EPS})
ADAMW = ("adamw", ADAM[1] | {"weight_decay": 0.1})
RMSPROP = ("rmsprop", {"lr": LR, "beta2": 0.9, "eps": EPS})
DECAYED = ("momentum", MOMENTUM[1] | {"weight_decay": 0.1})


def momentum(w, g, s, *, mu=MU, lr=LR, damp=0.0, nesterov=False, keep=True, sign=1.0):
    v = mu * s.get("v", 0.0) - (1 - damp) * lr * g
    s["v"] = v if keep else 0.0
    return w + sign * (mu * v - lr * g if nesterov else v)


def adam(
    w, g, s, *, fix=(True, True), late=0, eps=EPS, inside=False, b1=B1, b2=B2, lr=LR,
    decay=0.0, l2=0.0, power=2, of_first=False, root=True, share=True,
):  # fmt: skip
    g = g + l2 * w
    s["t"] = t = s.get("t", 0) + 1 + (late if "t" not in s else 0)
    s["m"] = m = b1 * s.get("m", 0.0) + ((1 - b1) if share else 1) * g
    base = m if of_first else g
    s["v"] = v = b2 * s.get("v", 0.0) + (1 - b2) * abs(base) ** power
    with np.errstate(all="ignore"):
        m = m / (1 - np.float64(b1) ** t) if fix[0] else m
        v = v / (1 - np.float64(b2) ** t) if fix[1] else v
        below = np.sqrt(v + eps) if inside else (np.sqrt(v) if root else v) + eps
        return w - lr * m / below - lr * decay * w


def rmsprop(w, g, s, *, rho=0.9, root=True, total=False):
    s["v"] = v = (1 if total else rho) * s.get("v", 0.0) + (1 if total else 1 - rho) * g * g
    return w - LR * g / ((np.sqrt(v) if root else v) + EPS)


def summed(w, g, s):
    s["g"] = s.get("g", 0.0) + g
    return w - LR * s["g"]


def delayed(w, g, s):
    before, s["g"] = s.get("g", 0.0), g
    return w - LR * before


def outside(w, g, s):
    s["v"] = MU * s.get("v", 0.0) + g
    return w - LR * s["v"]


def lagging(w, g, s):
    before = s.get("v", 0.0)
    s["v"] = MU * before - LR * g
    return w + before


def in_place(w, g):
    w -= LR * g


RIGHT = {
    "gradient descent": (lambda w, g: w - LR * g, SGD),
    "in place": (in_place, SGD),
    "momentum": (momentum, MOMENTUM),
    "momentum, lr outside": (outside, MOMENTUM),
    "returns its state": (lambda w, g, s: (momentum(w, g, s), s), MOMENTUM),
    "nesterov": (lambda w, g, s: momentum(w, g, s, nesterov=True), NESTEROV),
    "adam": (adam, ADAM),
    "adamw": (lambda w, g, s: adam(w, g, s, decay=0.1), ADAMW),
    "rmsprop": (rmsprop, RMSPROP),
    "decay": (lambda w, g, s: momentum(w, g + 0.1 * w, s), DECAYED),
    "no decay of biases": (
        lambda w, g, s: momentum(w, g + 0.1 * w * (w.shape[0] > 1), s),
        DECAYED,
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_steps_pass(name):
    step, (kind, settings) = RIGHT[name]
    report = check_update(step, kind, **settings)
    assert report, str(report)
    assert not report.causes


U, M, D, B = (
    "update-formula-mismatch",
    "momentum-mismatch",
    "weight-decay-mismatch",
    "bias-correction-missing",
)
WRONG = {
    "ascent": (lambda w, g: w + LR * g, SGD, U, "ascends"),
    "no lr": (lambda w, g: w - g, SGD, U, "rate is missing"),
    "lr squared": (lambda w, g: w - LR**2 * g, SGD, U, "squared"),
    "twice": (lambda w, g: w - 2 * LR * g, SGD, U, "twice"),
    "a tenth": (lambda w, g: w - LR / 10 * g, SGD, U, "0.1 times"),
    "nothing": (lambda w, g: w, SGD, "parameter-not-updated", "as it is"),
    "summed": (summed, SGD, "not-zeroed", "summed"),
    "delayed": (delayed, SGD, U, "step before"),
    "decays unasked": (lambda w, g: w - LR * (g + 1e-3 * w), SGD, D, "none is asked"),
    "reset": (lambda w, g, s: momentum(w, g, s, keep=False), MOMENTUM, M, "forgotten"),
    "dampened": (lambda w, g, s: momentum(w, g, s, damp=MU), MOMENTUM, M, "dampened"),
    "nesterov": (lambda w, g, s: momentum(w, g, s, nesterov=True), MOMENTUM, M, "Nesterov"),
    "plain": (momentum, NESTEROV, M, "plain"),
    "sign of v": (lambda w, g, s: momentum(w, g, s, mu=-MU), MOMENTUM, M, "subtracted"),
    "ascends with v": (lambda w, g, s: momentum(w, g, s, sign=-1), MOMENTUM, U, "ascends"),
    "undamped": (lambda w, g, s: momentum(w, g, s, mu=1.0), MOMENTUM, M, "never damped"),
    "1 - mu": (lambda w, g, s: momentum(w, g, s, mu=1 - MU), MOMENTUM, M, "1 − μ stands"),
    "another mu": (lambda w, g, s: momentum(w, g, s, mu=0.7), MOMENTUM, M, "μ is 0.7"),
    "lagging": (lagging, MOMENTUM, M, "step before"),
    "mu times lr": (lambda w, g, s: momentum(w, g, s, mu=MU * LR), MOMENTUM, M, "multiplied"),
    "uncorrected": (lambda w, g, s: adam(w, g, s, fix=(False, False)), ADAM, B, "both"),
    "m corrected": (lambda w, g, s: adam(w, g, s, fix=(True, False)), ADAM, B, "second"),
    "v corrected": (lambda w, g, s: adam(w, g, s, fix=(False, True)), ADAM, B, "first"),
    "t from 0": (lambda w, g, s: adam(w, g, s, late=-1), ADAM, U, "from 0"),
    "t from 2": (lambda w, g, s: adam(w, g, s, late=1), ADAM, U, "too large"),
    "eps inside": (lambda w, g, s: adam(w, g, s, inside=True), ADAM, U, "inside"),
    "no eps": (lambda w, g, s: adam(w, g, s, eps=0), ADAM, U, "eps is missing"),
    "swapped": (lambda w, g, s: adam(w, g, s, b1=B2, b2=B1), ADAM, U, "β₁ and β₂"),
    "of |g|": (lambda w, g, s: adam(w, g, s, power=1), ADAM, U, "|g|"),
    "of m": (lambda w, g, s: adam(w, g, s, of_first=True), ADAM, U, "that of m"),
    "no root": (lambda w, g, s: adam(w, g, s, root=False), ADAM, U, "root is missing"),
    "no share": (lambda w, g, s: adam(w, g, s, share=False), ADAM, U, "lacks 1 − β₁"),
    "L2 in adamw": (lambda w, g, s: adam(w, g, s, l2=0.1), ADAMW, D, "decoupled"),
    "no decay": (adam, ADAMW, D, "missing"),
    "decay twice": (lambda w, g, s: adam(w, g, s, decay=0.2), ADAMW, D, "twice"),
    "decay unscaled": (lambda w, g, s: adam(w, g, s, decay=0.1 / LR), ADAMW, D, "without the"),
    "grows": (lambda w, g, s: momentum(w, g - 0.1 * w, s), DECAYED, D, "grow"),
    "decay of w²": (lambda w, g, s: momentum(w, g + 0.1 * w * w, s), DECAYED, D, "of w²"),
    "decay of sign(w)": (
        lambda w, g, s: momentum(w, g + 0.1 * np.sign(w), s), DECAYED, D, "of sign(w)"),
    "decoupled": (lambda w, g, s: momentum(w, g, s) - LR * 0.1 * w, DECAYED, D, "decoupled"),
    "adagrad": (lambda w, g, s: rmsprop(w, g, s, total=True), RMSPROP, U, "summed"),
    "rho swapped": (lambda w, g, s: rmsprop(w, g, s, rho=0.1), RMSPROP, U, "swapped"),
    "rmsprop, no root": (lambda w, g, s: rmsprop(w, g, s, root=False), RMSPROP, U, "root"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_steps_are_named(name):
    step, (kind, settings), slug, words = WRONG[name]
    report = check_update(step, kind, **settings)
    assert report.verdict == "fail"
    assert report.causes[0].slug == slug, str(report.causes)
    assert words in report.causes[0].sentence, report.causes[0].sentence


class Descending(homework.MLP):
    """The course's step: momentum for W and b, plain descent for γ and β."""

    rate_of_bias = 1.0

    def __init__(self, *arguments, lr=0.05, momentum=0.9, **options):
        super().__init__(*arguments, lr=lr, **options)
        self.lr, self.momentum = lr, momentum
        for layer in self.linear_layers:
            layer.momentum_W, layer.momentum_b = np.zeros_like(layer.W), np.zeros_like(layer.b)

    def step(self):
        for layer in self.linear_layers:
            layer.momentum_W = self.momentum * layer.momentum_W - self.lr * layer.dW
            layer.momentum_b = self.momentum * layer.momentum_b - self.lr * layer.db
            layer.W = layer.W + layer.momentum_W
            layer.b = layer.b + self.rate_of_bias * layer.momentum_b
        for layer in self.bn_layers:
            layer.gamma = layer.gamma - self.lr * layer.dgamma
            layer.beta = layer.beta - self.lr * layer.dbeta


def network(rng, cls=Descending, **options):
    weights = lambda n_in, n_out: rng.standard_normal((n_in, n_out))  # noqa: E731
    biases = lambda n_out: rng.standard_normal((1, n_out))  # noqa: E731
    activations = [homework.Tanh(), homework.Tanh()]
    criterion = homework.SoftmaxCrossEntropy()
    return cls(3, 2, [4], activations, weights, biases, criterion, num_bn_layers=1, **options)


def test_the_step_of_a_network(rng):
    net, x, labels = network(rng), rng.standard_normal((5, 3)), np.eye(2)[[0, 1, 1, 0, 1]]
    W, before = net.linear_layers[0].W, net.linear_layers[0].W.copy()
    report = check_step(net, x, labels)
    assert report, str(report)
    assert len(report.findings) == 6
    assert "norm-momentum" in [cause.slug for cause in report.conventions]
    assert net.linear_layers[0].W is W
    np.testing.assert_array_equal(W, before)
    assert net.lr == 0.05


def test_a_wrong_step_of_a_network(rng):
    x, labels = rng.standard_normal((5, 3)), np.eye(2)[[0, 1, 1, 0, 1]]
    net = network(rng, type("Still", (Descending,), {"rate_of_bias": 0.0}))
    report = check_step(net, x, labels)
    assert [c.slug for c in report.causes] == ["parameter-not-updated"]
    net = network(rng, type("Ascending", (Descending,), {"rate_of_bias": -1.0}))
    failed = [f.name for f in check_step(net, x, labels).findings if f.verdict == "fail"]
    assert failed == ["linear_layers[0].b", "linear_layers[1].b"]


def test_gradients_that_are_not_cleared(rng):
    class Adding(Descending):
        def zero_grads(self):
            pass

        def backward(self, labels):
            before = [getattr(layer, "dW", 0) for layer in self.linear_layers]
            super().backward(labels)
            for layer, old in zip(self.linear_layers, before, strict=True):
                layer.dW = layer.dW + old

    report = check_step(
        network(rng, Adding), rng.standard_normal((5, 3)), np.eye(2)[[0, 1, 1, 0, 1]]
    )
    assert report.causes[0].slug == "not-zeroed"


def test_a_step_that_raises():
    report = check_update(lambda w, g: w - g.missing, "gradient_descent", lr=LR)
    assert report.verdict == "fail"
    assert "AttributeError" in str(report)


def test_a_kind_that_is_unknown():
    with pytest.raises(ValueError, match="kind is 'sgd'"):
        check_update(in_place, "sgd", lr=LR)


@pytest.mark.parametrize("nonsense", ["a", {}, np.ones((9, 9))], ids=["text", "dict", "shape"])
def test_a_step_that_gives_no_parameter_is_a_finding(nonsense):
    report = check_update(lambda w, g: nonsense, lr=0.1)
    assert report.verdict == "fail"
    assert "expected a parameter of shape" in report.findings[0].note


class Uphill(Descending):
    def step(self):
        super().step()
        for layer in self.bn_layers:
            layer.gamma = layer.gamma + 2 * self.lr * layer.dgamma


class Borrowing(Descending):
    """The velocity of b, where that of W is meant."""

    def step(self):
        for layer in self.linear_layers:
            layer.momentum_W = self.momentum * layer.momentum_b - self.lr * layer.dW
            layer.momentum_b = self.momentum * layer.momentum_b - self.lr * layer.db
            layer.W = layer.W + layer.momentum_W
            layer.b = layer.b + layer.momentum_b
        for layer in self.bn_layers:
            layer.gamma = layer.gamma - self.lr * layer.dgamma
            layer.beta = layer.beta - self.lr * layer.dbeta


@pytest.mark.parametrize(
    ("net", "slug", "words"),
    [(Uphill, U, "ascends"), (Borrowing, M, "velocity of linear_layers[0].b")],
)
def test_what_a_network_steps_by(rng, net, slug, words):
    report = check_step(network(rng, net), rng.standard_normal((5, 3)), np.eye(2)[[0, 1, 1, 0, 1]])
    assert report.causes[0].slug == slug
    assert words in report.causes[0].sentence
    assert {f.name.rpartition(".")[2] for f in report.findings if f.verdict == "fail"} == (
        {"gamma"} if net is Uphill else {"W"}
    )


def test_a_step_uphill_is_one_of_its_velocity_too():
    report = check_update(lambda w, g, s: 2 * w - momentum(w, g, s), "momentum", **MOMENTUM[1])
    assert [c.slug for c in report.causes] == [U, M]


def test_a_t_that_stays_at_one():
    def step(w, g, s):
        s["t"] = 0
        return adam(w, g, s)

    report = check_update(step, "adam", **ADAM[1])
    assert [c.slug for c in report.causes] == [B, U]
    assert "t stays at 1" in report.causes[0].sentence


def test_the_text_names_the_rule_and_the_slack():
    report = check_update(lambda w, g, s: adam(w, g, s, late=1), "adam", **ADAM[1])
    assert report.causes[0].sentence.startswith("the step is not w ← w − lr·m̂/(√v̂ + eps): t is")
    assert all(finding.excess < 1e12 for finding in report.findings)
