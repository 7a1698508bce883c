"""Training with each optimizer against NumPy written from the papers, and their settings."""

import copy
import pickle

import numpy as np
import pytest

from mlp import MLP, Adam, AdamW, Momentum, Nesterov
from mlp.plan import ROUND, UPDATES
from tests.mlp.oracle import Oracle

ATOL = {np.float64: 1e-12, np.float32: 2e-5}

CASES = {
    "descent": {"optimizer": "momentum"},
    "momentum": {"optimizer": "momentum", "momentum": 0.9},
    "nesterov": {"optimizer": "nesterov", "momentum": 0.9},
    "adam": {"optimizer": "adam"},
    "adamw": {"optimizer": "adamw"},
    "own betas": {"optimizer": Adam(beta1=0.5, beta2=0.75, eps=0.01)},
    "own decay": {"optimizer": AdamW(0.8, 0.99, weight_decay=0.25)},
}


class Twin(Oracle):
    """The oracle, updated by the papers' formulas; everything in float64."""

    def __init__(self, net, kind, momentum=0.0, betas=(0.9, 0.999), eps=1e-8, decay=0.0, clip=None):
        super().__init__(net)
        self.kind, self.momentum, self.betas, self.eps = kind, momentum, betas, eps
        self.decay, self.clip, self.t = decay, clip, 0
        self.parameters = self.w + self.b + self.gamma + self.beta
        self.first = [np.zeros_like(p) for p in self.parameters]
        self.second = [np.zeros_like(p) for p in self.parameters]

    def step(self):
        gradients = self.dw + self.db + self.dgamma + self.dbeta
        norm = np.sqrt(sum((g**2).sum() for g in gradients))
        if self.clip is not None and norm > self.clip:
            gradients = [g * (self.clip / norm) for g in gradients]
        self.t += 1
        linear = len(self.w + self.b)
        for i, (p, g) in enumerate(zip(self.parameters, gradients, strict=True)):
            if self.kind == "adamw":
                p *= 1 - self.lr * self.decay
            else:
                g = g + self.decay * p
            if self.kind.startswith("adam"):
                self.adam(p, g, self.first[i], self.second[i])
            else:
                is_scale = i >= linear and self.kind == "momentum"
                self.descend(p, g, self.first[i], 0.0 if is_scale else self.momentum)

    def descend(self, p, g, buffer, momentum):
        buffer *= momentum
        buffer += g
        p -= self.lr * (g + momentum * buffer if self.kind == "nesterov" else buffer)

    def adam(self, p, g, m, v):
        b1, b2 = self.betas
        m[...] = b1 * m + (1 - b1) * g
        v[...] = b2 * v + (1 - b2) * g**2
        p -= self.lr * (m / (1 - b1**self.t)) / (np.sqrt(v / (1 - b2**self.t)) + self.eps)


TWINS = {
    "descent": {"kind": "momentum"},
    "momentum": {"kind": "momentum", "momentum": 0.9},
    "nesterov": {"kind": "nesterov", "momentum": 0.9},
    "adam": {"kind": "adam"},
    "adamw": {"kind": "adamw", "decay": 0.01},
    "own betas": {"kind": "adam", "betas": (0.5, 0.75), "eps": 0.01},
    "own decay": {"kind": "adamw", "betas": (0.8, 0.99), "decay": 0.25},
}


def network(dtype=np.float64, **options):
    net = MLP(4, 3, [6, 5], "tanh", lr=0.02, num_bn_layers=1, dtype=dtype, seed=1, **options)
    rng = np.random.default_rng(2)
    net.params = net.params + (0.2 * rng.standard_normal(net.params.size)).astype(dtype)
    return net


def batch(dtype=np.float64):
    rng = np.random.default_rng(3)
    return rng.standard_normal((9, 4)).astype(dtype), rng.integers(0, 3, 9)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("extra", [{}, {"weight_decay": 0.5}, {"max_norm": 0.125}])
def test_training_agrees_with_numpy(case, extra, dtype):
    net = network(dtype, **CASES[case] | extra)
    changes = {"decay": extra["weight_decay"]} if "weight_decay" in extra else {}
    twin = Twin(net, **TWINS[case] | {"clip": extra.get("max_norm")} | changes)
    x, labels = batch(dtype)
    for t in range(12):
        net.lr = twin.lr = 0.02 if case in ("momentum", "nesterov") else 0.02 / (1 + t)
        net.train_step(x, labels)
        twin.forward(x.astype(float))
        twin.backward(np.eye(3)[labels])
        twin.step()
    assert net.steps == 12
    expected = np.concatenate(
        [p.ravel() for wb in zip(twin.w, twin.b, strict=True) for p in wb]
        + [p for gb in zip(twin.gamma, twin.beta, strict=True) for p in gb]
    )
    off = abs(net.params - expected)
    if TWINS[case]["kind"].startswith("adam"):
        # The bias before batchnorm has no gradient but rounding, which Adam makes steps of.
        off[24:30] = 0
    assert off.max() <= ATOL[dtype]


@pytest.mark.parametrize("case", CASES)
def test_each_optimizer_learns_exclusive_or(case):
    x = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    labels = np.array([0, 1, 1, 0])
    lr = {"descent": 1.0, "momentum": 0.3, "nesterov": 0.3}.get(case, 0.05)
    net = MLP(2, 2, [8], "tanh", lr=lr, seed=4, **CASES[case])
    for _ in range(150):
        net.train_step(x, labels)
    net.forward(x)
    assert net.error(labels) == 0


def test_moments_start_anew_in_no_copy(dtype):
    """Pickled in the middle, training goes on with the same bits."""
    for options in CASES.values():
        net = network(dtype, max_norm=0.5, **options)
        x, labels = batch(dtype)
        for _ in range(3):
            net.train_step(x, labels)
        for twin in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
            assert twin.optimizer == net.optimizer
            assert (twin.steps, twin.lr, twin.max_norm) == (3, net.lr, 0.5)
            other = copy.copy(net)
            for _ in range(3):
                other.train_step(x, labels)
                twin.train_step(x, labels)
            np.testing.assert_array_equal(twin._memory, other._memory)


def test_another_dtype_keeps_moments_and_count():
    net = network(np.float32, optimizer="adam", weight_decay=0.1)
    x, labels = batch(np.float32)
    for _ in range(3):
        net.train_step(x, labels)
    wide = net.astype(np.float64)
    assert wide.steps == 3
    assert wide.optimizer == Adam()
    np.testing.assert_array_equal(wide._memory, net._memory)
    net.train_step(x, labels)
    wide.train_step(x.astype(float), labels)
    np.testing.assert_allclose(net.params, wide.params, atol=1e-5)


def test_float32_counts_steps_exactly():
    """2²⁴ + 1 is no float32; the count and the correction it decides must not stop there."""
    net = network(np.float32, optimizer=Adam(beta2=0.9999999))
    net._memory[net._plan.settings_at + UPDATES] = ROUND - 2
    x, labels = batch(np.float32)
    for count in range(ROUND - 1, ROUND + 3):
        net.train_step(x, labels)
        assert net.steps == count
    assert pickle.loads(pickle.dumps(net)).steps == ROUND + 2


def test_a_beta_near_one_keeps_its_digits_in_float32():
    """1 - beta2 is what the average is made of; from a float32 beta2 it would be off by 1e-5."""
    net = network(np.float32, optimizer="adam")
    x, labels = batch(np.float32)
    net.forward(x)
    net.backward(labels)
    gradient = net.grads.astype(float)
    net.train_step(x, labels)
    second = net._memory[3 * net.params.size : 4 * net.params.size]
    np.testing.assert_allclose(second, 0.001 * gradient**2, rtol=3e-7)


def test_settings_can_change_between_steps():
    net = network(optimizer="nesterov", momentum=0.5)
    net.momentum, net.weight_decay, net.max_norm, net.lr = 0.75, 0.1, 2, 0.5
    assert net.optimizer == Nesterov(0.75)
    assert (net.momentum, net.weight_decay, net.max_norm, net.lr) == (0.75, 0.1, 2.0, 0.5)
    net.max_norm = None
    assert net.max_norm is None
    assert network(optimizer="adamw").weight_decay == 0.01
    assert network(optimizer=AdamW(weight_decay=0.5)).weight_decay == 0.5
    assert network(optimizer="adamw", weight_decay=0).weight_decay == 0
    assert network(optimizer="adam").weight_decay == 0
    assert network(optimizer="adam").momentum == 0
    assert network(momentum=0.5).optimizer == Momentum(0.5)
    assert network(optimizer=Momentum(0.5)).momentum == 0.5
    with pytest.raises(AttributeError):
        net.optimizer = "adam"


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"optimizer": "adamm"}, ValueError, r"MLP: optimizer is 'adamm'.*did you mean 'adam'"),
        ({"optimizer": 3}, TypeError, "MLP: optimizer is 3, expected one of momentum, nesterov"),
        ({"optimizer": Adam}, TypeError, "MLP: optimizer is .*expected one of"),
        ({"optimizer": "adam", "momentum": 0.9}, ValueError,
         "MLP: momentum is 0.9, expected 0 with adam"),
        ({"optimizer": Adam(), "momentum": 0.9}, ValueError, "momentum is 0.9, expected"),
        ({"optimizer": Momentum(0.5), "momentum": 0.9}, ValueError,
         r"MLP: momentum is 0.9, expected it inside Momentum\(momentum=0.5\) alone"),
        ({"optimizer": "nesterov", "momentum": 2}, ValueError, "MLP: momentum is 2.0, expected"),
        ({"momentum": "big"}, TypeError, "MLP: momentum is 'big', expected a real number"),
        ({"weight_decay": -1}, ValueError, r"MLP: weight_decay is -1.0, expected .*\[0, inf\]"),
        ({"weight_decay": "1"}, TypeError, "MLP: weight_decay is '1'"),
        ({"max_norm": -1.0}, ValueError, "MLP: max_norm is -1.0, expected"),
        ({"max_norm": np.inf}, ValueError, "MLP: max_norm is inf, expected"),
        ({"max_norm": np.nan}, ValueError, "MLP: max_norm is nan, expected"),
        ({"optimizer": Adam(eps=1e300), "dtype": np.float32}, ValueError,
         "MLP: optimizer Adam.*is 1e\\+300, expected a number that float32 can hold"),
    ],
)  # fmt: skip
def test_wrong_settings(options, kind, message):
    with pytest.raises(kind, match=message):
        network(**{"dtype": np.float64} | options)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: Adam(beta1=1.0), ValueError, r"Adam: beta1 is 1.0, expected a number in \[0, 1\)"),
        (lambda: Adam(beta2=-0.1), ValueError, r"Adam: beta2 is -0.1, expected"),
        (lambda: AdamW(beta2=np.nan), ValueError, "AdamW: beta2 is nan, expected"),
        (lambda: Adam(eps=-1e-8), ValueError, "Adam: eps is -1e-08, expected"),
        (lambda: AdamW(weight_decay=-1), ValueError, "AdamW: weight_decay is -1.0, expected"),
        (lambda: Momentum("a"), TypeError, "momentum is 'a', expected a real number"),
    ],
)
def test_wrong_objects(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_a_refused_setting_changes_nothing():
    net = network(optimizer="nesterov", momentum=0.5)
    before = net._memory.copy()
    for name, value in (("momentum", 2), ("lr", np.nan), ("weight_decay", -1), ("max_norm", "1")):
        with pytest.raises((TypeError, ValueError), match=f"MLP: {name} is "):
            setattr(net, name, value)
    with pytest.raises(ValueError, match="expected 0 with adam"):
        network(optimizer="adam").momentum = 0.5
    np.testing.assert_array_equal(net._memory, before)
    assert net.optimizer == Nesterov(0.5)


def test_nesterov_by_name_has_momentum():
    """With 0 it would be plain gradient descent."""
    assert network(optimizer="nesterov").momentum == 0.9
    assert network(optimizer="nesterov", momentum=0.0).momentum == 0.0
    assert network().momentum == 0.0


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "nesterov"])
def test_a_momentum_that_is_0_leaves_the_moments_of_others(optimizer, rng):
    net = MLP(3, 2, optimizer=optimizer)
    net.train_step(rng.standard_normal((5, 3)), [0, 1, 0, 1, 1])
    before = net._memory[net._plan.velocity_at :][: net._plan.n_parameters].copy()
    assert before.any()
    net.momentum = 0
    np.testing.assert_array_equal(
        net._memory[net._plan.velocity_at :][: net._plan.n_parameters], before
    )
