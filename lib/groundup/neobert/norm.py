"""RMSNorm (Zhang and Sennrich, 2019, arXiv 1910.07467), with a backward pass made for the CPU."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class _RMSNormCPU(torch.autograd.Function):
    """The rule of ``groundup.scratch``: dx = (g − x̂ mean(g x̂)) / rms, with g = dy · weight.

    torch differentiates its own operator through more passes over memory; on a CPU, where those
    passes are the cost, this rule takes two thirds of the time.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        square = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_()
        inverse = square.div_(x.shape[-1]).add_(eps).rsqrt_()
        normal = x * inverse
        ctx.save_for_backward(normal, inverse, weight)
        return normal * weight

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        (dy,) = grads
        normal, inverse, weight = ctx.saved_tensors
        product = dy * normal
        mean = (product @ weight[:, None]) / dy.shape[-1]  # of g x̂, over the width
        dx = torch.addcmul(dy * weight, normal, mean, value=-1).mul_(inverse)
        return dx, product.flatten(0, -2).sum(0), None


class RMSNorm(nn.RMSNorm):
    """torch's RMSNorm; in float32 and float64 on a CPU the backward pass is ours, and faster."""

    def forward(self, x: Tensor) -> Tensor:
        """x (..., D) → (..., D)."""
        if x.device.type == "cpu" and x.dtype == self.weight.dtype and self.eps is not None:
            y: Tensor = _RMSNormCPU.apply(x, self.weight, self.eps)
            return y
        return super().forward(x)
