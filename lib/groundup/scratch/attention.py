"""Scaled dot-product attention, and the multi-head form around it (Vaswani et al., 2017)."""

import numpy as np

from groundup.scratch.activations import softmax, softmax_backward
from groundup.scratch.linear import linear, linear_backward
from groundup.scratch.masks import key_mask
from groundup.scratch.types import Array, BoolArray, Cache


def attention(q: Array, k: Array, v: Array, mask: BoolArray | None = None) -> tuple[Array, Cache]:
    r"""Mix the values, each by how well its key matches the query.

    .. math:: y = \mathrm{softmax}\left(\frac{q k^\top}{\sqrt K}\right) v

    Args:
        q: (..., T, K) queries.
        k: (..., S, K) keys.
        v: (..., S, K) values.
        mask: broadcastable to (..., T, S); True where a query may look. None: everywhere.

    Returns:
        y (..., T, K), and the cache :func:`attention_backward` needs; its first entry is the
        weights (..., T, S). A query that may look nowhere gets zeros.

    Raises:
        ValueError: the mask is not boolean, or does not fit.

    Derivation:
        With :math:`p` the weights and :math:`s` the scaled scores: :math:`dv = p^\top dy`,
        :math:`dp = dy\,v^\top`, :math:`ds = p \odot (dp - \sum dp \odot p)` (the softmax
        Jacobian), :math:`dq = ds\,k/\sqrt K`, :math:`dk = ds^\top q/\sqrt K`.
    """
    scale = 1 / np.sqrt(q.shape[-1]).astype(q.dtype)
    scores = (q @ k.swapaxes(-1, -2)) * scale  # (..., T, S)
    if mask is not None:
        sizes = zip(mask.shape[::-1], scores.shape[::-1], strict=False)
        fits = mask.ndim <= scores.ndim and all(m in (1, s) for m, s in sizes)
        if mask.dtype != bool or not fits:
            raise ValueError(
                f"the mask must be boolean and fit (..., T, S) = {scores.shape}: got {mask.dtype} "
                f"of shape {mask.shape}"
            )
        scores = np.where(mask, scores, -np.inf)
    weights = softmax(scores)
    return weights @ v, (weights, q, k, v, scale)


def attention_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Gradients of :func:`attention`.

    Args:
        dy: (..., T, K).
        cache: what the forward pass returned.

    Returns:
        dq (..., T, K), dk (..., S, K), dv (..., S, K).
    """
    weights, q, k, v, scale = cache
    dv = weights.swapaxes(-1, -2) @ dy
    dweights = dy @ v.swapaxes(-1, -2)
    dscores = softmax_backward(dweights, weights) * scale
    return dscores @ k, dscores.swapaxes(-1, -2) @ q, dv


def split_heads(x: Array, heads: int) -> Array:
    """(B, T, H·K) → (B, H, T, K): each head gets a slice of the width."""
    batch, length, width = x.shape
    return x.reshape(batch, length, heads, width // heads).transpose(0, 2, 1, 3)


def merge_heads(x: Array) -> Array:
    """(B, H, T, K) → (B, T, H·K), the inverse of :func:`split_heads`."""
    batch, heads, length, width = x.shape
    return x.transpose(0, 2, 1, 3).reshape(batch, length, heads * width)


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
    if heads < 1 or x.shape[-1] % heads:
        raise ValueError(f"heads must divide the width: got width={x.shape[-1]}, heads={heads}")
    if mask is not None and mask.shape != x.shape[:2]:
        raise ValueError(f"mask must be (B, T) = {x.shape[:2]}: got {mask.shape}")
    qkv, cache_qkv = linear(x, wqkv, bqkv)
    q, k, v = (split_heads(part, heads) for part in np.split(qkv, 3, axis=-1))
    attn_mask = None if mask is None else key_mask(mask)  # for every head and query
    mixed, cache_attention = attention(q, k, v, attn_mask)
    y, cache_out = linear(merge_heads(mixed), wo, bo)
    return y, (cache_qkv, cache_attention, cache_out, heads)


def multi_head_attention_backward(
    dy: Array, cache: Cache
) -> tuple[Array, Array, Array, Array, Array]:
    """Gradients of :func:`multi_head_attention`.

    Returns:
        dx (B, T, D), dwqkv (D, 3D), dbqkv (3D,), dwo (D, D), dbo (D,).
    """
    cache_qkv, cache_attention, cache_out, heads = cache
    dmerged, dwo, dbo = linear_backward(dy, cache_out)
    parts = attention_backward(split_heads(dmerged, heads), cache_attention)
    dqkv = np.concatenate([merge_heads(part) for part in parts], axis=-1)
    dx, dwqkv, dbqkv = linear_backward(dqkv, cache_qkv)
    return dx, dwqkv, dbqkv, dwo, dbo
