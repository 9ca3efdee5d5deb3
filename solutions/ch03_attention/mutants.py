"""Wrong versions of the exercises of chapter 3. Each docstring says what is wrong."""

import numpy as np

from groundup.course.exercises.mutants import mutant
from groundup.scratch.activations import softmax, softmax_backward
from groundup.scratch.attention import attention as right_attention
from groundup.scratch.attention import attention_backward as right_attention_backward
from groundup.scratch.attention import merge_heads as right_merge
from groundup.scratch.attention import split_heads as right_split
from groundup.scratch.linear import linear, linear_backward


def _swap(x):
    return x.swapaxes(-1, -2)


def _scale(q):
    return 1 / np.sqrt(q.shape[-1]).astype(q.dtype)


def _masked(scores, mask, value=-np.inf):
    return scores if mask is None else np.where(mask, scores, value)


def _fitting(mask, scores, added):
    """The scores with something added, if the mask is a right one.

    Raises:
        ValueError: it is not boolean, or does not fit.
    """
    if mask is not None:
        same = np.broadcast_shapes(mask.shape, scores.shape) == scores.shape
        if mask.dtype != bool or not same:
            raise ValueError("the mask must be boolean and fit")
    return scores + added


@mutant("3.1", replaces="attention")
def no_scale(q, k, v, mask=None):
    """The scores are not divided by √K: they grow with the width, and the weights harden."""
    weights = softmax(_masked(q @ _swap(k), mask))
    return weights @ v, (weights, q, k, v, q.dtype.type(1))


@mutant("3.1", replaces="attention")
def scaled_by_width(q, k, v, mask=None):
    """The scores are divided by K and not by its root: the weights are too even."""
    scale = 1 / q.dtype.type(q.shape[-1])
    weights = softmax(_masked(q @ _swap(k) * scale, mask))
    return weights @ v, (weights, q, k, v, scale)


@mutant("3.1", replaces="attention")
def multiplied_by_root(q, k, v, mask=None):
    """The scores are multiplied by √K where they are to be divided."""
    scale = np.sqrt(q.shape[-1]).astype(q.dtype)
    weights = softmax(_masked(q @ _swap(k) * scale, mask))
    return weights @ v, (weights, q, k, v, scale)


@mutant("3.1", replaces="attention")
def scaled_after_softmax(q, k, v, mask=None):
    """The weights are divided by √K, after the softmax, and no longer sum to one."""
    scale = _scale(q)
    weights = softmax(_masked(q @ _swap(k), mask)) * scale
    return weights @ v, (weights, q, k, v, scale)


@mutant("3.1", replaces="attention")
def softmax_over_queries(q, k, v, mask=None):
    """The softmax runs over the queries: what each key gives out sums to one, not each row."""
    scale = _scale(q)
    weights = _swap(softmax(_swap(_masked(q @ _swap(k) * scale, mask))))
    return weights @ v, (weights, q, k, v, scale)


@mutant("3.1", replaces="attention")
def mask_after_softmax(q, k, v, mask=None):
    """The mask is applied after the softmax: the weights that are left do not sum to one."""
    scale = _scale(q)
    weights = softmax(q @ _swap(k) * scale)
    weights = weights if mask is None else weights * mask
    return weights @ v, (weights, q, k, v, scale)


@mutant("3.1", replaces="attention")
def masked_with_zero(q, k, v, mask=None):
    """A masked score is set to 0 and not to minus infinity: exp(0) = 1 is still a weight."""
    scale = _scale(q)
    weights = softmax(_masked(q @ _swap(k) * scale, mask, q.dtype.type(0)))
    return weights @ v, (weights, q, k, v, scale)


@mutant("3.1", replaces="attention")
def masked_with_a_large_number(q, k, v, mask=None):
    """A query that may look nowhere mixes evenly what it must not see, as by scores of -1e9."""
    scale = _scale(q)
    weights = softmax(_masked(q @ _swap(k) * scale, mask, q.dtype.type(-1e9)))
    return weights @ v, (weights, q, k, v, scale)


@mutant("3.1", replaces="attention")
def mask_added(q, k, v, mask=None):
    """The mask is added to the scores as it is: True counts 1, and nothing is hidden."""
    scale = _scale(q)
    scores = q @ _swap(k) * scale
    weights = softmax(scores if mask is None else scores + mask)
    return weights @ v, (weights, q, k, v, scale)


@mutant("3.1", replaces="attention")
def mask_inverted(q, k, v, mask=None):
    """The mask is read the wrong way round: True is where a query may look."""
    return right_attention(q, k, v, ~mask if mask is not None and mask.dtype == bool else mask)


@mutant("3.1", replaces="attention")
def mask_ignored(q, k, v, mask=None):
    """The mask is not used: every query sees every key."""
    return right_attention(q, k, v)


@mutant("3.1", replaces="attention")
def no_largest_subtracted(q, k, v, mask=None):
    """The softmax does not subtract the largest score: exp overflows, and inf / inf is NaN."""
    scale = _scale(q)
    with np.errstate(all="ignore"):
        e = np.exp(_masked(q @ _swap(k) * scale, mask))
        weights = e / e.sum(axis=-1, keepdims=True)
    return weights @ v, (weights, q, k, v, scale)


@mutant("3.1", replaces="attention")
def no_key_gives_nan(q, k, v, mask=None):
    """A row of minus infinities, where every key is masked, becomes NaN and spreads."""
    scale = _scale(q)
    scores = _masked(q @ _swap(k) * scale, mask)
    with np.errstate(all="ignore"):
        e = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights = e / e.sum(axis=-1, keepdims=True)
    return weights @ v, (weights, q, k, v, scale)


@mutant("3.1", replaces="attention")
def scale_in_float64(q, k, v, mask=None):
    """y is float64 for float32 inputs, as a scale of 1 / np.sqrt(K) makes it: twice the memory."""
    scale = 1 / np.sqrt(q.shape[-1])
    weights = softmax(_masked(q @ _swap(k) * scale, mask))
    return weights @ v, (weights, q, k, v, scale)


@mutant("3.1", replaces="attention")
def scaled_in_place(q, k, v, mask=None):
    """The queries are scaled in place, as by *=, which writes into the caller's q."""
    scale = _scale(q)
    q *= scale
    weights = softmax(_masked(q @ _swap(k), mask))
    return weights @ v, (weights, q / scale, k, v, scale)


@mutant("3.1", replaces="attention")
def all_axes_turned(q, k, v, mask=None):
    """All axes of k are turned round, as by k.T, batch and heads too: swap only the last two."""
    scale = _scale(q)
    weights = softmax(_masked(q @ k.T * scale, mask))
    return weights @ v, (weights, q, k, v, scale)


@mutant("3.1", replaces="attention")
def mask_in_float64(q, k, v, mask=None):
    """With a mask, y is float64 for float32 inputs, as np.where(mask, 0.0, -np.inf) makes it."""
    scale = _scale(q)
    scores = q @ _swap(k) * scale
    weights = softmax(
        scores if mask is None else _fitting(mask, scores, np.where(mask, 0, -np.inf))
    )
    return weights @ v, (weights, q, k, v, scale)


@mutant("3.1", replaces="attention")
def renormalised(q, k, v, mask=None):
    """The mask acts after the softmax, and the rest is divided by its sum: it may round to 0."""
    scale = _scale(q)
    weights = softmax(q @ _swap(k) * scale)
    if mask is not None:
        weights = _fitting(mask, weights, 0) * mask
        total = weights.sum(axis=-1, keepdims=True)
        weights = weights / np.where(total == 0, total.dtype.type(1), total)
    return weights @ v, (weights, q, k, v, scale)


@mutant("3.1", replaces="attention")
def whole_masks_alone(q, k, v, mask=None):
    """Only a mask with all axes of the scores is accepted; one that broadcasts is right too."""
    if mask is not None and mask.shape != (*q.shape[:-1], k.shape[-2]):
        raise ValueError("the mask must be (..., T, S)")
    return right_attention(q, k, v, mask)


@mutant("3.1", replaces="attention")
def masks_of_numbers_accepted(q, k, v, mask=None):
    """A mask of 0 and 1 is not refused: numbers to be added would hide nothing."""
    return right_attention(q, k, v, None if mask is None else mask.astype(bool))


@mutant("3.1", replaces="attention")
def larger_masks_accepted(q, k, v, mask=None):
    """The mask's shape is left to NumPy: a mask that is larger makes y larger than q."""
    if mask is not None and mask.dtype != bool:
        raise ValueError("the mask must be boolean")
    scale = _scale(q)
    weights = softmax(_masked(q @ _swap(k) * scale, mask))
    return weights @ v, (weights, q, k, v, scale)


@mutant("3.1", replaces="attention")
def zeros_only_if_all_is_masked(q, k, v, mask=None):
    """Zeros are returned only if the whole mask is False: one query without keys becomes NaN."""
    scale = _scale(q)
    scores = _fitting(mask, q @ _swap(k) * scale, 0)
    if mask is None or mask.any():
        scores = _masked(scores, mask)
        with np.errstate(all="ignore"):
            e = np.exp(scores - scores.max(axis=-1, keepdims=True))
            weights = e / e.sum(axis=-1, keepdims=True)
    else:
        weights = np.zeros_like(scores)
    return weights @ v, (weights, q, k, v, scale)


@mutant("3.1", replaces="attention_backward")
def jacobian_dropped(dy, cache):
    """The softmax is left out of the backward pass: its gradient is passed on as it came."""
    weights, q, k, v, scale = cache
    dscores = dy @ _swap(v) * scale
    return dscores @ k, _swap(dscores) @ q, _swap(weights) @ dy


@mutant("3.1", replaces="attention_backward")
def mean_not_taken_off(dy, cache):
    """The softmax's gradient is p·dp alone: what the other weights lose is left out."""
    weights, q, k, v, scale = cache
    dscores = weights * (dy @ _swap(v)) * scale
    return dscores @ k, _swap(dscores) @ q, _swap(weights) @ dy


@mutant("3.1", replaces="attention_backward")
def diagonal_alone(dy, cache):
    """Only the diagonal p(1 - p) of the softmax Jacobian is used, as for single sigmoids."""
    weights, q, k, v, scale = cache
    dscores = weights * (1 - weights) * (dy @ _swap(v)) * scale
    return dscores @ k, _swap(dscores) @ q, _swap(weights) @ dy


@mutant("3.1", replaces="attention_backward")
def plain_mean_taken_off(dy, cache):
    """The mean that is subtracted is a plain one; it must be the mean under the weights."""
    weights, q, k, v, scale = cache
    dweights = dy @ _swap(v)
    dscores = weights * (dweights - dweights.mean(axis=-1, keepdims=True)) * scale
    return dscores @ k, _swap(dscores) @ q, _swap(weights) @ dy


@mutant("3.1", replaces="attention_backward")
def jacobian_over_queries(dy, cache):
    """The sum in the softmax's gradient runs over the queries and not over the keys."""
    weights, q, k, v, scale = cache
    dscores = _swap(softmax_backward(_swap(dy @ _swap(v)), _swap(weights))) * scale
    return dscores @ k, _swap(dscores) @ q, _swap(weights) @ dy


@mutant("3.1", replaces="attention_backward")
def scale_forgotten(dy, cache):
    """The gradients of q and k lack the scale, 1/√K."""
    weights, q, k, v, _ = cache
    dscores = softmax_backward(dy @ _swap(v), weights)
    return dscores @ k, _swap(dscores) @ q, _swap(weights) @ dy


@mutant("3.1", replaces="attention_backward")
def scale_forgotten_for_keys(dy, cache):
    """The scale is in dq and not in dk: both come from the same scaled product."""
    weights, q, k, v, scale = cache
    dscores = softmax_backward(dy @ _swap(v), weights)
    return dscores * scale @ k, _swap(dscores) @ q, _swap(weights) @ dy


@mutant("3.1", replaces="attention_backward")
def scaled_twice(dy, cache):
    """The scale is applied twice, to the scores' gradient and again to dq and dk."""
    weights, q, k, v, scale = cache
    dscores = softmax_backward(dy @ _swap(v), weights) * scale
    return dscores @ k * scale, _swap(dscores) @ q * scale, _swap(weights) @ dy


@mutant("3.1", replaces="attention_backward")
def values_scaled(dy, cache):
    """dv carries the scale, which belongs to the scores."""
    weights, q, k, v, scale = cache
    dscores = softmax_backward(dy @ _swap(v), weights) * scale
    return dscores @ k, _swap(dscores) @ q, _swap(weights) @ dy * scale


@mutant("3.1", replaces="attention_backward")
def dv_not_transposed(dy, cache):
    """dv multiplies by the weights where it needs their transpose: keys collect from queries."""
    weights, q, k, v, scale = cache
    dscores = softmax_backward(dy @ _swap(v), weights) * scale
    return dscores @ k, _swap(dscores) @ q, weights @ dy


@mutant("3.1", replaces="attention_backward")
def dk_not_transposed(dy, cache):
    """dk multiplies by the scores' gradient where it needs its transpose."""
    weights, q, k, v, scale = cache
    dscores = softmax_backward(dy @ _swap(v), weights) * scale
    return dscores @ k, dscores @ q, _swap(weights) @ dy


@mutant("3.1", replaces="attention_backward")
def dq_and_dk_swapped(dy, cache):
    """dk is returned before dq: the order is that of the inputs, q, k, v."""
    weights, q, k, v, scale = cache
    dscores = softmax_backward(dy @ _swap(v), weights) * scale
    return _swap(dscores) @ q, dscores @ k, _swap(weights) @ dy


@mutant("3.1", replaces="attention_backward")
def dy_scaled_in_place(dy, cache):
    """dy is scaled in place, as by *=, which writes into the caller's array."""
    weights, q, k, v, scale = cache
    dv = _swap(weights) @ dy
    dy *= scale
    dscores = softmax_backward(dy @ _swap(v), weights)
    return dscores @ k, _swap(dscores) @ q, dv


def _softmax_backward_in_place(weights, dweights):
    weights *= dweights - (dweights * weights).sum(axis=-1, keepdims=True)
    return weights


@mutant("3.1", replaces="attention_backward")
def cached_weights_changed(dy, cache):
    """The scores' gradient is written into the cached weights: a second backward pass is wrong."""
    weights, q, k, v, scale = cache
    dv = _swap(weights) @ dy
    dscores = _softmax_backward_in_place(weights, dy @ _swap(v)) * scale
    return dscores @ k, _swap(dscores) @ q, dv


def _refuse(queries, keys):
    keys = queries if keys is None else keys
    if keys < queries:
        raise ValueError("each query has a key of its own")
    return keys


@mutant("3.2", replaces="causal_mask")
def sees_the_next(queries, keys=None):
    """The mask is off by one: each token sees the next one, which it has to predict."""
    keys = _refuse(queries, keys)
    return np.tri(queries, keys, keys - queries + 1, dtype=bool)


@mutant("3.2", replaces="causal_mask")
def blind_to_itself(queries, keys=None):
    """The diagonal is masked: no token sees itself, and the first sees nothing."""
    keys = _refuse(queries, keys)
    return np.tri(queries, keys, keys - queries - 1, dtype=bool)


@mutant("3.2", replaces="causal_mask")
def causal_inverted(queries, keys=None):
    """True and False are swapped: the mask says where a query may not look."""
    keys = _refuse(queries, keys)
    return ~np.tri(queries, keys, keys - queries, dtype=bool)


@mutant("3.2", replaces="causal_mask")
def looks_ahead(queries, keys=None):
    """The triangle is the upper one: each token sees itself and what comes after it."""
    keys = _refuse(queries, keys)
    return ~np.tri(queries, keys, keys - queries - 1, dtype=bool)


@mutant("3.2", replaces="causal_mask")
def first_queries(queries, keys=None):
    """The queries are taken for the first positions; they are the last ones."""
    keys = _refuse(queries, keys)
    return np.tri(queries, keys, dtype=bool)


@mutant("3.2", replaces="causal_mask")
def keys_forgotten(queries, keys=None):
    """The number of keys is not used: the mask is square, and older keys have no column."""
    _refuse(queries, keys)
    return np.tri(queries, dtype=bool)


@mutant("3.2", replaces="causal_mask")
def causal_of_scores(queries, keys=None):
    """The mask holds 0 and minus infinity, to be added; it must be boolean."""
    keys = _refuse(queries, keys)
    return np.where(np.tri(queries, keys, keys - queries, dtype=bool), 0.0, -np.inf)


@mutant("3.2", replaces="causal_mask")
def too_few_keys_accepted(queries, keys=None):
    """Fewer keys than queries are not refused: some queries then see nothing at all."""
    keys = queries if keys is None else keys
    return np.tri(queries, keys, keys - queries, dtype=bool)


@mutant("3.2", replaces="causal_mask")
def zero_keys_taken_for_none(queries, keys=None):
    """0 keys are taken for None, as by keys or queries: ask whether keys is None."""
    keys = _refuse(queries, keys or queries)
    return np.tri(queries, keys, keys - queries, dtype=bool)


_kept = {}


@mutant("3.2", replaces="causal_mask")
def kept_between_calls(queries, keys=None):
    """The mask is kept and returned again: a change of it reaches all later calls."""
    keys = _refuse(queries, keys)
    if (queries, keys) not in _kept:
        _kept[queries, keys] = np.tri(queries, keys, keys - queries, dtype=bool)
    return _kept[queries, keys]


def _refuse_real(real):
    if real.ndim != 2 or real.dtype != bool:
        raise ValueError("real must be (B, T) booleans")


@mutant("3.2", replaces="key_mask")
def padding_is_true(real):
    """The padding mask is inverted: True marks the padding, and attention looks only there."""
    _refuse_real(real)
    return ~real[:, None, None, :]


@mutant("3.2", replaces="key_mask")
def hides_queries(real):
    """The axis of the queries is masked: padding looks nowhere, and is still looked at."""
    _refuse_real(real)
    return real[:, None, :, None]


@mutant("3.2", replaces="key_mask")
def one_axis_missing(real):
    """There is no axis for the heads: (B, 1, T) puts the examples where the heads are."""
    _refuse_real(real)
    return real[:, None, :]


@mutant("3.2", replaces="key_mask")
def written_out(real):
    """The mask is repeated for every query, T times as large as it need be."""
    _refuse_real(real)
    return np.repeat(real[:, None, None, :], real.shape[1], axis=2)


@mutant("3.2", replaces="key_mask")
def first_token_made_real(real):
    """The first token is declared real, in the caller's own array, lest a row be empty."""
    _refuse_real(real)
    real[:, 0] = True
    return real[:, None, None, :]


@mutant("3.2", replaces="key_mask")
def padding_on_the_right(real):
    """Real tokens are counted and taken from the left; padding may stand on either side."""
    _refuse_real(real)
    return (np.arange(real.shape[1]) < real.sum(axis=1)[:, None])[:, None, None, :]


@mutant("3.2", replaces="key_mask")
def anything_accepted(real):
    """What is no boolean (B, T) array is not refused."""
    return real[..., None, None, :]


@mutant("3.2", replaces="key_mask")
def numbers_accepted(real):
    """Only the axes are checked: numbers are turned into True and False and not refused."""
    if real.ndim != 2:
        raise ValueError("real must be (B, T)")
    return real.astype(bool)[:, None, None, :]


@mutant("3.2", replaces="key_mask")
def more_axes_accepted(real):
    """An array with more axes than (B, T) is not refused: its mask has five axes."""
    if real.ndim < 2 or real.dtype != bool:
        raise ValueError("real must be (B, T) booleans")
    return real[:, None, None]


@mutant("3.2", replaces="key_mask")
def first_example_for_all(real):
    """Every example gets the first one's mask."""
    _refuse_real(real)
    return np.broadcast_to(real[:1], real.shape)[:, None, None, :]


@mutant("3.3", replaces="split_heads")
def split_by_reshape(x, heads):
    """reshape alone: a head gets whole tokens, and not its columns of every token."""
    batch, length, width = x.shape
    return x.reshape(batch, heads, length, width // heads)


@mutant("3.3", replaces="split_heads")
def every_other_column(x, heads):
    """The width is cut as (K, H): a head gets every H-th column and not neighbours."""
    batch, length, width = x.shape
    return x.reshape(batch, length, width // heads, heads).transpose(0, 3, 1, 2)


@mutant("3.3", replaces="split_heads")
def heads_after_tokens(x, heads):
    """The axes are not swapped: (B, T, H, K), in which attention would mix heads, not tokens."""
    batch, length, width = x.shape
    return x.reshape(batch, length, heads, width // heads)


@mutant("3.3", replaces="split_heads")
def tokens_last(x, heads):
    """The last two axes have changed places: (B, H, K, T)."""
    batch, length, width = x.shape
    return x.reshape(batch, length, heads, width // heads).transpose(0, 2, 3, 1)


@mutant("3.3", replaces="split_heads")
def heads_and_width_confused(x, heads):
    """heads is taken for the width of a head: there are heads columns in each."""
    batch, length, width = x.shape
    return x.reshape(batch, length, width // heads, heads).transpose(0, 2, 1, 3)


@mutant("3.3", replaces="split_heads")
def shape_assigned(x, heads):
    """The shape of the caller's own array is changed, as by x.shape = ...: use reshape."""
    batch, length, width = x.shape
    x.shape = (batch, length, heads, width // heads)
    return x.transpose(0, 2, 1, 3).copy()


@mutant("3.3", replaces="split_heads")
def heads_first(x, heads):
    """The heads come before the examples, (H, B, T, K): np.stack needs axis=1."""
    return np.stack(np.split(x, heads, axis=-1))


@mutant("3.3", replaces="split_heads")
def split_in_float64(x, heads):
    """The heads are float64 for an x in float32, as np.zeros makes them."""
    y = np.zeros((x.shape[0], heads, x.shape[1], x.shape[2] // heads))
    for head, part in enumerate(np.split(x, heads, axis=-1)):
        y[:, head] = part
    return y


@mutant("3.3", replaces="merge_heads")
def merge_by_reshape(x):
    """reshape alone: two tokens of one head are joined, and not two heads of one token."""
    batch, heads, length, width = x.shape
    return x.reshape(batch, length, heads * width)


@mutant("3.3", replaces="merge_heads")
def columns_alternate(x):
    """The columns of the heads alternate; each head's must stay together."""
    batch, heads, length, width = x.shape
    return x.transpose(0, 2, 3, 1).reshape(batch, length, heads * width)


@mutant("3.3", replaces="merge_heads")
def heads_reversed(x):
    """The heads are laid side by side in the opposite order."""
    batch, heads, length, width = x.shape
    return x[:, ::-1].transpose(0, 2, 1, 3).reshape(batch, length, heads * width)


@mutant("3.3", replaces="merge_heads")
def heads_averaged(x):
    """The heads are averaged; they must be laid side by side."""
    return x.mean(axis=1)


@mutant("3.3", replaces="merge_heads")
def first_example_merged(x):
    """Only the first example is merged, and the others get its numbers."""
    batch, heads, length, width = x.shape
    merged = np.concatenate(list(x[0]), axis=-1)
    return np.broadcast_to(merged, (batch, length, heads * width)).copy()


def _refuse_heads(x, heads, mask):
    if x.shape[-1] % heads:
        raise ValueError("heads do not divide the width")
    if mask is not None and (mask.shape != x.shape[:2] or mask.dtype != bool):
        raise ValueError("the mask must be (B, T) booleans")


def _layer(x, wqkv, bqkv, wo, bo, heads, mask, merge=right_merge, order=(0, 1, 2)):
    """Multi-head attention with the parts that mutants replace; order says which third is what."""
    qkv, cache_qkv = linear(x, wqkv, bqkv)
    thirds = np.split(qkv, 3, axis=-1)
    q, k, v = (right_split(thirds[i], heads) for i in order)
    mixed, cache_attention = right_attention(q, k, v, mask)
    y, cache_out = linear(merge(mixed), wo, bo)
    return y, (cache_qkv, cache_attention, cache_out, heads)


def _keys(mask):
    return None if mask is None else mask[:, None, None, :]


@mutant("3.4", replaces="multi_head_attention")
def no_output_bias(x, wqkv, bqkv, wo, bo, heads, mask=None):
    """The output's bias, bo, is not added."""
    _refuse_heads(x, heads, mask)
    return _layer(x, wqkv, bqkv, wo, np.zeros_like(bo), heads, _keys(mask))


@mutant("3.4", replaces="multi_head_attention")
def no_input_bias(x, wqkv, bqkv, wo, bo, heads, mask=None):
    """The bias of the fused projection, bqkv, is not added."""
    _refuse_heads(x, heads, mask)
    return _layer(x, wqkv, np.zeros_like(bqkv), wo, bo, heads, _keys(mask))


@mutant("3.4", replaces="multi_head_attention")
def one_wide_head(x, wqkv, bqkv, wo, bo, heads, mask=None):
    """The width is not split: one head of width D looks, whatever heads says."""
    _refuse_heads(x, heads, mask)
    return _layer(x, wqkv, bqkv, wo, bo, 1, _keys(mask))


@mutant("3.4", replaces="multi_head_attention")
def scaled_by_whole_width(x, wqkv, bqkv, wo, bo, heads, mask=None):
    """The scores are divided by the root of D; each head has a width of K = D/H."""
    _refuse_heads(x, heads, mask)
    width = x.shape[-1]
    factor = np.ones(3 * width, x.dtype)
    factor[:width] = heads**-0.5
    return _layer(x, wqkv * factor, bqkv * factor, wo, bo, heads, _keys(mask))


@mutant("3.4", replaces="multi_head_attention")
def input_added(x, wqkv, bqkv, wo, bo, heads, mask=None):
    """x is added to the result; the residual connection is the business of the block around."""
    _refuse_heads(x, heads, mask)
    y, cache = _layer(x, wqkv, bqkv, wo, bo, heads, _keys(mask))
    return x + y, cache


@mutant("3.4", replaces="multi_head_attention")
def joined_by_reshape(x, wqkv, bqkv, wo, bo, heads, mask=None):
    """The heads are joined by reshape without a transpose: tokens get each other's results."""
    _refuse_heads(x, heads, mask)
    return _layer(
        x, wqkv, bqkv, wo, bo, heads, _keys(mask), merge=lambda mixed: mixed.reshape(x.shape)
    )


@mutant("3.4", replaces="multi_head_attention")
def not_joined(x, wqkv, bqkv, wo, bo, heads, mask=None):
    """The heads are not merged before the output's projection, whose rows they do not fit."""
    _refuse_heads(x, heads, mask)
    return _layer(x, wqkv, bqkv, wo, bo, heads, _keys(mask), merge=lambda mixed: mixed)


@mutant("3.4", replaces="multi_head_attention")
def keys_and_values_swapped(x, wqkv, bqkv, wo, bo, heads, mask=None):
    """The second third is taken for the values and the last for the keys."""
    _refuse_heads(x, heads, mask)
    return _layer(x, wqkv, bqkv, wo, bo, heads, _keys(mask), order=(0, 2, 1))


@mutant("3.4", replaces="multi_head_attention")
def queries_and_keys_swapped(x, wqkv, bqkv, wo, bo, heads, mask=None):
    """The first third is taken for the keys and the second for the queries."""
    _refuse_heads(x, heads, mask)
    return _layer(x, wqkv, bqkv, wo, bo, heads, _keys(mask), order=(1, 0, 2))


@mutant("3.4", replaces="multi_head_attention")
def cut_head_by_head(x, wqkv, bqkv, wo, bo, heads, mask=None):
    """The fused row is read head by head (q, k, v of head 0 first); here it lies in thirds."""
    _refuse_heads(x, heads, mask)
    width = x.shape[-1]
    order = np.arange(3 * width).reshape(heads, 3, width // heads).transpose(1, 0, 2).ravel()
    return _layer(x, wqkv[:, order], bqkv[order], wo, bo, heads, _keys(mask))


@mutant("3.4", replaces="multi_head_attention")
def output_matrix_transposed(x, wqkv, bqkv, wo, bo, heads, mask=None):
    """The output's matrix is transposed: rows are what comes in, columns what goes out."""
    _refuse_heads(x, heads, mask)
    return _layer(x, wqkv, bqkv, wo.T, bo, heads, _keys(mask))


@mutant("3.4", replaces="multi_head_attention")
def padding_seen(x, wqkv, bqkv, wo, bo, heads, mask=None):
    """The mask is not handed on: padding is looked at like any token."""
    _refuse_heads(x, heads, mask)
    return _layer(x, wqkv, bqkv, wo, bo, heads, None)


@mutant("3.4", replaces="multi_head_attention")
def only_padding_seen(x, wqkv, bqkv, wo, bo, heads, mask=None):
    """The mask is inverted on its way: only padding is looked at."""
    _refuse_heads(x, heads, mask)
    return _layer(x, wqkv, bqkv, wo, bo, heads, None if mask is None else ~_keys(mask))


@mutant("3.4", replaces="multi_head_attention")
def queries_hidden(x, wqkv, bqkv, wo, bo, heads, mask=None):
    """The mask lies along the queries: padding looks nowhere, and is still looked at."""
    _refuse_heads(x, heads, mask)
    look = None if mask is None else mask[:, None, :, None]
    return _layer(x, wqkv, bqkv, wo, bo, heads, look)


@mutant("3.4", replaces="multi_head_attention")
def mask_of_any_shape(x, wqkv, bqkv, wo, bo, heads, mask=None):
    """The shape of the mask is not checked: a wrong one may broadcast and hide the wrong keys."""
    if mask is not None and mask.dtype != bool:
        raise ValueError("the mask must be boolean")
    _refuse_heads(x, heads, None)
    return _layer(x, wqkv, bqkv, wo, bo, heads, _keys(mask))


@mutant("3.4", replaces="multi_head_attention")
def mask_of_numbers(x, wqkv, bqkv, wo, bo, heads, mask=None):
    """A mask of 0 and 1 is turned into True and False and not refused."""
    look = None if mask is None else mask.astype(bool)
    _refuse_heads(x, heads, look)
    return _layer(x, wqkv, bqkv, wo, bo, heads, _keys(look))


@mutant("3.4", replaces="multi_head_attention")
def heads_cut_off(x, wqkv, bqkv, wo, bo, heads, mask=None):
    """Heads that do not divide D are not refused: the columns that are left over are dropped."""
    used = x.shape[-1] // heads * heads
    _refuse_heads(x[..., :used], heads, mask)
    columns = [third * x.shape[-1] + c for third in range(3) for c in range(used)]
    return _layer(x, wqkv[:, columns], bqkv[columns], wo[:used], bo, heads, _keys(mask))


@mutant("3.4", replaces="multi_head_attention")
def padding_rows_zeroed(x, wqkv, bqkv, wo, bo, heads, mask=None):
    """The rows of padding are set to zero in y; what they hold is left to the caller."""
    _refuse_heads(x, heads, mask)
    y, cache = _layer(x, wqkv, bqkv, wo, bo, heads, _keys(mask))
    return (y if mask is None else y * mask[..., None].astype(y.dtype)), cache


@mutant("3.4", replaces="multi_head_attention")
def padding_only_hidden_if_some_is_real(x, wqkv, bqkv, wo, bo, heads, mask=None):
    """An example without a real token is treated as if all were real; it should give bo."""
    _refuse_heads(x, heads, mask)
    look = None if mask is None else mask | ~mask.any(axis=1, keepdims=True)
    return _layer(x, wqkv, bqkv, wo, bo, heads, _keys(look))


@mutant("3.4", replaces="multi_head_attention")
def padding_set_to_zero(x, wqkv, bqkv, wo, bo, heads, mask=None):
    """Padding is set to zero in the caller's x; a mask hides it without touching it."""
    _refuse_heads(x, heads, mask)
    if mask is not None:
        x[~mask] = 0
    return _layer(x, wqkv, bqkv, wo, bo, heads, _keys(mask))


def _way_back(dy, cache):
    """The first half of the backward pass: the heads' gradients, and those of wo and bo."""
    cache_qkv, cache_attention, cache_out, heads = cache
    dmerged, dwo, dbo = linear_backward(dy, cache_out)
    parts = right_attention_backward(right_split(dmerged, heads), cache_attention)
    return parts, dwo, dbo, cache_qkv


def _way_in(parts, cache_qkv):
    return linear_backward(np.concatenate([right_merge(p) for p in parts], axis=-1), cache_qkv)


@mutant("3.4", replaces="multi_head_attention_backward")
def thirds_in_another_order(dy, cache):
    """The parts are joined as values, keys, queries; they were cut as queries, keys, values."""
    parts, dwo, dbo, cache_qkv = _way_back(dy, cache)
    return (*_way_in(parts[::-1], cache_qkv), dwo, dbo)


@mutant("3.4", replaces="multi_head_attention_backward")
def gradient_split_by_reshape(dy, cache):
    """The gradient is cut into heads by reshape alone: a head gets other tokens' gradients."""
    cache_qkv, cache_attention, cache_out, _ = cache
    dmerged, dwo, dbo = linear_backward(dy, cache_out)
    shape = cache_attention[1].shape
    parts = right_attention_backward(dmerged.reshape(shape), cache_attention)
    return (*_way_in(parts, cache_qkv), dwo, dbo)


@mutant("3.4", replaces="multi_head_attention_backward")
def gradients_joined_by_reshape(dy, cache):
    """The heads' gradients are joined by reshape without a transpose."""
    parts, dwo, dbo, cache_qkv = _way_back(dy, cache)
    dqkv = np.concatenate([part.reshape(dy.shape) for part in parts], axis=-1)
    return (*linear_backward(dqkv, cache_qkv), dwo, dbo)


@mutant("3.4", replaces="multi_head_attention_backward")
def only_through_the_values(dy, cache):
    """x gets the gradient of the values alone; it made the queries and the keys too."""
    parts, dwo, dbo, cache_qkv = _way_back(dy, cache)
    _, dwqkv, dbqkv = _way_in(parts, cache_qkv)
    dx, _, _ = _way_in([0 * parts[0], 0 * parts[1], parts[2]], cache_qkv)
    return dx, dwqkv, dbqkv, dwo, dbo


@mutant("3.4", replaces="multi_head_attention_backward")
def bias_gradient_averaged(dy, cache):
    """The gradient of bo is a mean over tokens; every token adds to it, so it is a sum."""
    parts, dwo, _, cache_qkv = _way_back(dy, cache)
    return (*_way_in(parts, cache_qkv), dwo, dy.mean(axis=(0, 1)))


@mutant("3.4", replaces="multi_head_attention_backward")
def output_gradient_transposed(dy, cache):
    """dwo is transposed: its rows belong to what came in, its columns to what went out."""
    parts, dwo, dbo, cache_qkv = _way_back(dy, cache)
    return (*_way_in(parts, cache_qkv), dwo.T, dbo)


@mutant("3.4", replaces="multi_head_attention_backward")
def output_gradients_first(dy, cache):
    """dwo and dbo come before dwqkv and dbqkv; the order is that of the inputs."""
    parts, dwo, dbo, cache_qkv = _way_back(dy, cache)
    dx, dwqkv, dbqkv = _way_in(parts, cache_qkv)
    return dx, dwo, dbo, dwqkv, dbqkv


@mutant("3.4", replaces="multi_head_attention_backward")
def attention_cache_changed(dy, cache):
    """The scores' gradient is written into the cached weights: a second backward pass is wrong."""
    parts, dwo, dbo, cache_qkv = _way_back(dy, cache)
    weights, *_, v, _ = cache[1]
    dmixed = right_split(linear_backward(dy, cache[2])[0], cache[3])
    _softmax_backward_in_place(weights, dmixed @ _swap(v))
    return (*_way_in(parts, cache_qkv), dwo, dbo)
