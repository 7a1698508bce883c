"""MLP: the course's interface over one compiled engine."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from kernels.jit import direct
from mlp import engine
from mlp.activations import Activation, as_activations
from mlp.arguments import as_dtype, as_generator, as_sequence, by_name, whole
from mlp.batches import NO_LABELS, Boundary, as_words
from mlp.compiled import jit, jit_train_step
from mlp.copies import Copies
from mlp.criteria import Criterion, as_criterion
from mlp.gradients import Gradients
from mlp.history import History
from mlp.inference import evaluate, predict, predict_proba
from mlp.initializers import as_weight_init
from mlp.last_batch import LastBatch
from mlp.layers import GRADIENTS, Array, BatchNorm, Linear, checked_floats
from mlp.link import link
from mlp.optimizers import Optimizer, as_optimizer
from mlp.plan import (
    ACTIVATION,
    AFFINE,
    BACKWARD,
    BATCHNORM,
    DX,
    FORWARD,
    KEEP,
    LOSE,
    LOSS_OF_ROWS,
    SOFTMAX_LABELS,
    TRAINING,
    UPDATE,
    WIDTH_IN,
    WIDTH_OUT,
    OpSpec,
    Plan,
    X,
    Y,
    aligned_zeros,
    arena_of,
    rows_of,
)
from mlp.settings import UpdateSettings
from mlp.threads import POOL, Pace, shared_batch
from mlp.training import fit, train_step


class MLP(UpdateSettings, LastBatch, Copies):
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
        are updated without momentum. Default: 0, and 0.9 in "nesterov".
    optimizer : str or Optimizer
        "momentum" (that, which is gradient descent without momentum), "nesterov", "adam" or
        "adamw", with their usual settings; or an object of `mlp.optimizers`.
    weight_decay : float, optional
        For every parameter, biases included: added to the gradient as weight_decay·parameter,
        or decoupled from it in AdamW. Default: 0, and 0.01 in AdamW.
    max_norm : float, optional
        Gradients whose global norm is larger are scaled down to it. Default: no limit.
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
        and betas. Assigning writes into them. Running statistics are not parameters: to keep
        a whole network, pickle or copy it.
    linear_layers, bn_layers, activations : the layers, as views.
    output : the last activation of the last forward.
    history : of the last `fit`; None before one, and in a copy.
    """

    train_step, fit = train_step, fit
    jit, jit_train_step = jit, jit_train_step
    predict, predict_proba, evaluate = predict, predict_proba, evaluate
    history: History | None = None

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
        momentum: float | None = None,
        num_bn_layers: int = 0,
        *,
        dtype: Any = np.float64,
        seed: Any = 0,
        reduction: str = "mean",
        optimizer: str | Optimizer = "momentum",
        weight_decay: float | None = None,
        max_norm: float | None = None,
    ):
        sizes = [input_size, *as_sequence("MLP: hiddens", hiddens), output_size]
        self._widths = [whole("MLP: a layer's width", size, low=1) for size in sizes]
        self.nlayers = len(self._widths) - 1
        self.num_bn_layers = whole("MLP: num_bn_layers", num_bn_layers, low=0, high=self.nlayers)
        self.bn = self.num_bn_layers > 0
        self.dtype = as_dtype("MLP", dtype)
        self._reduction = by_name("MLP: reduction", reduction, ("mean", "sum"))
        self.criterion = as_criterion(criterion)
        self.activations = as_activations(activations, self.nlayers)
        rng = as_generator("MLP: seed", seed)
        initialize = as_weight_init(weight_init_fn, self.activations, rng)
        shapes = list(zip(self._widths, self._widths[1:], strict=False))
        self.linear_layers = [
            Linear(n_in, n_out, initialize(i), bias_init_fn, self.dtype)
            for i, (n_in, n_out) in enumerate(shapes)
        ]
        self.bn_layers = [
            BatchNorm(n_out, dtype=self.dtype) for _, n_out in shapes[: self.num_bn_layers]
        ]
        self._optimizer = as_optimizer(optimizer, momentum)
        self._plan = Plan(self._specs(), self._optimizer.code, self._optimizer.moments)
        self._memory = aligned_zeros(self._plan.memory_size, self.dtype)
        self._shared_batch = shared_batch(self._plan.work, self.nlayers)
        self._pace = Pace()
        self._bind_layers()
        self._boundary = Boundary(
            self._widths[0], self._widths[-1], self.dtype, self.criterion.name
        )
        self._training = True
        self._prepared: tuple[int, ...] | None = None  # shape of x, where the last was a step
        self._activations_of: int | None = None  # the update after which forward left them
        self._make_room(1)
        self._set_up(lr, weight_decay, max_norm)

    _make = __init__

    # ------------------------------------------------------------------ building

    def _specs(self) -> list[OpSpec]:
        """The ops in the order of forward; also where each layer ends among them."""
        specs: list[OpSpec] = []
        self._last_ops: list[int] = []
        for i, (linear, activation) in enumerate(
            zip(self.linear_layers, self.activations, strict=True)
        ):
            n_in, n_out = linear.W.shape
            specs.append(OpSpec(AFFINE, n_in, n_out))
            if i < self.num_bn_layers:
                bn = self.bn_layers[i]
                specs.append(OpSpec(BATCHNORM, n_out, n_out, settings=(bn.eps, bn.alpha)))
            settings = tuple(activation.settings.values())
            specs.append(OpSpec(ACTIVATION, n_out, n_out, activation.code, settings))
            self._last_ops.append(len(specs) - 1)
        return specs

    def _bind_layers(self) -> None:
        """Put the layers' values in the flat vectors, and make the layers views of them."""
        layers = {AFFINE: iter(self.linear_layers), BATCHNORM: iter(self.bn_layers)}
        vector = self._memory[self._plan.gradients_at :][: self._plan.n_parameters]
        self._gradients = Gradients(vector, lambda: self.steps)
        look = self._gradients.forget_stale
        for i, spec in enumerate(self._plan.specs):
            if spec.kind in layers:
                views = self._plan.views(self._memory, i)
                self._gradients.keys |= {(i, name) for name in views if name in GRADIENTS}
                dx, write = self._reader(i, DX, WIDTH_IN), partial(self._before_writing, i)
                next(layers[spec.kind]).bind(views, dx, look, write)
            else:
                place = self._plan.settings[i]
                self._memory[place : place + len(spec.settings)] = spec.settings
        for activation, i in zip(self.activations, self._last_ops, strict=True):
            activation.bind(self._reader(i, X, WIDTH_IN), self._reader(i, Y, WIDTH_OUT))

    def _before_writing(self, op: int, name: str) -> None:
        """An array of a layer is about to be assigned; the next step is to forget a gradient."""
        if name in GRADIENTS:
            self._gradients.give((op, name))
            self._prepared = None
        else:
            self._parameters_changed()

    def _parameters_changed(self) -> None:
        self._activations_of = None

    def _make_room(self, rows: int) -> None:
        """A state for batches of up to `rows` rows. What the old one's arena held is gone.

        Nothing changes before the memory is there: a batch too large leaves things as they were.
        """
        state = self._new_state(rows)
        state[TRAINING] = self._training
        self._state, self._capacity = state, rows
        self._engine: Callable[..., float] = self._first_call
        self._table, self._arena = rows_of(state), arena_of(state, self.dtype)
        self._rows: int | None = None  # of the last forward
        self._prepared = None
        self._has_gradients = False

    def _new_state(self, rows: int) -> Array:
        state = self._plan.state(rows, self.dtype, mean_reduction=self.reduction == "mean")
        state[LOSS_OF_ROWS] = self._boundary.loss_of_rows
        return state

    def _linked_state(self, rows: int, largest: int | None = None) -> Array:
        """A state of its own, for whoever calls the engine with it: it has all the addresses that
        batches of up to `largest` rows need, if that is more than there is room for.
        """
        state = self._new_state(rows)
        link(state, self._plan.specs, self.dtype, rows if largest is None else largest)
        return state

    # ------------------------------------------------------------------ settings and vectors

    @property
    def reduction(self) -> str:
        """How losses are reduced: mean or sum. Fixed when the network is made."""
        return self._reduction

    @property
    def params(self) -> Array:
        return self._memory[: self._plan.n_parameters]

    @params.setter
    def params(self, values: Any) -> None:
        self._assign("params", self.params, values)
        self._parameters_changed()

    @property
    def grads(self) -> Array:
        self._gradients.forget_stale()
        return self._gradients.vector

    @grads.setter
    def grads(self, values: Any) -> None:
        self._assign("grads", self._gradients.vector, values)
        self._hold_gradients()

    def _assign(self, name: str, vector: Array, values: Any) -> None:
        new = checked_floats(f"MLP.{name}", values, self.dtype)
        if new.shape != vector.shape:
            raise ValueError(f"MLP.{name} is given shape {new.shape}, expected {vector.shape}")
        vector[:] = new

    @property
    def train_mode(self) -> bool:
        """Whether batchnorm takes its statistics from the batch."""
        return self._training

    def train(self) -> None:
        """Statistics from the batch; running averages follow it."""
        self._set_mode(True)

    def eval(self) -> None:
        """Statistics are the running averages, which stay as they are."""
        self._set_mode(False)

    def _set_mode(self, training: bool) -> None:
        if training != self._training:
            self._activations_of = None
        self._training = self._state[TRAINING] = training
        self._prepared = None

    # ------------------------------------------------------------------ forward and backward

    def forward(self, x: Any) -> Array:
        """The network's output for a batch x (N, input_size): an array of its own."""
        x = self._boundary.batch("MLP.forward: x", x, needs_variance=self.bn and self._training)
        self._reserve(len(x))
        self._run(FORWARD | KEEP, x, NO_LABELS)
        self._activations_of = self.steps
        return self._last_output("forward")

    __call__ = forward

    def backward(self, labels: Any) -> Array:
        """Gradients of the loss of the last forward against `labels`.

        Fills every layer's gradients and returns the gradient with respect to the input.

        Parameters
        ----------
        labels : integer classes (N,), or one-hot, soft or (for mse) target rows
            (N, output_size).
        """
        if self._activations_of != self.steps:  # steps of `jit_train_step` count, too
            raise ValueError(
                "MLP.backward: got no activations of the present parameters, "
                "expected a forward before it"
            )
        y, kind = self._boundary.labels("MLP.backward: labels", labels, self._rows)
        rows, width, start = len(y), self._widths[0], self._table[0, X]
        x = self._arena[start : start + rows * width].reshape(rows, width)
        self._run(LOSE | BACKWARD | KEEP, x, y, kind)
        self._has_gradients = True
        self._gradients.hold()
        return self._there(self._reader(0, DX, WIDTH_IN), "backward")

    def zero_grads(self) -> None:
        """Set every gradient to zero. (`backward` overwrites; it never adds.)"""
        self._gradients.vector[:] = 0
        self._hold_gradients()

    def _hold_gradients(self) -> None:
        """There are gradients again; the next training step is to forget them."""
        self._gradients.hold()
        self._prepared = None

    def step(self) -> None:
        """Update the parameters along the last gradients."""
        self._gradients.check("MLP.step")
        self._run(UPDATE, np.empty((0, self._widths[0]), self.dtype), NO_LABELS)
        self._gradients.hold()  # as they were before the step
        self._parameters_changed()

    def _run(self, command: int, x: Array, y: Array, kind: int = SOFTMAX_LABELS) -> float:
        """One command for one batch; returns the sum of its losses."""
        words = as_words(y, kind)
        return self._compute(self._state, x, words, command, len(x), kind)

    def _compute(
        self, state: Array, x: Array, words: Array, command: int, batch: int, kind: int
    ) -> float:
        """The engine's call, by several threads where a batch is large."""
        if batch < self._shared_batch:
            return self._engine(state, self._memory, x, words, command, batch, kind, 0, 1)
        arguments = state, self._memory, x, words, command, batch, kind
        return POOL.run(self._engine, arguments, self._pace)

    def _first_call(self, *arguments: Any) -> float:
        """The first call with a state: compiles or loads what it needs, and the engine, to which
        later ones go directly.

        It is called without a look at its arrays: they are the network's own, or have passed
        the boundary.
        """
        link(self._state, self._plan.specs, self.dtype, self._capacity)
        self._engine = direct(engine.run, *arguments)
        return self._engine(*arguments)

    def __repr__(self) -> str:
        widths = self._widths
        names = ", ".join(activation.name for activation in self.activations)
        return (
            f"<MLP {'-'.join(map(str, widths))}, {names}, {self.num_bn_layers} batchnorm, "
            f"{self.dtype}, {self._plan.n_parameters} parameters>"
        )

    def _reserve(self, rows: int) -> None:
        """Room for batches of so many rows; what was there of the last is gone."""
        if rows > self._capacity:
            self._make_room(rows)
        self._rows, self._prepared = rows, None
        self._parameters_changed()
        self._has_gradients = False
