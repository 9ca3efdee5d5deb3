"""Right versions of the exercises of chapter 4 in other styles: the checks must accept each."""

import cmath
import math

import numpy as np

from groundup.course.exercises.mutants import variant
from groundup.scratch.attention import multi_head_attention, multi_head_attention_backward
from groundup.scratch.dropout import dropout, dropout_backward
from groundup.scratch.feedforward import feed_forward, feed_forward_backward
from groundup.scratch.normalization import layer_norm, layer_norm_backward


@variant("4.1", replaces="sinusoidal_positions")
def powers_of_a_rotation(length, width):
    """Complex numbers, one entry at a time, and the width tested by its last bit."""
    if width & 1:
        raise ValueError("odd")
    table = np.zeros((length, width), dtype=float)
    for t in range(length):
        for i in range(0, width, 2):
            turned = cmath.exp(1j * t * math.exp(-i / width * math.log(1e4)))
            table[t, i], table[t, i + 1] = turned.imag, turned.real
    return table


@variant("4.1", replaces="sinusoidal_positions")
def stacked_and_flattened(length, width):
    """Sines and cosines are stacked as pairs, and the last two axes are joined."""
    if width % 2 != 0:
        raise ValueError("odd")
    angles = np.outer(np.arange(length), np.logspace(0, -4, width // 2, endpoint=False))
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(length, width)


@variant("4.2", replaces="post_norm_block")
def halves_in_a_loop(x, p, heads, mask=None, noise=(0.0, None)):
    """The two halves are one loop over functions, and the cache is a list."""
    sublayers = (
        lambda x: multi_head_attention(x, p["wqkv"], p["bqkv"], p["wo"], p["bo"], heads, mask),
        lambda x: feed_forward(x, p["w1"], p["b1"], p["w2"], p["b2"]),
    )
    cache = []
    for n, sublayer in enumerate(sublayers, start=1):
        found, kept = sublayer(x)
        dropped, kept_drop = dropout(found, noise[0], noise[1])
        x, kept_norm = layer_norm(dropped + x, p[f"norm{n}.gamma"], p[f"norm{n}.beta"])
        cache += [kept, kept_drop, kept_norm]
    return [x, cache]


@variant("4.2", replaces="post_norm_block_backward")
def written_out(dy, cache):
    """Every name is written out, in the order of the parameters, and a list is returned."""
    d2, gamma2, beta2 = layer_norm_backward(dy, cache[5])
    dfed, w1, b1, w2, b2 = feed_forward_backward(dropout_backward(d2, cache[4]), cache[3])
    d1, gamma1, beta1 = layer_norm_backward(d2 + dfed, cache[2])
    back = multi_head_attention_backward(dropout_backward(d1, cache[1]), cache[0])
    grads = dict(zip(("wqkv", "bqkv", "wo", "bo"), back[1:], strict=True))
    grads |= {"w1": w1, "b1": b1, "w2": w2, "b2": b2}
    grads |= {"norm1.gamma": gamma1, "norm1.beta": beta1}
    grads |= {"norm2.gamma": gamma2, "norm2.beta": beta2}
    return [d1 + back[0], grads]


@variant("4.3", replaces="mean_pool")
def as_sentence_transformers(x, mask=None):
    """The count is bounded by 1e-9, as sentence-transformers does, and the sum is an einsum."""
    if mask is None:
        mask = np.ones(x.shape[:2], bool)
    if mask.shape != x.shape[:2] or mask.dtype.kind != "b":
        raise ValueError("mask")
    count = np.maximum(mask.sum(1), 1e-9).astype(x.dtype)
    shown = np.where(mask[:, :, None], x, x.dtype.type(0))
    return np.einsum("btd,b->bd", shown, 1 / count), [mask / count[:, None]]


@variant("4.3", replaces="mean_pool")
def row_by_row(x, mask=None):
    """A loop over the examples, each indexed by its row of the mask."""
    if mask is not None and not (mask.dtype == np.bool_ and mask.shape == x.shape[:-1]):
        raise ValueError("mask")
    y, share = np.zeros((x.shape[0], x.shape[2]), x.dtype), np.zeros(x.shape[:2], x.dtype)
    for b in range(len(x)):
        row = slice(None) if mask is None else mask[b]
        real = x[b][row]
        if len(real):
            y[b], share[b, row] = real.mean(axis=0), 1 / len(real)
    return y, (share,)


@variant("4.3", replaces="mean_pool_backward")
def by_einsum(dy, cache):
    """An outer product by einsum, with the cache indexed."""
    return np.einsum("bt,bd->btd", cache[0], dy)


@variant("4.4", replaces="dropout")
def by_binomial(x, rate, rng):
    """Zeros and ones from rng.binomial, drawn at rate 0 too."""
    if not (rate >= 0 and rate < 1):
        raise ValueError("rate")
    if rng is None:
        return x.copy(), [None]
    factor = rng.binomial(1, 1 - rate, size=x.shape).astype(x.dtype) / x.dtype.type(1 - rate)
    return x * factor, [factor]


@variant("4.4", replaces="dropout")
def chosen_by_where(x, rate, rng):
    """Uniform numbers in float32, and np.where in place of a product."""
    if rate not in (0, 0.0) and not 0 < rate < 1:
        raise ValueError("rate")
    if rng is None:
        return x, (None,)
    dropped = rng.random(x.shape, dtype=np.float32) < rate
    scale = np.where(dropped, 0, 1 / (1 - rate)).astype(x.dtype)
    return np.where(dropped, 0, x / (1 - rate)).astype(x.dtype), (scale,)
