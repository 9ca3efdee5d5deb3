"""The digit encoder with one part taken out, for benchmarks/digits.py.

Each ablation is a context: inside it, models are made, trained and asked without the part. In all
but two of them the backward pass is that of the changed forward pass, exactly. The two about the
softmax Jacobian leave the forward pass as it is and change the gradient, which is then wrong.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from unittest import mock

import numpy as np

from groundup.scratch import attention, blocks, encoder
from groundup.scratch.feedforward import feed_forward, feed_forward_backward
from groundup.scratch.normalization import layer_norm, layer_norm_backward
from groundup.scratch.types import Array, BoolArray, Cache, Params

scaled, scaled_backward = attention.attention, attention.attention_backward


def unscaled(q: Array, k: Array, v: Array, mask: BoolArray | None = None) -> tuple[Array, Cache]:
    """softmax(q kᵀ) v: the queries are multiplied by √K first, which the scale then takes away."""
    return scaled(q * np.sqrt(q.shape[-1]).astype(q.dtype), k, v, mask)


def unscaled_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Gradients of :func:`unscaled`."""
    dq, dk, dv = scaled_backward(dy, cache)
    return dq * np.sqrt(dq.shape[-1]).astype(dq.dtype), dk, dv


def block_without_residuals(
    x: Array,
    p: Params,
    heads: int,
    mask: BoolArray | None = None,
    noise: blocks.Dropout = (0.0, None),
) -> tuple[Array, Cache]:
    """A post-norm block in which each sublayer replaces what it read. It has no dropout."""
    mixed, cache_attention = attention.multi_head_attention(
        x, p["wqkv"], p["bqkv"], p["wo"], p["bo"], heads, mask
    )
    x, cache_norm1 = layer_norm(mixed, p["norm1.gamma"], p["norm1.beta"])
    fed, cache_ffn = feed_forward(x, p["w1"], p["b1"], p["w2"], p["b2"])
    y, cache_norm2 = layer_norm(fed, p["norm2.gamma"], p["norm2.beta"])
    return y, (cache_attention, cache_norm1, cache_ffn, cache_norm2)


def block_without_residuals_backward(dy: Array, cache: Cache) -> tuple[Array, Params]:
    """Gradients of :func:`block_without_residuals`."""
    cache_attention, cache_norm1, cache_ffn, cache_norm2 = cache
    g: Params = {}
    dx, g["norm2.gamma"], g["norm2.beta"] = layer_norm_backward(dy, cache_norm2)
    dx, g["w1"], g["b1"], g["w2"], g["b2"] = feed_forward_backward(dx, cache_ffn)
    dx, g["norm1.gamma"], g["norm1.beta"] = layer_norm_backward(dx, cache_norm1)
    dx, g["wqkv"], g["bqkv"], g["wo"], g["bo"] = attention.multi_head_attention_backward(
        dx, cache_attention
    )
    return dx, g


def no_norm(x: Array, gamma: Array, beta: Array) -> tuple[Array, Cache]:
    """The input as it is. Scale and shift are not used, and not trained."""
    return x, (gamma, beta)


def no_norm_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Gradients of :func:`no_norm`."""
    gamma, beta = cache
    return dy, np.zeros_like(gamma), np.zeros_like(beta)


def no_positions(length: int, width: int) -> Array:
    """A table of zeros for that of sines and cosines."""
    return np.zeros((length, width))


ABLATIONS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "whole model": nullcontext,
    "without the scale 1/√K": lambda: mock.patch.multiple(
        attention, attention=unscaled, attention_backward=unscaled_backward
    ),
    "without residuals": lambda: mock.patch.dict(
        encoder.BLOCKS, post=(block_without_residuals, block_without_residuals_backward)
    ),
    "without norms": lambda: mock.patch.multiple(
        blocks, layer_norm=no_norm, layer_norm_backward=no_norm_backward
    ),
    "without positions": lambda: mock.patch.object(encoder, "sinusoidal_positions", no_positions),
    "softmax gradient without its sum: ds = p ⊙ dp": lambda: mock.patch.object(
        attention, "softmax_backward", lambda dp, p: p * dp
    ),
    "softmax gradient left out: ds = dp": lambda: mock.patch.object(
        attention, "softmax_backward", lambda dp, p: dp
    ),
}
"""A name for the table, and what takes the part out."""
