"""Right versions of the exercises of chapter 3 in other styles: the checks must accept each."""

import math

import numpy as np

from groundup.course.exercises.mutants import variant
from groundup.scratch.activations import softmax
from groundup.scratch.attention import attention as right_attention
from groundup.scratch.attention import attention_backward as right_attention_backward
from groundup.scratch.linear import linear, linear_backward


@variant("3.1", replaces="attention")
def queries_scaled_first(q, k, v, mask=None):
    """The queries are scaled and not the scores, by einsum, and the scale is a plain float."""
    scale = 1 / math.sqrt(q.shape[-1])
    scores = np.einsum("...tk,...sk->...ts", q * scale, k)
    if mask is not None:
        if mask.dtype != bool or np.broadcast_shapes(mask.shape, scores.shape) != scores.shape:
            raise ValueError(f"a mask for {scores.shape}: got {mask.dtype} {mask.shape}")
        scores = scores.copy()
        scores[~np.broadcast_to(mask, scores.shape)] = -np.inf
    weights = softmax(scores)
    return np.einsum("...ts,...sk->...tk", weights, v), [weights, q, k, v, scale]


@variant("3.1", replaces="attention")
def zeros_by_hand(q, k, v, mask=None):
    """The softmax is written out, and the rows without a key are filled with zeros afterwards."""
    scale = q.dtype.type(1 / math.sqrt(q.shape[-1]))
    scores = q @ np.moveaxis(k, -1, -2) * scale
    if mask is None:
        mask = np.ones(scores.shape, bool)
    if mask.dtype != bool:
        raise ValueError("the mask must be boolean")
    try:
        mask = np.broadcast_to(mask, scores.shape)
    except ValueError:
        raise ValueError(f"the mask does not fit {scores.shape}") from None
    top = np.max(scores, axis=-1, keepdims=True, where=mask, initial=-np.inf)
    e = np.where(mask, np.exp(np.where(mask, scores - np.where(np.isfinite(top), top, 0), 0)), 0)
    total = e.sum(-1, keepdims=True)
    weights = np.divide(e, total, out=np.zeros_like(e), where=total > 0)
    return weights @ v, (weights, q, k, v, scale)


@variant("3.1", replaces="attention_backward")
def whole_jacobian(dy, cache):
    """The Jacobian of each row is built as a square, and a list is returned."""
    weights, q, k, v, scale = cache
    eye = np.eye(weights.shape[-1], dtype=weights.dtype)
    jacobian = weights[..., :, None] * (eye - weights[..., None, :])
    dscores = np.einsum("...tk,...sk,...tsr->...tr", dy, v, jacobian) * scale
    turned = dscores.swapaxes(-1, -2)
    return [dscores @ k, turned @ q, weights.swapaxes(-1, -2) @ dy]


@variant("3.2", replaces="causal_mask")
def positions_compared(queries, keys=None):
    """Positions of queries and of keys are compared, by broadcasting."""
    if keys is None:
        keys = queries
    if queries > keys:
        raise ValueError("fewer keys than queries")
    return np.arange(keys)[None] <= np.arange(keys - queries, keys)[:, None]


@variant("3.2", replaces="causal_mask")
def rows_of_the_square(queries, keys=None):
    """The last rows of the square triangle; a view of it is returned."""
    keys = queries if keys is None else keys
    if queries > keys:
        raise ValueError("fewer keys than queries")
    return np.tril(np.ones((keys, keys), dtype=bool))[keys - queries :]


@variant("3.2", replaces="key_mask")
def axes_by_reshape(real):
    """The axes are added by reshape, to a copy."""
    if real.dtype.kind != "b" or len(real.shape) != 2:
        raise ValueError("real must be boolean, (B, T)")
    batch, length = real.shape
    return real.copy().reshape(batch, 1, 1, length)


@variant("3.3", replaces="split_heads")
def split_and_stacked(x, heads):
    """The width is cut with np.split, and the pieces are stacked."""
    return np.stack(np.split(x, heads, axis=-1), axis=1)


@variant("3.3", replaces="split_heads")
def split_with_minus_one(x, heads):
    """The head width is left to reshape, and the axes are swapped."""
    return np.swapaxes(x.reshape(*x.shape[:2], heads, -1), 1, 2)


@variant("3.3", replaces="merge_heads")
def heads_concatenated(x):
    """The heads are laid side by side, one after the other."""
    return np.concatenate([x[:, head] for head in range(x.shape[1])], axis=-1)


@variant("3.3", replaces="merge_heads")
def heads_filled_in(x):
    """Each head's columns are filled into an empty array."""
    batch, heads, length, width = x.shape
    y = np.empty((batch, length, heads * width), x.dtype)
    for head in range(heads):
        y[..., head * width : (head + 1) * width] = x[:, head]
    return y


@variant("3.4", replaces="multi_head_attention")
def head_by_head(x, wqkv, bqkv, wo, bo, heads, mask=None):
    """A loop over the heads, on slices; the cache is in the library's form, as a list."""
    batch, length, width = x.shape
    if heads < 1 or width % heads != 0:
        raise ValueError("heads must divide the width")
    if mask is not None and (mask.dtype != bool or mask.shape != (batch, length)):
        raise ValueError("the mask must be boolean, (B, T)")
    rows, cache_rows = linear(x, wqkv, bqkv)
    qkv = rows.reshape(batch, length, 3, heads, width // heads).transpose(2, 0, 3, 1, 4)
    see = None if mask is None else mask[:, None, None]
    mixed, cache_mixed = right_attention(qkv[0], qkv[1], qkv[2], see)
    joined = np.concatenate([mixed[:, head] for head in range(heads)], axis=2)
    y, cache_out = linear(joined, wo, bo)
    return y, [cache_rows, cache_mixed, cache_out, heads]


@variant("3.4", replaces="multi_head_attention_backward")
def filled_by_thirds(dy, cache):
    """The three gradients are filled into one array by reshape, and a list is returned."""
    cache_rows, cache_mixed, cache_out, heads = cache
    djoined, dwo, dbo = linear_backward(dy, cache_out)
    batch, length, width = djoined.shape
    split = djoined.reshape(batch, length, heads, width // heads).transpose(0, 2, 1, 3)
    parts = np.stack(right_attention_backward(split, cache_mixed))
    drows = parts.transpose(1, 3, 0, 2, 4).reshape(batch, length, 3 * width)
    return [*linear_backward(drows, cache_rows), dwo, dbo]
