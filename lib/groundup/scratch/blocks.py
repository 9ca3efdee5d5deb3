"""One transformer block, in the two orders of norm and residual, forward and backward.

A block's parameters: ``wqkv``, ``bqkv``, ``wo``, ``bo`` (attention), ``w1``, ``b1``, ``w2``,
``b2`` (feed-forward), and ``gamma`` and ``beta`` of ``norm1`` and ``norm2``.
"""

import numpy as np

from groundup.scratch.attention import multi_head_attention, multi_head_attention_backward
from groundup.scratch.dropout import dropout, dropout_backward
from groundup.scratch.feedforward import feed_forward, feed_forward_backward
from groundup.scratch.normalization import layer_norm, layer_norm_backward
from groundup.scratch.types import Array, BoolArray, Cache, Params

Noise = tuple[float, np.random.Generator | None]
"""The rate of dropout and the generator that draws it; without a generator there is none."""


def post_norm_block(
    x: Array, p: Params, heads: int, mask: BoolArray | None = None, noise: Noise = (0.0, None)
) -> tuple[Array, Cache]:
    """The block of 2017: add what a sublayer found, then normalise (Vaswani et al., 2017).

    Args:
        x: (B, T, D).
        p: the block's parameters.
        heads: H.
        mask: (B, T), True at real tokens. None: no padding.
        noise: dropout of what each sublayer adds, the attention's first.

    Returns:
        y (B, T, D), and the cache :func:`post_norm_block_backward` needs; its first entry is the
        attention's cache, where :meth:`Encoder.attention_maps` finds the weights.
    """
    mixed, cache_attention = _attend(x, p, heads, mask)
    mixed, cache_drop1 = dropout(mixed, *noise)
    x, cache_norm1 = layer_norm(x + mixed, p["norm1.gamma"], p["norm1.beta"])
    fed, cache_ffn = feed_forward(x, p["w1"], p["b1"], p["w2"], p["b2"])
    fed, cache_drop2 = dropout(fed, *noise)
    y, cache_norm2 = layer_norm(x + fed, p["norm2.gamma"], p["norm2.beta"])
    return y, (cache_attention, cache_drop1, cache_norm1, cache_ffn, cache_drop2, cache_norm2)


def post_norm_block_backward(dy: Array, cache: Cache) -> tuple[Array, Params]:
    """Gradients of :func:`post_norm_block`.

    Returns:
        dx (B, T, D), and the gradient of each parameter by its name.
    """
    cache_attention, cache_drop1, cache_norm1, cache_ffn, cache_drop2, cache_norm2 = cache
    g: Params = {}
    # A sum passes its gradient to both terms; where paths meet again, gradients add.
    dsum, g["norm2.gamma"], g["norm2.beta"] = layer_norm_backward(dy, cache_norm2)
    dx = _feed_backward(dropout_backward(dsum, cache_drop2), cache_ffn, g)
    dsum, g["norm1.gamma"], g["norm1.beta"] = layer_norm_backward(dx + dsum, cache_norm1)
    dx = _attend_backward(dropout_backward(dsum, cache_drop1), cache_attention, g)
    return dx + dsum, g


def pre_norm_block(
    x: Array, p: Params, heads: int, mask: BoolArray | None = None, noise: Noise = (0.0, None)
) -> tuple[Array, Cache]:
    """The same sublayers, each reading a normalised copy: nothing stands in the residual's way.

    The gradient reaches every layer through a plain sum, whatever the depth (Xiong et al., 2020,
    arXiv 2002.04745). Arguments and results are those of :func:`post_norm_block`; the sum is not
    normalised at the end, so a stack of these needs one more norm.
    """
    normal, cache_norm1 = layer_norm(x, p["norm1.gamma"], p["norm1.beta"])
    mixed, cache_attention = _attend(normal, p, heads, mask)
    mixed, cache_drop1 = dropout(mixed, *noise)
    x = x + mixed
    normal, cache_norm2 = layer_norm(x, p["norm2.gamma"], p["norm2.beta"])
    fed, cache_ffn = feed_forward(normal, p["w1"], p["b1"], p["w2"], p["b2"])
    fed, cache_drop2 = dropout(fed, *noise)
    return x + fed, (cache_attention, cache_drop1, cache_norm1, cache_ffn, cache_drop2, cache_norm2)


def pre_norm_block_backward(dy: Array, cache: Cache) -> tuple[Array, Params]:
    """Gradients of :func:`pre_norm_block`.

    Returns:
        dx (B, T, D), and the gradient of each parameter.
    """
    cache_attention, cache_drop1, cache_norm1, cache_ffn, cache_drop2, cache_norm2 = cache
    g: Params = {}
    dnormal = _feed_backward(dropout_backward(dy, cache_drop2), cache_ffn, g)
    dbranch, g["norm2.gamma"], g["norm2.beta"] = layer_norm_backward(dnormal, cache_norm2)
    dx = dy + dbranch  # the sum passes dy on as it is, and the branch adds to it
    dnormal = _attend_backward(dropout_backward(dx, cache_drop1), cache_attention, g)
    dbranch, g["norm1.gamma"], g["norm1.beta"] = layer_norm_backward(dnormal, cache_norm1)
    return dx + dbranch, g


def _attend(x: Array, p: Params, heads: int, mask: BoolArray | None) -> tuple[Array, Cache]:
    """Multi-head attention with the block's parameters."""
    return multi_head_attention(x, p["wqkv"], p["bqkv"], p["wo"], p["bo"], heads, mask)


def _attend_backward(dy: Array, cache: Cache, g: Params) -> Array:
    """Its dx. The gradients of its parameters are written into g."""
    dx, g["wqkv"], g["bqkv"], g["wo"], g["bo"] = multi_head_attention_backward(dy, cache)
    return dx


def _feed_backward(dy: Array, cache: Cache, g: Params) -> Array:
    """dx of the feed-forward network. The gradients of its parameters are written into g."""
    dx, g["w1"], g["b1"], g["w2"], g["b2"] = feed_forward_backward(dy, cache)
    return dx
