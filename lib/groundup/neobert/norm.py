"""RMSNorm (Zhang and Sennrich, 2019, arXiv 1910.07467), with a backward pass made for the CPU."""

from typing import Any

import torch
from torch import Tensor, nn

from .cpu_kernels import row_blocks, use_cpu_kernel

Cache = tuple[Tensor, ...]

_BLOCK = 1 << 17
"""Numbers of x in a block: half a megabyte in float32."""


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Cache]:
    r"""Divide each vector by its root mean square, then scale its entries.

    Whatever the dtype of x, the mean square is computed in float32 at least: in float16 the square
    of 256 is already infinite.

    Args:
        x: (..., D).
        weight: (D,) the learned scale, of x's dtype.
        eps: added to the mean square, so that a vector of zeros stays one.

    Returns:
        y (..., D), of x's dtype, and the tensors that :func:`rms_norm_backward` needs, a tuple.

    Derivation:
        :math:`y = w \odot \hat x` with :math:`\hat x = x / r` and
        :math:`r = \sqrt{\overline{x^2} + \epsilon}`.
    """
    precise = torch.promote_types(x.dtype, torch.float32)
    # A norm reads x once; x.square() would write a copy of it first.
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=precise)
    inverse = (norm.square() / x.shape[-1] + eps).rsqrt()  # 1/r (..., 1)
    normal = x * inverse
    return (normal * weight).to(x.dtype), (normal, inverse, weight)


def rms_norm_backward(dy: Tensor, cache: Cache) -> tuple[Tensor, Tensor]:
    r"""Gradients of :func:`rms_norm`.

    Args:
        dy: (..., D) gradient of the loss with respect to y.
        cache: of the forward pass.

    Returns:
        dx (..., D) and dweight (D,), of dy's dtype.

    Derivation:
        With :math:`g = dy \odot w`: :math:`dx = (g - \hat x\,\overline{g\hat x})/r`, and
        :math:`dw` is the sum of :math:`dy \odot \hat x` over all vectors.
    """
    normal, inverse, weight = cache
    product = dy * normal
    # The mean of g x̂ is one product with the weight: no pass over memory for g x̂ itself.
    mean = (product @ weight.to(product.dtype)).unsqueeze(-1) / dy.shape[-1]
    dx = torch.addcmul(dy * weight, normal, mean, value=-1) * inverse
    return dx.to(dy.dtype), product.reshape(-1, dy.shape[-1]).sum(0).to(dy.dtype)


class _RMSNormCPU(torch.autograd.Function):
    """The two functions above with little traffic to memory.

    On a CPU passes over memory are the cost. This keeps x, which the block keeps anyway, and one
    number a vector; and it goes over blocks that stay in the cache until they are done.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        ctx.eps = eps
        if not use_cpu_kernel(x):
            y, cache = rms_norm(x, weight, eps)
            ctx.save_for_backward(x, weight, *cache)
            return y
        inverse = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        inverse = inverse.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, inverse)
        y = torch.empty(x.shape, dtype=x.dtype)
        for rows, scale, out in row_blocks(_BLOCK, x, inverse, y):
            torch.mul(rows, scale, out=out).mul_(weight)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        (dy,) = grads
        x, weight, *cache = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph differentiates this pass too
            return *rms_norm_backward(dy, rms_norm(x, weight, ctx.eps)[1]), None
        if len(cache) > 1:
            return *rms_norm_backward(dy, tuple(cache)), None
        dx, dweight = torch.empty(x.shape, dtype=x.dtype), torch.zeros_like(weight)
        share = weight / x.shape[-1]
        for rows, inverse, slope, out in row_blocks(_BLOCK, x, *cache, dy, dx):
            normal = rows * inverse
            product = slope * normal
            dweight += product.sum(0)
            torch.mul(slope, weight, out=out)
            out.addcmul_(normal, (product @ share)[:, None], value=-1).mul_(inverse)
        return dx, dweight, None


class RMSNorm(nn.RMSNorm):
    """torch's RMSNorm; on a CPU forward and backward pass are ours, and faster."""

    def forward(self, x: Tensor) -> Tensor:
        """x (..., D) → (..., D)."""
        if x.device.type == "cpu" and x.dtype == self.weight.dtype and self.eps is not None:
            y: Tensor = _RMSNormCPU.apply(x, self.weight, self.eps)
            return y
        return super().forward(x)
