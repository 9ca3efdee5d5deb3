"""The gate inside SwiGLU (Shazeer, 2020, arXiv 2002.05202), with a backward pass for the CPU."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .cpu_kernels import is_cpu_float, row_blocks, use_cpu_kernel

_BLOCK = 1 << 18
"""Numbers of x in a block: 1 MB in float32, which the second-level cache of a core holds."""


def silu_gate(x: Tensor) -> Tensor:
    """silu(gate) · value, entry by entry; silu(a) is a times the sigmoid of a.

    In float32 and float64 on a CPU the backward pass is ours, and keeps x alone; it can be
    differentiated again, but not by ``torch.func``. Elsewhere torch differentiates its own
    operators, and a compiler fuses them.

    Args:
        x: (..., 2F), the gates in the first half of the last axis, the values in the second.

    Returns:
        (..., F), of x's dtype.

    Raises:
        ValueError: the last axis has no two halves.
    """
    if x.dim() == 0 or x.shape[-1] % 2:
        raise ValueError(f"x must be (..., 2F), gates and values: got shape {tuple(x.shape)}")
    if is_cpu_float(x):
        y: Tensor = _SiluGateCPU.apply(x)
        return y
    gate, value = x.chunk(2, dim=-1)
    return F.silu(gate) * value


def silu_gate_backward(dy: Tensor, x: Tensor) -> Tensor:
    r"""The gradient of :func:`silu_gate` with respect to its input.

    With the gate a and the value b, the forward pass is y = a · σ(a) · b, entry by entry, where
    σ(a) = 1 / (1 + exp(-a)).

    Args:
        dy: (..., F), the gradient of the loss with respect to y, of x's dtype.
        x: (..., 2F), what the forward pass was given: the gates, then the values.

    Returns:
        (..., 2F), of x's dtype: the gradient with respect to the gates, then to the values. The
        inputs are not touched. Autograd can differentiate the result with respect to both.

    Derivation:
        With :math:`s = \sigma(a)` and :math:`s' = s(1 - s)`, the product rule gives
        :math:`\partial y/\partial a = b\,(s + a\,s(1 - s))` and
        :math:`\partial y/\partial b = a\,s`.
    """
    gate, value = x.chunk(2, dim=-1)
    sigmoid = torch.sigmoid(gate)
    active = gate * sigmoid
    slope = sigmoid + active * (1 - sigmoid)
    return torch.cat((dy * value * slope, dy * active), dim=-1)


class _SiluGateCPU(torch.autograd.Function):
    """The rule of :func:`silu_gate_backward` with little traffic to memory.

    torch keeps silu(gate) beside x and differentiates in four passes over memory. This keeps x
    alone, and goes over blocks that stay in the cache until their gradient is written.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        gate, value = x.chunk(2, dim=-1)
        return F.silu(gate).mul_(value)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (dy,), (x,) = grads, ctx.saved_tensors
        if torch.is_grad_enabled() or not use_cpu_kernel(
            x
        ):  # create_graph differentiates this pass too
            return silu_gate_backward(dy, x)
        dx = torch.empty(x.shape, dtype=x.dtype)
        for x_rows, dy_rows, dx_rows in row_blocks(_BLOCK, x, dy, dx):
            gate, value = x_rows.chunk(2, dim=-1)
            dgate, dvalue = dx_rows.chunk(2, dim=-1)
            sigmoid = torch.sigmoid(gate)
            active = gate * sigmoid
            torch.mul(dy_rows, active, out=dvalue)
            slope = active.addcmul_(active, sigmoid, value=-1).add_(sigmoid)
            torch.mul(slope.mul_(value), dy_rows, out=dgate)
        return dx
