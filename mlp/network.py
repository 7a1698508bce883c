"""MLP: the course's interface over one compiled engine."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kernels.boundary import first_out_of_range, to_array, to_floats, to_labels
from kernels.op import OPS
from mlp import engine
from mlp.initializers import INITIALIZERS, by_name, default_initializer
from mlp.layers import CRITERIA, Activation, Array, BatchNorm, Criterion, Linear
from mlp.plan import (
    ACTIVATION,
    AFFINE,
    BATCHNORM,
    D_OUTPUT,
    DX,
    DY,
    LEARNING_RATE,
    LOSSES,
    MOMENTUM,
    OUTPUT,
    SOFTMAX_LABELS,
    SOFTMAX_SOFT,
    SQUARES,
    TRAINING,
    WIDTH_IN,
    WIDTH_OUT,
    OpSpec,
    Plan,
    X,
    Y,
    aligned_zeros,
)

NO_LABELS = np.empty(0, np.int64)
DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


class MLP:
    """A multilayer perceptron: Linear, optional BatchNorm and activation, layer by layer.

    Parameters
    ----------
    input_size, output_size : int
        Widths of the input and of the output.
    hiddens : sequence of int
        Widths of the hidden layers.
    activations : str or sequence
        A name: that activation on every hidden layer and identity on the output, which
        then gives logits. A sequence of names or `Activation` objects is taken as given,
        one for each layer, the output's included.
    weight_init_fn : callable or str, optional
        `(in, out)` to an array (in, out), called in the order of the layers; or "he",
        "xavier", "zeros". Default: he before the ReLU family, xavier elsewhere.
    bias_init_fn : callable, optional
        `(out)` to an array (1, out) or (out,). Default: zeros.
    criterion : str or Criterion
        "softmax_cross_entropy", which is logsumexp(z) - y·z, or "mse".
    lr, momentum : float
        velocity = momentum·velocity - lr·gradient; parameter += velocity. Gammas and betas
        are updated without momentum.
    num_bn_layers : int
        The first so many layers have a BatchNorm between Linear and activation.
    dtype : float32 or float64
        Of every array; the gradients are exact for a loss computed in it.
    seed : int, SeedSequence or Generator
        Source of the default initial weights.
    reduction : "mean" or "sum"
        How the losses of a batch make the scalar that every gradient is the gradient of.

    Attributes
    ----------
    params, grads : the flat vectors; weights and biases of each layer in order, then gammas
        and betas. Assigning writes into them.
    linear_layers, bn_layers, activations : the layers, as views.
    output : the last activation of the last forward.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        hiddens: Sequence[int] = (),
        activations: str | Sequence[str | Activation] = "relu",
        weight_init_fn: str | Callable[[int, int], Any] | None = None,
        bias_init_fn: Callable[[int], Any] | None = None,
        criterion: str | Criterion = "softmax_cross_entropy",
        lr: float = 0.01,
        momentum: float = 0.0,
        num_bn_layers: int = 0,
        *,
        dtype: Any = np.float64,
        seed: Any = 0,
        reduction: str = "mean",
    ):
        sizes = [input_size, *as_sequence("hiddens", hiddens), output_size]
        widths = [whole("a layer's width", size, low=1) for size in sizes]
        self.nlayers = len(widths) - 1
        self.num_bn_layers = whole("num_bn_layers", num_bn_layers, low=0, high=self.nlayers)
        self.bn = self.num_bn_layers > 0
        self.dtype = as_dtype(dtype)
        self.reduction = by_name("MLP: reduction", reduction, ("mean", "sum"))
        self.criterion = as_criterion(criterion)
        self.activations = as_activations(activations, self.nlayers)

        initialize = as_weight_init(weight_init_fn, self.activations, np.random.default_rng(seed))
        self.linear_layers = [
            initial_linear(i, widths[i], widths[i + 1], initialize, bias_init_fn, self.dtype)
            for i in range(self.nlayers)
        ]
        self.bn_layers = [BatchNorm(w, dtype=self.dtype) for w in widths[1:][:num_bn_layers]]
        self._plan = Plan(self._specs(widths))
        self._memory = aligned_zeros(self._plan.memory_size, self.dtype)
        self._no_targets = np.empty((0, output_size), self.dtype)
        self._bind_layers()
        self._set_capacity(1)
        self.lr = lr
        self.momentum = momentum
        self.train()

    # ------------------------------------------------------------------ building

    def _specs(self, widths: list[int]) -> list[OpSpec]:
        specs = []
        self._last_ops = []  # of each layer, its activation's place among the ops
        self._first_ops = []
        for i, (n_in, n_out) in enumerate(zip(widths, widths[1:], strict=False)):
            self._first_ops.append(len(specs))
            specs.append(OpSpec(AFFINE, n_in, n_out))
            if i < self.num_bn_layers:
                bn = self.bn_layers[i]
                specs.append(OpSpec(BATCHNORM, n_out, n_out, settings=(bn.eps, bn.alpha)))
            activation = self.activations[i]
            settings = tuple(activation.settings.values())
            specs.append(OpSpec(ACTIVATION, n_out, n_out, activation.code, settings))
            self._last_ops.append(len(specs) - 1)
        return specs

    def _bind_layers(self) -> None:
        """Put the layers' values in the flat vectors, and make the layers views of them."""
        plan, memory = self._plan, self._memory
        shifts = {"": 0, "d": plan.gradients_at, "momentum_": plan.velocity_at}

        def view(start: int, rows: int, columns: int) -> Array:
            return memory[start : start + rows * columns].reshape(rows, columns)

        linears, bns = iter(self.linear_layers), iter(self.bn_layers)
        for i, spec in enumerate(plan.specs):
            memory[plan.settings[i] :][: len(spec.settings)] = spec.settings
            n_in, n_out = spec.width_in, spec.width_out
            dx = self._reader(i, DX, WIDTH_IN)
            if spec.kind == AFFINE:
                w, b = plan.parameters[i]
                views = {p + "W": view(s + w, n_in, n_out) for p, s in shifts.items()}
                views |= {p + "b": view(s + b, 1, n_out) for p, s in shifts.items()}
                next(linears).bind(dx, **views)
            elif spec.kind == BATCHNORM:
                gamma, beta = (view(start, 1, n_out) for start in plan.parameters[i])
                mean, var = (view(start, 1, n_out) for start in plan.running[i])
                dgamma, dbeta = (
                    view(plan.gradients_at + start, 1, n_out) for start in plan.parameters[i]
                )
                next(bns).bind(dx, gamma=gamma, beta=beta, dgamma=dgamma, dbeta=dbeta,
                               running_mean=mean, running_var=var)
        for activation, i in zip(self.activations, self._last_ops, strict=True):
            activation.bind(self._reader(i, X, WIDTH_IN), self._reader(i, Y, WIDTH_OUT))

    def _reader(self, op: int, column: int, width: int) -> Callable[[], Array | None]:
        """A function that copies an array of the last batch out of the arena, if it is there."""

        def read() -> Array | None:
            if self._rows is None or (column in (DX, DY) and not self._has_gradients):
                return None
            start, size = self._table[1 + op, column], self._rows * self._table[1 + op, width]
            return self._arena[start : start + size].reshape(self._rows, -1).copy()

        return read

    def _set_capacity(self, rows: int) -> None:
        """Make room for batches of `rows` rows. What the arena held is gone."""
        training = self.train_mode if hasattr(self, "_table") else True
        self._capacity = rows
        self._table, size = self._plan.table(rows, mean_reduction=self.reduction == "mean")
        self._table[0, TRAINING] = training
        self._arena = aligned_zeros(size, self.dtype)
        self._rows: int | None = None  # of the last forward
        self._can_backward = self._has_gradients = False

    # ------------------------------------------------------------------ settings and vectors

    @property
    def params(self) -> Array:
        return self._memory[: self._plan.n_parameters]

    @params.setter
    def params(self, values: Any) -> None:
        self._assign("params", self.params, values)

    @property
    def grads(self) -> Array:
        return self._memory[self._plan.gradients_at :][: self._plan.n_parameters]

    @grads.setter
    def grads(self, values: Any) -> None:
        self._assign("grads", self.grads, values)

    def _assign(self, name: str, vector: Array, values: Any) -> None:
        new = to_floats(f"MLP.{name}", values, self.dtype)
        if new.shape != vector.shape:
            raise ValueError(f"MLP.{name} is given shape {new.shape}, expected {vector.shape}")
        vector[:] = new

    @property
    def lr(self) -> float:
        return float(self._memory[self._plan.settings_at + LEARNING_RATE])

    @lr.setter
    def lr(self, value: float) -> None:
        checked = OPS["momentum"].hyper["lr"].check("MLP: lr", value)
        self._memory[self._plan.settings_at + LEARNING_RATE] = checked

    @property
    def momentum(self) -> float:
        return float(self._memory[self._plan.settings_at + MOMENTUM])

    @momentum.setter
    def momentum(self, value: float) -> None:
        checked = OPS["momentum"].hyper["momentum"].check("MLP: momentum", value)
        self._memory[self._plan.settings_at + MOMENTUM] = checked

    @property
    def train_mode(self) -> bool:
        """Whether batchnorm takes its statistics from the batch."""
        return bool(self._table[0, TRAINING])

    def train(self) -> None:
        """Statistics from the batch; running averages follow it."""
        self._set_mode(True)

    def eval(self) -> None:
        """Statistics are the running averages, which stay as they are."""
        self._set_mode(False)

    def _set_mode(self, training: bool) -> None:
        self._can_backward = self._can_backward and training == self.train_mode
        self._table[0, TRAINING] = training

    # ------------------------------------------------------------------ forward and backward

    def forward(self, x: Any) -> Array:
        """The network's output for a batch x (N, input_size): an array of its own."""
        x = self._check_batch("forward", x)
        self._reserve(x)
        engine.load(self._table, self._arena, x)
        engine.forward(self._table, self._memory, self._arena, len(x))
        self._can_backward = True
        return self.output

    __call__ = forward

    def backward(self, labels: Any) -> Array:
        """Gradients of the loss of the last forward against `labels`.

        Fills every layer's gradients and returns the gradient with respect to the input.

        Parameters
        ----------
        labels : integer classes (N,), or one-hot, soft or (for mse) target rows
            (N, output_size).
        """
        if not self._can_backward:
            raise ValueError("MLP.backward: got no activations of the present parameters, "
                             "expected a forward before it")
        n = self._rows
        arguments = self._check_labels("backward", labels, n)
        engine.loss_and_backward(self._table, self._memory, self._arena, n, *arguments)
        self._has_gradients = True
        return self._reader(0, DX, WIDTH_IN)()

    def zero_grads(self) -> None:
        """Set every gradient to zero. (`backward` overwrites; it never adds.)"""
        self.grads[:] = 0

    def step(self) -> None:
        """Update the parameters along the last gradients."""
        engine.update(self._table, self._memory)
        self._can_backward = False

    def train_step(self, x: Any, labels: Any) -> float:
        """Forward, backward and update in one compiled call; returns the loss before it."""
        x = self._check_batch("train_step", x)
        arguments = self._check_labels("train_step", labels, len(x))
        if not self.train_mode:
            raise ValueError("MLP.train_step: the network is in evaluation mode, expected train() "
                             "before")
        self._reserve(x)
        loss = engine.step(self._table, self._memory, self._arena, x, *arguments)
        self._has_gradients = True
        return float(loss)

    # ------------------------------------------------------------------ what came out

    @property
    def output(self) -> Array | None:
        return self._reader(self._last_ops[-1], Y, WIDTH_OUT)()

    @property
    def layer_outputs(self) -> list[Array]:
        """Each layer's output after activation, for the last batch."""
        self._last_output("layer_outputs")
        return [self._reader(i, Y, WIDTH_OUT)() for i in self._last_ops]

    @property
    def layer_gradients(self) -> list[Array]:
        """The gradient with respect to each layer's output, from the last backward."""
        if not self._has_gradients:
            raise ValueError("MLP.layer_gradients: got no gradients, expected a backward before")
        return [self._reader(i, DY, WIDTH_OUT)() for i in self._last_ops]

    def total_loss(self, labels: Any) -> float:
        """The sum over the last batch of each sample's loss."""
        output = self._last_output("total_loss")
        kind, classes, targets = self._arranged(self._check_labels("total_loss", labels, len(output)))
        return float(self.criterion.forward(output, classes if kind == SOFTMAX_LABELS else targets).sum())

    def error(self, labels: Any) -> int:
        """How many samples of the last batch have their largest output in the wrong place."""
        output = self._last_output("error")
        kind, classes, targets = self._arranged(self._check_labels("error", labels, len(output)))
        truth = classes if kind == SOFTMAX_LABELS else targets.argmax(axis=1)
        return int((output.argmax(axis=1) != truth).sum())

    def _last_output(self, method: str) -> Array:
        output = self.output
        if output is None:
            raise ValueError(f"MLP.{method}: got no output, expected a forward before it")
        return output

    def __repr__(self) -> str:
        widths = [layer.W.shape[0] for layer in self.linear_layers] + [self._no_targets.shape[1]]
        names = ", ".join(activation.name for activation in self.activations)
        return (f"<MLP {'-'.join(map(str, widths))}, {names}, {self.num_bn_layers} batchnorm, "
                f"{self.dtype}, {self._plan.n_parameters} parameters>")

    # ------------------------------------------------------------------ the boundary

    def _check_batch(self, method: str, x: Any) -> Array:
        where = f"MLP.{method}: x"
        x = to_floats(where, x, self.dtype)
        width = self._table[1, WIDTH_IN]
        if x.ndim != 2 or x.shape[1] != width:
            raise ValueError(f"{where} has shape {x.shape}, expected (N, {width})")
        if len(x) == 1 and self.bn and self.train_mode:
            raise ValueError(f"{where} has 1 row, expected at least 2: with one sample batchnorm in "
                             "training has no variance")
        return x

    def _check_labels(self, method: str, labels: Any, n: int | None) -> tuple[Array, Array, int]:
        """The engine's labels, targets and kind of loss."""
        where, m = f"MLP.{method}: labels", self._no_targets.shape[1]
        is_classes = self.criterion.name == "softmax_cross_entropy" and np.ndim(labels) == 1
        if is_classes:
            classes = to_labels(where, labels)
            if len(classes) != n:
                raise ValueError(f"{where} has {len(classes)} rows, expected {n}")
            wrong = first_out_of_range(classes, m)
            if wrong >= 0:
                raise ValueError(f"{where}[{wrong}] is {classes[wrong]}, expected a class from 0 "
                                 f"to {m - 1}")
            return classes, self._no_targets, SOFTMAX_LABELS
        targets = to_floats(where, labels, self.dtype)
        if targets.shape != (n, m):
            raise ValueError(f"{where} has shape {targets.shape}, expected ({n}, {m})")
        return NO_LABELS, targets, SQUARES if self.criterion.name == "mse" else SOFTMAX_SOFT

    def _reserve(self, x: Array) -> None:
        if len(x) > self._capacity:
            self._set_capacity(len(x))
        self._rows = len(x)
        self._can_backward = self._has_gradients = False


# ------------------------------------------------------------------ arguments of the constructor


def as_sequence(name: str, value: Any) -> list[Any]:
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise TypeError(f"MLP: {name} is {value!r}, expected a sequence")
    return list(value)


def whole(name: str, value: Any, low: int, high: int | None = None) -> int:
    """`value` as an int in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"MLP: {name} is {value!r}, expected a whole number")
    if value < low or (high is not None and value > high):
        bound = f"at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"MLP: {name} is {value}, expected {bound}")
    return int(value)


def as_dtype(value: Any) -> np.dtype:
    try:
        dtype = np.dtype(value)
    except TypeError:
        dtype = None
    if dtype not in DTYPES:
        raise TypeError(f"MLP: dtype is {value!r}, expected float32 or float64")
    return dtype


def as_criterion(value: Any) -> Criterion:
    if isinstance(value, Criterion):
        return value
    if not isinstance(value, str):
        raise TypeError(f"MLP: criterion is {value!r}, expected one of {', '.join(CRITERIA)}")
    return CRITERIA[by_name("MLP: criterion", value, CRITERIA)]()


def as_activations(value: Any, nlayers: int) -> list[Activation]:
    """One activation for each layer, each an object of the network's own."""
    if isinstance(value, str):
        value = [value] * (nlayers - 1) + ["identity"]
    given = as_sequence("activations", value)
    if len(given) != nlayers:
        raise ValueError(f"MLP: activations has {len(given)} entries, expected {nlayers}: one for "
                         "each hidden layer and one for the output")
    return [as_activation(i, activation) for i, activation in enumerate(given)]


def as_activation(i: int, value: Any) -> Activation:
    if isinstance(value, Activation):
        return value.copy()
    if not isinstance(value, str):
        raise TypeError(f"MLP: activations[{i}] is {value!r}, expected a name or an Activation")
    return Activation(value)


def as_weight_init(
    value: Any, activations: list[Activation], rng: np.random.Generator
) -> Callable[[int, int, int], Any]:
    """A function of (layer, in, out) that gives the first weights."""
    if callable(value):
        return lambda i, n_in, n_out: value(n_in, n_out)
    if value is None:
        return lambda i, n_in, n_out: default_initializer(activations[i].name)(rng, n_in, n_out)
    if not isinstance(value, str):
        raise TypeError(f"MLP: weight_init_fn is {value!r}, expected a function of (in, out) or "
                        f"one of {', '.join(INITIALIZERS)}")
    initializer = INITIALIZERS[by_name("MLP: weight_init_fn", value, INITIALIZERS)]
    return lambda i, n_in, n_out: initializer(rng, n_in, n_out)


def initial_linear(
    i: int, n_in: int, n_out: int, weights: Callable[[int, int, int], Any],
    biases: Callable[[int], Any] | None, dtype: np.dtype,
) -> Linear:
    if biases is not None and not callable(biases):
        raise TypeError(f"MLP: bias_init_fn is {biases!r}, expected a function of (out)")

    def cast(value: Any) -> Array:
        """The network's dtype: a user's function need not know it."""
        return to_array(f"MLP: initial value of layer {i}", value, "fiub", "an array").astype(dtype)

    return Linear(
        n_in, n_out, lambda a, b: cast(weights(i, a, b)),
        None if biases is None else lambda out: cast(biases(out)), dtype,
    )
