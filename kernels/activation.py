"""Activations, one value at a time: y = φ(x), and dx = dy·φ'(x).

Backward takes whichever of x and y its derivative is cheapest and sharpest in. Every
kernel sees one-dimensional arrays. NaN comes out where NaN went in, and ±inf give limits:
conditions are written so that a comparison with NaN, which is false, keeps the NaN.
"""

import math

import numpy as np

from kernels import elementary, normal
from kernels.boundary import Hyper, kernel_inlined
from kernels.op import Op

SLOPE = Hyper(0.01)
ALPHA = Hyper(1.0, low=0.0)

EDGES = tuple(
    sign * size
    for size in (0.0, 5e-324, 1e-45, 1.2e-38, 2.3e-308, 1e-4, 1, 20, 88.8, 710, 3.4e38, 1.79e308)
    for sign in (1, -1)
)
"""Zeros, subnormals, the least and greatest normal numbers, and where exp leaves the range, of
both dtypes. Infinities and NaN are everybody's edges."""

KINK_AT_ZERO = (0.0,)


@kernel_inlined
def identity_forward(x, y):
    """y = x."""
    for i in range(x.size):
        y[i] = x[i]


@kernel_inlined
def identity_backward(dy, dx):
    """dx = dy."""
    for i in range(dy.size):
        dx[i] = dy[i]


identity = Op(
    forward=identity_forward,
    backward=identity_backward,
    signature="()->()",
    reference=lambda x: x,
    edges=EDGES,
)


@kernel_inlined
def relu_forward(x, y):
    """y = max(x, 0) (Nair & Hinton 2010)."""
    zero = x.dtype.type(0)
    for i in range(x.size):
        y[i] = zero if x[i] <= zero else x[i]


@kernel_inlined
def relu_backward(dy, y, dx):
    """dx = dy where y > 0, else 0: the derivative at 0 is 0.

    A unit at rest passes nothing on, not even a NaN or an infinity in dy.
    """
    zero = y.dtype.type(0)
    for i in range(y.size):
        dx[i] = dy[i] if y[i] > zero else y[i] * zero


relu = Op(
    forward=relu_forward,
    backward=relu_backward,
    signature="()->()",
    reference=lambda x: np.maximum(x, 0),
    edges=EDGES,
    kinks=KINK_AT_ZERO,
)


@kernel_inlined
def leaky_relu_forward(x, slope, y):
    """y = x where x > 0, else slope·x (Maas, Hannun & Ng 2013)."""
    slope = x.dtype.type(slope)
    zero = x.dtype.type(0)
    for i in range(x.size):
        y[i] = slope * x[i] if x[i] <= zero else x[i]


@kernel_inlined
def leaky_relu_backward(dy, x, slope, dx):
    """dx = dy where x > 0, else slope·dy."""
    slope = x.dtype.type(slope)
    zero = x.dtype.type(0)
    for i in range(x.size):
        if x[i] > zero:
            dx[i] = dy[i]
        else:
            dx[i] = slope * dy[i] if x[i] <= zero else x[i]


leaky_relu = Op(
    forward=leaky_relu_forward,
    backward=leaky_relu_backward,
    signature="()->()",
    reference=lambda x, slope: np.where(x > 0, x, slope * x),
    hyper={"slope": SLOPE},
    edges=EDGES,
    kinks=KINK_AT_ZERO,
)


@kernel_inlined
def elu_forward(x, alpha, y):
    """y = x where x > 0, else alpha·(eˣ - 1) (Clevert et al. 2015, arXiv:1511.07289)."""
    alpha = x.dtype.type(alpha)
    zero = x.dtype.type(0)
    for i in range(x.size):
        below = alpha * elementary.expm1_nonpositive(x[i])
        y[i] = below if x[i] <= zero else x[i]


@kernel_inlined
def elu_backward(dy, x, alpha, dx):
    """dx = dy where x > 0, else dy·alpha·eˣ."""
    alpha = x.dtype.type(alpha)
    zero = x.dtype.type(0)
    for i in range(x.size):
        below = dy[i] * (alpha * elementary.exp_nonpositive(x[i]))
        dx[i] = dy[i] if x[i] > zero else below


elu = Op(
    forward=elu_forward,
    backward=elu_backward,
    signature="()->()",
    reference=lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
    hyper={"alpha": ALPHA},
    edges=EDGES,
    kinks=KINK_AT_ZERO,
)


@kernel_inlined
def sigmoid_forward(x, y):
    """y = 1/(1 + e⁻ˣ)."""
    for i in range(x.size):
        y[i] = elementary.sigmoid(x[i])


@kernel_inlined
def sigmoid_backward(dy, y, dx):
    """dx = dy·y·(1 - y); 0 where y rounds to 1."""
    one = y.dtype.type(1)
    for i in range(y.size):
        dx[i] = dy[i] * (y[i] * (one - y[i]))


sigmoid = Op(
    forward=sigmoid_forward,
    backward=sigmoid_backward,
    signature="()->()",
    reference=lambda x: np.where(x < 0, np.exp(np.minimum(x, 0)), 1) / (1 + np.exp(-abs(x))),
    edges=EDGES,
)


@kernel_inlined
def tanh_forward(x, y):
    """y = tanh x."""
    for i in range(x.size):
        y[i] = elementary.tanh(x[i])


@kernel_inlined
def tanh_backward(dy, y, dx):
    """dx = dy·(1 - y²), as (1 - y)(1 + y); 0 where y rounds to ±1."""
    one = y.dtype.type(1)
    for i in range(y.size):
        dx[i] = dy[i] * ((one - y[i]) * (one + y[i]))


tanh = Op(
    forward=tanh_forward,
    backward=tanh_backward,
    signature="()->()",
    reference=np.tanh,
    edges=EDGES,
)


@kernel_inlined
def softplus_forward(x, y):
    """y = log(1 + eˣ) (Dugas et al. 2001), as max(x, 0) + log1p(e^-|x|)."""
    for i in range(x.size):
        y[i] = elementary.softplus(x[i])


@kernel_inlined
def softplus_backward(dy, y, dx):
    """dx = dy·σ(x), where σ(x) = 1 - e⁻ʸ."""
    for i in range(y.size):
        dx[i] = dy[i] * -elementary.expm1_nonpositive(-y[i])


softplus = Op(
    forward=softplus_forward,
    backward=softplus_backward,
    signature="()->()",
    reference=lambda x: np.logaddexp(0, x),
    edges=EDGES,
)


@kernel_inlined
def gelu_forward(x, y):
    """y = x·Φ(x), Φ the normal distribution (Hendrycks & Gimpel 2016, arXiv:1606.08415)."""
    for i in range(x.size):
        y[i] = normal.gelu(x[i])


@kernel_inlined
def gelu_backward(dy, x, dx):
    """dx = dy·(Φ(x) + x·φ(x)), φ the normal density."""
    for i in range(x.size):
        dx[i] = dy[i] * normal.gelu_slope(x[i])


erfc = np.vectorize(math.erfc, otypes=[np.float64])


def gelu_reference(x):
    """x·Φ(x); its limit at -inf is 0."""
    return np.where(x == -np.inf, 0, x) * erfc(-x / math.sqrt(2)) / 2


gelu = Op(
    forward=gelu_forward,
    backward=gelu_backward,
    signature="()->()",
    reference=gelu_reference,
    edges=EDGES,
)


SIGMOID_REACH = 800.0
"""Beyond ±this e^-|x| is 0 in float64, and x times it must be 0, not inf·0."""


@kernel_inlined
def silu_forward(x, y):
    """y = x·σ(x) (Elfwing et al. 2017, arXiv:1702.03118)."""
    least = x.dtype.type(-SIGMOID_REACH)
    for i in range(x.size):
        xi = least if x[i] < least else x[i]
        y[i] = xi * elementary.sigmoid(xi)


@kernel_inlined
def silu_backward(dy, x, dx):
    """dx = dy·σ(x)·(1 + x·σ(-x))."""
    one, reach = x.dtype.type(1), x.dtype.type(SIGMOID_REACH)
    for i in range(x.size):
        xi = -reach if x[i] < -reach else x[i]
        xi = reach if xi > reach else xi
        above, below = elementary.sigmoid_pair(xi)
        dx[i] = dy[i] * (above * (one + xi * below))


silu = Op(
    forward=silu_forward,
    backward=silu_backward,
    signature="()->()",
    reference=lambda x: np.where(x == -np.inf, 0, x) * sigmoid.reference(x),
    edges=EDGES,
)


ACTIVATIONS = (identity, relu, leaky_relu, elu, sigmoid, tanh, softplus, gelu, silu)
"""The activations in the order of their codes in a network's plan."""

RELU = ACTIVATIONS.index(relu)
"""Its code: an affine map can do it along."""
