"""The pre-norm block of 2024 from the same parts: RMSNorm, RoPE, SwiGLU. NeoBERT's layer."""

import numpy as np

from groundup.scratch.attention import attention, attention_backward, merge_heads, split_heads
from groundup.scratch.feedforward import swiglu, swiglu_backward
from groundup.scratch.linear import linear, linear_backward
from groundup.scratch.masks import key_mask
from groundup.scratch.normalization import rms_norm, rms_norm_backward
from groundup.scratch.positions import rope, rope_backward
from groundup.scratch.types import Array, BoolArray, Cache, Params


def split_qkv(qkv: Array, heads: int) -> tuple[Array, Array, Array]:
    """Cut a fused projection the way NeoBERT lays it out: head by head.

    Head h owns columns 3Kh to 3K(h+1): K of its query, K of its key, K of its value. A plain cut
    into three thirds of the width has the right shapes and the wrong numbers.

    Args:
        qkv: (B, T, H·3K).
        heads: H.

    Returns:
        q, k, v, each (B, H, T, K).
    """
    q, k, v = np.split(split_heads(qkv, heads), 3, axis=-1)
    return q, k, v


def modern_block(
    x: Array, params: Params, heads: int, mask: BoolArray | None = None, eps: float = 1e-5
) -> tuple[Array, Cache]:
    """One NeoBERT layer (Le Breton et al., 2025, arXiv 2502.19587).

    x += attention(rms_norm(x)), then x += swiglu(rms_norm(x)): the norm comes before each part,
    and the sum is never normalised.

    Args:
        x: (B, T, D).
        params: attention_norm (D,), qkv (D, 3D) laid out head by head, wo (D, D), ffn_norm (D,),
            w12 (D, 2F), w3 (F, D). There are no biases.
        heads: H, which must divide D.
        mask: (B, T), True at real tokens.
        eps: of the norms.

    Returns:
        y (B, T, D), and the cache :func:`modern_block_backward` needs.

    Raises:
        ValueError: H does not divide D, the mask has another shape than (B, T) or is not boolean.
    """
    if x.shape[-1] % heads:
        raise ValueError(f"heads must divide the width: got width={x.shape[-1]}, heads={heads}")
    if mask is not None and mask.shape != x.shape[:2]:
        raise ValueError(f"mask must be (B, T) = {x.shape[:2]}: got {mask.shape}")
    normal, cache_norm1 = rms_norm(x, params["attention_norm"], eps)
    qkv, cache_qkv = linear(normal, params["qkv"])
    q, k, v = split_qkv(qkv, heads)
    (q, cache_q), (k, cache_k) = rope(q), rope(k)
    attn_mask = None if mask is None else key_mask(mask)
    mixed, cache_attention = attention(q, k, v, attn_mask)
    projected, cache_out = linear(merge_heads(mixed), params["wo"])
    x = x + projected
    normal, cache_norm2 = rms_norm(x, params["ffn_norm"], eps)
    fed, cache_ffn = swiglu(normal, params["w12"], params["w3"])
    cache = (cache_norm1, cache_qkv, cache_q, cache_k, cache_attention, cache_out)
    return x + fed, (*cache, cache_norm2, cache_ffn, heads)


def modern_block_backward(dy: Array, cache: Cache) -> tuple[Array, Params]:
    """Gradients of :func:`modern_block`.

    Returns:
        dx (B, T, D), and the gradients of the parameters under their names.
    """
    cache_norm1, cache_qkv, cache_q, cache_k, cache_attention, cache_out = cache[:6]
    cache_norm2, cache_ffn, heads = cache[6:]
    grads: Params = {}
    dnormal, grads["w12"], grads["w3"] = swiglu_backward(dy, cache_ffn)
    dnorm, grads["ffn_norm"] = rms_norm_backward(dnormal, cache_norm2)
    dx = dy + dnorm
    dmerged, grads["wo"], _ = linear_backward(dx, cache_out)
    dq, dk, dv = attention_backward(split_heads(dmerged, heads), cache_attention)
    by_head = np.concatenate([rope_backward(dq, cache_q), rope_backward(dk, cache_k), dv], axis=-1)
    dnormal, grads["qkv"], _ = linear_backward(merge_heads(by_head), cache_qkv)
    dnorm, grads["attention_norm"] = rms_norm_backward(dnormal, cache_norm1)
    return dx + dnorm, grads
