"""Kernels for the CPU that do in one pass over memory what plain functions do in many.

A compiler fuses the plain functions itself, and a GPU has kernels of its own: there the plain
functions are used. ``GROUNDUP_PLAIN=1`` in the environment has them used everywhere.
"""

import os
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from .attention import split_groups, split_qkv
from .rope import rotate_pairs

PLAIN = os.environ.get("GROUNDUP_PLAIN", "0") != "0"
"""Use plain functions everywhere."""


def is_cpu_float(x: Tensor) -> bool:
    """Whether the kernels for the CPU are made for a tensor such as this."""
    single_or_double = x.dtype in (torch.float32, torch.float64)
    return x.device.type == "cpu" and single_or_double and not torch.compiler.is_compiling()


def use_cpu_kernel(x: Tensor) -> bool:
    """Whether a kernel for the CPU runs on this tensor."""
    return not PLAIN and is_cpu_float(x)


def row_blocks(size: int, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The rows of tensors (..., D), in blocks small enough for a processor's cache.

    Args:
        size: numbers of the first tensor in a block.
        tensors: equal in all axes but the last.
    """
    count = max(1, size // tensors[0].shape[-1])
    rows = (each.reshape(-1, each.shape[-1]).split(count) for each in tensors)
    return zip(*rows, strict=True)


def split_rotated(
    qkv: Tensor, heads: int, rotation: tuple[Tensor, Tensor] | None, groups: int | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Split the fused projection into heads, and rotate queries and keys by their positions.

    The plain functions are :func:`~.attention.split_qkv`, or :func:`~.attention.split_groups`
    where query heads share keys, and :func:`~.rope.rotate_pairs`.

    Args:
        qkv: (B, T, (H + 2G)·K).
        heads: H.
        rotation: cos and sin, each (T, K/2), or (B, 1, T, K/2). None: no rotation.
        groups: G. None: H.

    Returns:
        q (B, H, T, K), and k, v, each (B, G, T, K).
    """
    if groups is not None and groups != heads:
        q, k, v = split_groups(qkv, heads, groups)
    elif rotation is not None and _rotates(qkv, rotation[0]):
        q, k, v = _SplitRotated.apply(qkv, heads, torch.complex(*rotation))
        return q, k, v
    else:
        q, k, v = split_qkv(qkv, heads)
    if rotation is None:
        return q, k, v
    return rotate_pairs(q, *rotation), rotate_pairs(k, *rotation), v


def _rotates(qkv: Tensor, cos: Tensor) -> bool:
    """Whether the kernel below runs: on one precision, and rows with the same positions."""
    return use_cpu_kernel(qkv) and cos.dtype == qkv.dtype and cos.dim() == 2


class _SplitRotated(torch.autograd.Function):
    """An adjacent pair is a complex number, and its rotation one product (arXiv 2104.09864).

    The gradient is rotated back and written where it belongs: torch would concatenate those of q,
    k and v, and then copy the whole into the projection's order.
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
    """(..., K) → (..., K/2) complex, the same memory where pairs are contiguous."""
    pairs = x.unflatten(-1, (-1, 2))
    return torch.view_as_complex(pairs if pairs.stride(-1) == 1 else pairs.contiguous())
