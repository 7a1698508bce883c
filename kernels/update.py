"""Parameter updates. Each reads all of an element before it writes: outputs may be inputs."""

from kernels.boundary import Hyper, kernel
from kernels.op import Op

LEARNING_RATE = Hyper(0.01)
MOMENTUM = Hyper(0.9, low=0.0, high=1.0)


@kernel
def gradient_descent_update(w, dw, lr, w_next):
    """w_next = w - lr·dw."""
    lr = w.dtype.type(lr)
    for i in range(w.size):
        w_next[i] = w[i] - lr * dw[i]


@kernel
def momentum_update(w, dw, velocity, lr, momentum, w_next, velocity_next):
    """velocity_next = momentum·velocity - lr·dw;  w_next = w + velocity_next.

    Classical momentum (Polyak 1964) in the form of Sutskever et al. 2013, eq. 1-2.
    """
    lr = w.dtype.type(lr)
    momentum = w.dtype.type(momentum)
    for i in range(w.size):
        v = momentum * velocity[i] - lr * dw[i]
        w_next[i] = w[i] + v
        velocity_next[i] = v


@kernel
def running_average_update(average, value, alpha, average_next):
    """average_next = alpha·average + (1 - alpha)·value: alpha is the weight of the old one."""
    alpha = average.dtype.type(alpha)
    rest = average.dtype.type(1) - alpha
    for i in range(average.size):
        average_next[i] = alpha * average[i] + rest * value[i]


def momentum_reference(w, dw, velocity, lr, momentum):
    velocity_next = momentum * velocity - lr * dw
    return w + velocity_next, velocity_next


gradient_descent = Op(
    forward=gradient_descent_update,
    backward=None,
    signature="(),()->()",
    reference=lambda w, dw, lr: w - lr * dw,
    hyper={"lr": LEARNING_RATE},
)

momentum = Op(
    forward=momentum_update,
    backward=None,
    signature="(),(),()->(),()",
    reference=momentum_reference,
    hyper={"lr": LEARNING_RATE, "momentum": MOMENTUM},
)

running_average = Op(
    forward=running_average_update,
    backward=None,
    signature="(),()->()",
    reference=lambda average, value, alpha: alpha * average + (1 - alpha) * value,
    hyper={"alpha": MOMENTUM},
)
