"""One transformer block, in the two orders of norm and residual, forward and backward.

A block's parameters: ``wqkv``, ``bqkv``, ``wo``, ``bo`` (attention), ``w1``, ``b1``, ``w2``,
``b2`` (feed-forward), and ``gamma`` and ``beta`` of ``norm1`` and ``norm2``.
"""

from collections.abc import Callable

import numpy as np

from groundup.scratch.attention import multi_head_attention, multi_head_attention_backward
from groundup.scratch.dropout import dropout, dropout_backward
from groundup.scratch.feedforward import feed_forward, feed_forward_backward
from groundup.scratch.normalization import layer_norm, layer_norm_backward
from groundup.scratch.types import Array, BoolArray, Cache, Params

Dropout = tuple[float, np.random.Generator | None]
"""The rate of dropout and the generator that draws it; without a generator nothing is dropped."""

BLOCK_PARAMETERS = (
    *("wqkv", "bqkv", "wo", "bo", "norm1.gamma", "norm1.beta"),
    *("w1", "b1", "w2", "b2", "norm2.gamma", "norm2.beta"),
)


def xavier(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """A uniform matrix that keeps the variance of what passes through (Glorot, Bengio, 2010)."""
    limit = np.sqrt(6 / (rows + columns))
    return rng.uniform(-limit, limit, (rows, columns))


def init_block(rng: np.random.Generator, width: int, hidden: int) -> Params:
    """Fresh parameters of a block, in float64: Xavier matrices, zero biases, norms at one."""
    return {
        "wqkv": np.hstack([xavier(rng, width, width) for _ in range(3)]),
        "bqkv": np.zeros(3 * width),
        "wo": xavier(rng, width, width),
        "bo": np.zeros(width),
        "norm1.gamma": np.ones(width),
        "norm1.beta": np.zeros(width),
        "w1": xavier(rng, width, hidden),
        "b1": np.zeros(hidden),
        "w2": xavier(rng, hidden, width),
        "b2": np.zeros(width),
        "norm2.gamma": np.ones(width),
        "norm2.beta": np.zeros(width),
    }


def block_params(params: Params, i: int) -> Params:
    """The parameters of block i of a model, under the names that a block uses."""
    return {name: params[f"layers.{i}.{name}"] for name in BLOCK_PARAMETERS}


def post_norm_block(
    x: Array, p: Params, heads: int, mask: BoolArray | None = None, noise: Dropout = (0.0, None)
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
    mixed, cache_attention = attend(x, p, heads, mask)
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
    dx = feed_backward(dropout_backward(dsum, cache_drop2), cache_ffn, g)
    dsum, g["norm1.gamma"], g["norm1.beta"] = layer_norm_backward(dx + dsum, cache_norm1)
    dx = attend_backward(dropout_backward(dsum, cache_drop1), cache_attention, g)
    return dx + dsum, g


def pre_norm_block(
    x: Array, p: Params, heads: int, mask: BoolArray | None = None, noise: Dropout = (0.0, None)
) -> tuple[Array, Cache]:
    """The same sublayers, each reading a normalised copy; the residual is never normalised.

    The gradient reaches every layer through a plain sum, whatever the depth (Xiong et al., 2020,
    arXiv 2002.04745). Arguments and results are those of :func:`post_norm_block`; the sum is not
    normalised at the end, so a stack of these needs one more norm.
    """
    x, cache1 = pre_norm(x, p, "norm1", lambda normal: attend(normal, p, heads, mask), noise)
    y, cache2 = pre_norm(x, p, "norm2", lambda normal: feed(normal, p), noise)
    return y, (*cache1, *cache2)


def pre_norm_block_backward(dy: Array, cache: Cache) -> tuple[Array, Params]:
    """Gradients of :func:`pre_norm_block`.

    Returns:
        dx (B, T, D), and the gradient of each parameter.
    """
    g: Params = {}
    dx = pre_norm_backward(dy, cache[3:], g, "norm2", feed_backward)
    return pre_norm_backward(dx, cache[:3], g, "norm1", attend_backward), g


def pre_norm(
    x: Array,
    p: Params,
    norm: str,
    sublayer: Callable[[Array], tuple[Array, Cache]],
    noise: Dropout = (0.0, None),
) -> tuple[Array, Cache]:
    """One pre-norm sublayer and its residual: x + dropout(sublayer(layer_norm(x))).

    Args:
        x: (B, T, D).
        p: the block's parameters.
        norm: which of its norms comes before the sublayer, ``"norm1"`` or ``"norm2"``.
        sublayer: attention or a feed-forward network, its parameters already given.
        noise: dropout of what the sublayer adds.

    Returns:
        y (B, T, D), and the cache :func:`pre_norm_backward` needs; its first entry is the
        sublayer's cache.
    """
    normal, cache_norm = layer_norm(x, p[f"{norm}.gamma"], p[f"{norm}.beta"])
    added, cache_sublayer = sublayer(normal)
    added, cache_drop = dropout(added, *noise)
    return x + added, (cache_sublayer, cache_drop, cache_norm)


def pre_norm_backward(
    dy: Array,
    cache: Cache,
    g: Params,
    norm: str,
    sublayer_backward: Callable[[Array, Cache, Params], Array],
) -> Array:
    """dx of :func:`pre_norm`. The gradients of its parameters are written into g."""
    cache_sublayer, cache_drop, cache_norm = cache
    dnormal = sublayer_backward(dropout_backward(dy, cache_drop), cache_sublayer, g)
    dbranch, g[f"{norm}.gamma"], g[f"{norm}.beta"] = layer_norm_backward(dnormal, cache_norm)
    return dy + dbranch  # the sum passes dy on as it is, and the branch adds to it


def attend(x: Array, p: Params, heads: int, mask: BoolArray | None) -> tuple[Array, Cache]:
    """Multi-head attention with the block's parameters."""
    return multi_head_attention(x, p["wqkv"], p["bqkv"], p["wo"], p["bo"], heads, mask)


def attend_backward(dy: Array, cache: Cache, g: Params) -> Array:
    """Its dx. The gradients of its parameters are written into g."""
    dx, g["wqkv"], g["bqkv"], g["wo"], g["bo"] = multi_head_attention_backward(dy, cache)
    return dx


def feed(x: Array, p: Params, activation: str = "relu") -> tuple[Array, Cache]:
    """The feed-forward network with the block's parameters."""
    return feed_forward(x, p["w1"], p["b1"], p["w2"], p["b2"], activation)


def feed_backward(dy: Array, cache: Cache, g: Params) -> Array:
    """Its dx. The gradients of its parameters are written into g."""
    dx, g["w1"], g["b1"], g["w2"], g["b2"] = feed_forward_backward(dy, cache)
    return dx
