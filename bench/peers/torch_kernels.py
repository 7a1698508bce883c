"""PyTorch's operation for each elementwise kernel of ours, into a given output.

A call takes the arrays and settings that its arguments name, as our kernels name them.
"""

import torch

aten = torch.ops.aten

CALLS = {
    "identity_forward": lambda x, y: y.copy_(x),
    "identity_backward": lambda dy, dx: dx.copy_(dy),
    "relu_forward": lambda x, y: torch.clamp_min(x, 0, out=y),
    "relu_backward": lambda dy, y, dx: aten.threshold_backward.grad_input(dy, y, 0, grad_input=dx),
    "leaky_relu_forward": lambda x, slope, y: aten.leaky_relu.out(x, slope, out=y),
    "leaky_relu_backward": lambda dy, x, slope, dx: aten.leaky_relu_backward.grad_input(
        dy, x, slope, False, grad_input=dx
    ),
    "elu_forward": lambda x, alpha, y: aten.elu.out(x, alpha, out=y),
    "elu_backward": lambda dy, x, alpha, dx: aten.elu_backward.grad_input(
        dy, alpha, 1, 1, False, x, grad_input=dx
    ),
    "sigmoid_forward": lambda x, y: torch.sigmoid(x, out=y),
    "sigmoid_backward": lambda dy, y, dx: aten.sigmoid_backward.grad_input(dy, y, grad_input=dx),
    "tanh_forward": lambda x, y: torch.tanh(x, out=y),
    "tanh_backward": lambda dy, y, dx: aten.tanh_backward.grad_input(dy, y, grad_input=dx),
    "softplus_forward": lambda x, y: aten.softplus.out(x, out=y),
    "softplus_backward": lambda dy, x, dx: aten.softplus_backward.grad_input(
        dy, x, 1, 20, grad_input=dx
    ),
    "gelu_forward": lambda x, y: aten.gelu.out(x, out=y),
    "gelu_backward": lambda dy, x, dx: aten.gelu_backward.grad_input(dy, x, grad_input=dx),
    "silu_forward": lambda x, y: aten.silu.out(x, out=y),
    "silu_backward": lambda dy, x, dx: aten.silu_backward.grad_input(dy, x, grad_input=dx),
    "gradient_descent_update": lambda w, dw, lr, w_next: torch.add(w, dw, alpha=-lr, out=w_next),
    "running_average_update": lambda average, value, alpha, average_next: torch.lerp(
        value, average, alpha, out=average_next
    ),
}
