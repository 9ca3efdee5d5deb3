# Stub 878e4b163817: yours to edit. It is never written over unasked.
"""Exercise 3.4, Multi-head attention.

Write the body of ``multi_head_attention`` and ``multi_head_attention_backward``, then run
``groundup check 3.4``.
"""

import numpy as np

from groundup.scratch.attention import attention, attention_backward, merge_heads, split_heads
from groundup.scratch.linear import linear, linear_backward
from groundup.scratch.masks import key_mask
from groundup.scratch.types import Array, BoolArray, Cache


def multi_head_attention(
    x: Array,
    wqkv: Array,
    bqkv: Array,
    wo: Array,
    bo: Array,
    heads: int,
    mask: BoolArray | None = None,
) -> tuple[Array, Cache]:
    """Attention of H heads side by side, with one fused projection.

    Args:
        x: (B, T, D).
        wqkv: (D, 3D): query, key and value columns, in this order.
        bqkv: (3D,).
        wo: (D, D), bo: (D,): the projection that mixes the heads.
        heads: H, at least 1, which must divide D.
        mask: (B, T), True at real tokens; padding is never looked at.

    Returns:
        y (B, T, D), and the cache :func:`multi_head_attention_backward` needs.

    Raises:
        ValueError: H is below 1 or does not divide D, the mask has another shape than (B, T) or is
            not boolean.
    """
    raise NotImplementedError("3.4")


def multi_head_attention_backward(
    dy: Array, cache: Cache
) -> tuple[Array, Array, Array, Array, Array]:
    """Gradients of :func:`multi_head_attention`.

    Returns:
        dx (B, T, D), dwqkv (D, 3D), dbqkv (3D,), dwo (D, D), dbo (D,).
    """
    raise NotImplementedError("3.4")
