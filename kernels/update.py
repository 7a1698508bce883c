"""Parameter updates, one pass each. Each reads all of an element before it writes: outputs
may be inputs.

Every update follows the gradient g = scale·dw + decay·w: `scale` clips by the global norm
(`global_norm_forward`, `clip_scale`), `decay` adds the gradient of decay/2·Σw² (L2). Where
papers differ the conventions are PyTorch's, but for momentum's: its velocity holds the
learning rate, as the course's does, so w follows PyTorch's while lr stays the same.
"""

import math

import numpy as np

from kernels.boundary import Hyper, kernel, kernel_inlined
from kernels.jit import jit, jit_as_written, jit_inlined
from kernels.op import Op

LEARNING_RATE = Hyper(0.01)
ADAM_LEARNING_RATE = Hyper(0.001)
MOMENTUM = Hyper(0.9, low=0.0, high=1.0)
SCALE = Hyper(1.0)
DECAY = Hyper(0.0, low=0.0)

SQUARES_UNDERFLOW = 1e-280
"""Below it a sum of squares may have lost digits to subnormal numbers."""
TINY, HUGE = 2.0**-600, 2.0**600
"""Powers of two, which scale without rounding."""


# ------------------------------------------------------------------------- global norm


@jit
def sum_of_squares(values, unit):
    """Σ (unit·values)², in float64."""
    total = 0.0
    for i in range(values.size):
        value = unit * np.float64(values[i])
        total += value * value
    return total


@jit_inlined
def norm(values):
    """√Σ values², in float64 whatever the dtype; no square overflows or vanishes.

    Squares of float32 fit float64. Where those of float64 do not, the values are scaled by
    a power of two and summed again. NaN gives NaN, infinity gives infinity.
    """
    total = sum_of_squares(values, 1.0)
    if total == math.inf:
        return math.sqrt(sum_of_squares(values, TINY)) * HUGE
    if total < SQUARES_UNDERFLOW:
        return math.sqrt(sum_of_squares(values, HUGE)) * TINY
    return math.sqrt(total)


@kernel
def global_norm_forward(dw, norm_of_all):
    """norm_of_all = √Σ dw², summed in float64."""
    norm_of_all[()] = norm(dw)


@jit_inlined
def clip_scale(norm_of_all, max_norm):
    """min(1, max_norm/norm): what a gradient is multiplied by so that its norm stays within
    max_norm (Pascanu et al. 2013, alg. 1). A norm that is NaN gives NaN.
    """
    return 1.0 if norm_of_all <= max_norm else max_norm / norm_of_all


# ------------------------------------------------------------ gradient descent, momentum


@kernel_inlined
def gradient_descent_update(w, dw, lr, scale, decay, w_next):
    """w_next = w - lr·g, with g = scale·dw + decay·w."""
    lr, scale, decay = w.dtype.type(lr), w.dtype.type(scale), w.dtype.type(decay)
    for i in range(w.size):
        w_next[i] = w[i] - lr * (scale * dw[i] + decay * w[i])


@kernel_inlined
def momentum_update(w, dw, velocity, lr, momentum, scale, decay, w_next, velocity_next):
    """velocity_next = momentum·velocity - lr·g;  w_next = w + velocity_next.

    Classical momentum (Polyak 1964) in the form of Sutskever et al. 2013, eq. 1-2.
    """
    lr, momentum = w.dtype.type(lr), w.dtype.type(momentum)
    scale, decay = w.dtype.type(scale), w.dtype.type(decay)
    for i in range(w.size):
        v = momentum * velocity[i] - lr * (scale * dw[i] + decay * w[i])
        w_next[i] = w[i] + v
        velocity_next[i] = v


@kernel_inlined
def nesterov_update(w, dw, velocity, lr, momentum, scale, decay, w_next, velocity_next):
    """velocity_next = momentum·velocity - lr·g;  w_next = w + momentum·velocity_next - lr·g.

    Sutskever et al. 2013, eq. 3-4, with w the point at which the gradient is taken (their
    θ + momentum·velocity), as PyTorch has it.
    """
    lr, momentum = w.dtype.type(lr), w.dtype.type(momentum)
    scale, decay = w.dtype.type(scale), w.dtype.type(decay)
    for i in range(w.size):
        descent = lr * (scale * dw[i] + decay * w[i])
        v = momentum * velocity[i] - descent
        w_next[i] = w[i] + (momentum * v - descent)
        velocity_next[i] = v


# -------------------------------------------------------------------------------- Adam


@jit_as_written
def blend(old, weight, new, rest):
    """weight·old + rest·new, where rest is 1 - weight.

    As it stands: the compiler would make it new + weight·(old - new), in which an infinite
    `new` is NaN.
    """
    return weight * old + rest * new


@kernel_inlined
def adam_update(
    w, dw, m, v, lr, beta1, beta2, eps, correction1, correction2, scale, decay,
    w_next, m_next, v_next,
):  # fmt: skip
    """m_next = β₁·m + (1 - β₁)·g;  v_next = β₂·v + (1 - β₂)·g²;  w_next = w - lr·m̂/(√v̂ + eps).

    m̂ = m_next/correction1 and v̂ = v_next/correction2, with the corrections 1 - β₁ᵗ and
    1 - β₂ᵗ of step t = 1, 2, …, which the caller has in float64. Kingma & Ba 2015, alg. 1
    (arXiv:1412.6980). A gradient whose square overflows the dtype (1.8e19 in float32) makes
    v infinite, and from then on the step is 0.
    """
    kind = w.dtype.type
    rate, root = kind(lr / correction1), kind(math.sqrt(correction2))
    rest1, rest2 = kind(1.0 - beta1), kind(1.0 - beta2)
    beta1, beta2, eps = kind(beta1), kind(beta2), kind(eps)
    scale, decay = kind(scale), kind(decay)
    for i in range(w.size):
        g = scale * dw[i] + decay * w[i]
        first, second = blend(m[i], beta1, g, rest1), blend(v[i], beta2, g * g, rest2)
        w_next[i] = w[i] - rate * first / (np.sqrt(second) / root + eps)
        m_next[i], v_next[i] = first, second


@kernel_inlined
def adamw_update(
    w, dw, m, v, lr, beta1, beta2, eps, correction1, correction2, scale, decay,
    w_next, m_next, v_next,
):  # fmt: skip
    """Adam of g = scale·dw from the point (1 - lr·decay)·w: the decay is decoupled.

    Loshchilov & Hutter 2019, alg. 2 (arXiv:1711.05101), with the decay multiplied by the
    learning rate, as PyTorch has it.
    """
    kind = w.dtype.type
    rate, root = kind(lr / correction1), kind(math.sqrt(correction2))
    keep = kind(1.0 - lr * decay)
    rest1, rest2 = kind(1.0 - beta1), kind(1.0 - beta2)
    beta1, beta2, eps, scale = kind(beta1), kind(beta2), kind(eps), kind(scale)
    for i in range(w.size):
        g = scale * dw[i]
        first, second = blend(m[i], beta1, g, rest1), blend(v[i], beta2, g * g, rest2)
        w_next[i] = keep * w[i] - rate * first / (np.sqrt(second) / root + eps)
        m_next[i], v_next[i] = first, second


# --------------------------------------------------------------------- running average


@kernel
def running_average_update(average, value, alpha, average_next):
    """average_next = alpha·average + (1 - alpha)·value: alpha is the weight of the old one."""
    alpha = average.dtype.type(alpha)
    rest = average.dtype.type(1) - alpha
    for i in range(average.size):
        average_next[i] = blend(average[i], alpha, value[i], rest)


# -------------------------------------------------------- references and declarations


def momentum_reference(w, dw, velocity, lr, momentum, scale, decay):
    velocity_next = momentum * velocity - lr * (scale * dw + decay * w)
    return w + velocity_next, velocity_next


def nesterov_reference(w, dw, velocity, lr, momentum, scale, decay):
    g = scale * dw + decay * w
    velocity_next = momentum * velocity - lr * g
    return w + momentum * velocity_next - lr * g, velocity_next


def adam_reference(
    w, dw, m, v, lr, beta1, beta2, eps, correction1, correction2, scale, decay
):  # fmt: skip
    g = scale * dw + decay * w
    m_next, v_next = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    step = lr * (m_next / correction1) / (np.sqrt(v_next / correction2) + eps)
    return w - step, m_next, v_next


def adamw_reference(w, dw, m, v, lr, decay, **settings):
    return adam_reference(w * (1 - lr * decay), dw, m, v, lr, decay=0.0, **settings)


ADAM_SETTINGS = {
    "lr": ADAM_LEARNING_RATE,
    "beta1": MOMENTUM,
    "beta2": Hyper(0.999, low=0.0, high=1.0),
    "eps": Hyper(1e-8, low=0.0),
    "correction1": Hyper(0.1, low=0.0, high=1.0),
    "correction2": Hyper(0.001, low=0.0, high=1.0),
    "scale": SCALE,
    "decay": DECAY,
}
"""The corrections' defaults are those of the first step with the default betas."""

MOMENTUM_SETTINGS = {"lr": LEARNING_RATE, "momentum": MOMENTUM, "scale": SCALE, "decay": DECAY}

global_norm = Op(
    forward=global_norm_forward,
    backward=None,
    signature="(m)->()",
    reference=np.linalg.norm,
)

gradient_descent = Op(
    forward=gradient_descent_update,
    backward=None,
    signature="(),()->()",
    reference=lambda w, dw, lr, scale, decay: w - lr * (scale * dw + decay * w),
    hyper={"lr": LEARNING_RATE, "scale": SCALE, "decay": DECAY},
)

momentum = Op(
    forward=momentum_update,
    backward=None,
    signature="(),(),()->(),()",
    reference=momentum_reference,
    hyper=MOMENTUM_SETTINGS,
)

nesterov = Op(
    forward=nesterov_update,
    backward=None,
    signature="(),(),()->(),()",
    reference=nesterov_reference,
    hyper=MOMENTUM_SETTINGS,
)

adam = Op(
    forward=adam_update,
    backward=None,
    signature="(),(),(),()->(),(),()",
    reference=adam_reference,
    hyper=ADAM_SETTINGS,
    domain={"v": (0.0, 1.0)},  # an average of squares
)

adamw = Op(
    forward=adamw_update,
    backward=None,
    signature="(),(),(),()->(),(),()",
    reference=adamw_reference,
    hyper=ADAM_SETTINGS | {"decay": Hyper(0.01, low=0.0)},
    domain={"v": (0.0, 1.0)},
)

running_average = Op(
    forward=running_average_update,
    backward=None,
    signature="(),()->()",
    reference=lambda average, value, alpha: alpha * average + (1 - alpha) * value,
    hyper={"alpha": MOMENTUM},
)
