"""Rules that do in one pass over memory what plain functions do in many, for the CPU.

A compiler fuses the plain functions itself, and a GPU's kernels are others: there they are used as
they are. ``GROUNDUP_PLAIN=1`` in the environment has them used everywhere.
"""

import os
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from .attention import split_qkv
from .rope import rotate_pairs

PLAIN = os.environ.get("GROUNDUP_PLAIN", "0") != "0"
"""Use plain functions everywhere."""


def suits(x: Tensor) -> bool:
    """Whether this tensor is one that rules for the CPU are made for."""
    single_or_double = x.dtype in (torch.float32, torch.float64)
    return x.device.type == "cpu" and single_or_double and not torch.compiler.is_compiling()


def fuses(x: Tensor) -> bool:
    """Whether a rule for the CPU is used on this tensor."""
    return not PLAIN and suits(x)


def blocks(size: int, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Blocks of the rows of tensors (..., D), small enough to stay in a cache while work goes on.

    Args:
        size: numbers of the first tensor in a block.
        tensors: with the same axes in front of the last.
    """
    count = max(1, size // tensors[0].shape[-1])
    rows = (each.reshape(-1, each.shape[-1]).split(count) for each in tensors)
    return zip(*rows, strict=True)


def split_rotated(
    qkv: Tensor, heads: int, cos: Tensor, sin: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Cut the fused projection head by head, and turn queries and keys by their positions.

    What :func:`~.attention.split_qkv` and :func:`~.rope.rotate_pairs` do, one after the other.

    Args:
        qkv: (B, T, H·3K).
        heads: H.
        cos: (T, K/2), sin: (T, K/2).

    Returns:
        q, k, v, each (B, H, T, K).
    """
    if fuses(qkv) and cos.dtype == qkv.dtype:
        q, k, v = _SplitRotated.apply(qkv, heads, torch.complex(cos, sin))
        return q, k, v
    q, k, v = split_qkv(qkv, heads)
    return rotate_pairs(q, cos, sin), rotate_pairs(k, cos, sin), v


class _SplitRotated(torch.autograd.Function):
    """A pair of neighbours is a complex number, and to turn it is one product (arXiv 2104.09864).

    The gradient turns back, and is written where it belongs: torch would put q's, k's and v's
    together, and then copy the whole into the projection's order.
    """

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, heads: int, turn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ctx.turn = turn
        parts = qkv.unflatten(2, (heads, 3, -1))  # (B, T, H, 3, K)
        turned = _pairs(parts[:, :, :, :2]) * turn[:, None, None]
        q, k = torch.view_as_real(turned).flatten(-2).transpose(1, 2).unbind(3)
        return q, k, parts[:, :, :, 2].transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        dq, dk, dv = (each.transpose(1, 2) for each in grads)  # (B, T, H, K)
        back = ctx.turn.conj().resolve_conj()[:, None]
        if torch.is_grad_enabled():  # create_graph differentiates this pass too
            turned = [torch.view_as_real(_pairs(each) * back).flatten(-2) for each in (dq, dk)]
            return torch.stack((*turned, dv), dim=3).flatten(2), None, None
        result = dv.new_empty(*dv.shape[:3], 3, dv.shape[3])
        for i, each in enumerate((dq, dk)):
            torch.mul(_pairs(each), back, out=_pairs(result[:, :, :, i]))
        result[:, :, :, 2] = dv
        return result.flatten(2), None, None


def _pairs(x: Tensor) -> Tensor:
    """(..., K) → (..., K/2) complex, the same memory where pairs lie together."""
    pairs = x.unflatten(-1, (-1, 2))
    return torch.view_as_complex(pairs if pairs.stride(-1) == 1 else pairs.contiguous())
