"""Wrong versions of the exercises of chapter 10. What is wrong stands in each docstring."""

import math

import numpy as np
import torch

from groundup.course.exercises.mutants import mutant
from groundup.neobert.batch_layout import Packed
from groundup.scratch.flash import Traffic, finish_rows, merge_block, tile_mask, tiles


def _larger(top, scores):
    """The new largest score, and the same with 0 for minus infinity."""
    new_top = np.maximum(top, scores.max(axis=-1, keepdims=True))
    return new_top, np.where(np.isneginf(new_top), 0, new_top)


def _merge(top, total, out, scores, values):
    new_top, base = _larger(top, scores)
    old, weights = np.exp(top - base), np.exp(scores - base)
    new_total = old * total + weights.sum(axis=-1, keepdims=True)
    return new_top, new_total, old * out + weights @ values


@mutant("10.1", replaces="merge_block")
def sum_not_rescaled(top, total, out, scores, values):
    """The old sum is not brought to the new largest score; only the output is."""
    new_top, base = _larger(top, scores)
    old, weights = np.exp(top - base), np.exp(scores - base)
    return new_top, total + weights.sum(axis=-1, keepdims=True), old * out + weights @ values


@mutant("10.1", replaces="merge_block")
def output_not_rescaled(top, total, out, scores, values):
    """The old output is not brought to the new largest score; only the sum is."""
    new_top, base = _larger(top, scores)
    old, weights = np.exp(top - base), np.exp(scores - base)
    return new_top, old * total + weights.sum(axis=-1, keepdims=True), out + weights @ values


@mutant("10.1", replaces="merge_block")
def nothing_rescaled(top, total, out, scores, values):
    """Neither the old sum nor the old output is brought to the new largest score."""
    new_top, base = _larger(top, scores)
    weights = np.exp(scores - base)
    return new_top, total + weights.sum(axis=-1, keepdims=True), out + weights @ values


@mutant("10.1", replaces="merge_block")
def wrong_sign(top, total, out, scores, values):
    """The exponent of the factor has the wrong sign: what was seen grows when it should shrink."""
    new_top, base = _larger(top, scores)
    old, weights = np.exp(base - np.where(np.isneginf(top), base, top)), np.exp(scores - base)
    new_total = old * total + weights.sum(axis=-1, keepdims=True)
    return new_top, new_total, old * out + weights @ values


@mutant("10.1", replaces="merge_block")
def old_top_returned(top, total, out, scores, values):
    """The old largest score is returned, and the next block is compared with it."""
    return top, *_merge(top, total, out, scores, values)[1:]


@mutant("10.1", replaces="merge_block")
def top_of_the_block(top, total, out, scores, values):
    """The largest score of the block replaces the old one, even where the old one is larger."""
    new_top = scores.max(axis=-1, keepdims=True)
    base = np.where(np.isneginf(new_top), 0, new_top)
    old, weights = np.exp(top - base), np.exp(scores - base)
    new_total = old * total + weights.sum(axis=-1, keepdims=True)
    return new_top, new_total, old * out + weights @ values


@mutant("10.1", replaces="merge_block")
def block_relative_to_itself(top, total, out, scores, values):
    """The block's exponentials are relative to its own largest score, not to the common one."""
    new_top, base = _larger(top, scores)
    own = scores.max(axis=-1, keepdims=True)
    old, weights = np.exp(top - base), np.exp(scores - np.where(np.isneginf(own), 0, own))
    new_total = old * total + weights.sum(axis=-1, keepdims=True)
    return new_top, new_total, old * out + weights @ values


@mutant("10.1", replaces="merge_block")
def nothing_taken_off(top, total, out, scores, values):
    """No largest score is taken off: exp(scores) overflows where softmax has no trouble."""
    new_top, _ = _larger(top, scores)
    weights = np.exp(scores)
    return new_top, total + weights.sum(axis=-1, keepdims=True), out + weights @ values


@mutant("10.1", replaces="merge_block")
def divided_each_time(top, total, out, scores, values):
    """The output is divided by the sum in every step, and once more at the end."""
    new_top, new_total, new_out = _merge(top, total, out, scores, values)
    return new_top, new_total, new_out / np.where(new_total == 0, 1, new_total)


@mutant("10.1", replaces="merge_block")
def one_top_for_all(top, total, out, scores, values):
    """All rows share one largest score: where it is far above a row's own, that row vanishes."""
    new_top, _ = _larger(top, scores)
    new_top = np.full_like(new_top, new_top.max())
    base = np.where(np.isneginf(new_top), 0, new_top)
    old, weights = np.exp(top - base), np.exp(scores - base)
    new_total = old * total + weights.sum(axis=-1, keepdims=True)
    return new_top, new_total, old * out + weights @ values


@mutant("10.1", replaces="merge_block")
def last_axis_lost(top, total, out, scores, values):
    """The last axis of length 1 is lost: rows meet columns when the next block is taken in."""
    parts = _merge(top, total, out, scores, values)
    return parts[0][..., 0], parts[1][..., 0], parts[2]


@mutant("10.1", replaces="merge_block")
def blind_rows_not_guarded(top, total, out, scores, values):
    """Minus infinity is taken from minus infinity where a row has seen no key: that is NaN."""
    new_top = np.maximum(top, scores.max(axis=-1, keepdims=True))
    with np.errstate(invalid="ignore"):
        old, weights = np.exp(top - new_top), np.exp(scores - new_top)
    new_total = old * total + weights.sum(axis=-1, keepdims=True)
    return new_top, new_total, old * out + weights @ values


@mutant("10.1", replaces="merge_block")
def written_into_the_old(top, total, out, scores, values):
    """The old sum and output are changed in place, and the caller's arrays with them."""
    new_top, new_total, new_out = _merge(top, total, out, scores, values)
    total[...], out[...] = new_total, new_out
    return new_top, total, out


@mutant("10.1", replaces="finish_rows")
def not_divided(top, total, out):
    """The output is returned as it was collected, not divided by the sum."""
    return out, finish_rows(top, total, out)[1]


@mutant("10.1", replaces="finish_rows")
def log_sum_without_top(top, total, out):
    """The log-sum-exp lacks the largest score, to which the sum is relative."""
    y, log_sum = finish_rows(top, total, out)
    return y, np.where(np.isinf(log_sum), log_sum, log_sum - top)


@mutant("10.1", replaces="finish_rows")
def log_sum_is_the_top(top, total, out):
    """The largest score stands for the log-sum-exp: the weights made from it sum to too much."""
    y, log_sum = finish_rows(top, total, out)
    return y, np.where(np.isinf(log_sum), log_sum, top)


@mutant("10.1", replaces="finish_rows")
def zero_by_zero(top, total, out):
    """A row that has seen no key is divided by its sum, 0: NaN."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return out / total, np.where(total == 0, np.inf, top + np.log(total))


@mutant("10.1", replaces="finish_rows")
def minus_infinity_for_nothing(top, total, out):
    """A row without a key gets minus infinity: the backward pass takes it from itself, and NaN."""
    y, log_sum = finish_rows(top, total, out)
    return y, np.where(total == 0, -np.inf, log_sum)


@mutant("10.1", replaces="finish_rows")
def log_sum_flat(top, total, out):
    """The log-sum-exp has lost its last axis: (..., T), and not (..., T, 1)."""
    y, log_sum = finish_rows(top, total, out)
    return y, log_sum[..., 0]


def _forward(
    q,
    k,
    v,
    mask,
    causal,
    block,
    traffic,
    *,
    scale=None,
    look=lambda rows, columns, shape, mask, causal: tile_mask(rows, columns, shape, mask, causal),
    score=lambda scores, seen: np.where(seen, scores, -np.inf),
    merge=merge_block,
    rows_of=tiles,
    columns_of=tiles,
    skip=True,
    reset=True,
    load_query_again=False,
):
    """The forward pass, with the places at which it is broken below."""
    traffic = Traffic() if traffic is None else traffic
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    shape = (*q.shape[:-1], k.shape[-2])
    y, log_sum = np.zeros_like(q), np.zeros_like(q[..., :1])
    seen = None
    for rows in rows_of(q.shape[-2], block[0]):
        q_tile = q[..., rows, :] if load_query_again else traffic.load(q[..., rows, :])
        if reset or seen is None or seen[2].shape != q_tile.shape:
            total, out = np.zeros_like(q_tile[..., :1]), np.zeros_like(q_tile)
            seen = (np.full_like(total, -np.inf), total, out)
        for columns in columns_of(k.shape[-2], block[1]):
            tile = look(rows, columns, shape, mask, causal)
            if skip and not tile_mask(rows, columns, shape, mask, causal).any():
                continue
            if load_query_again:
                q_tile = traffic.load(q[..., rows, :])
            k_tile, v_tile = traffic.load(k[..., columns, :]), traffic.load(v[..., columns, :])
            scores = score(q_tile @ k_tile.swapaxes(-1, -2) * scale, tile)
            seen = merge(*seen, scores, v_tile)
        y_tile, log_tile = finish_rows(*seen)
        y[..., rows, :], log_sum[..., rows, :] = traffic.store(y_tile), traffic.store(log_tile)
    return y, (q, k, v, y, log_sum, mask, causal, block)


def _whole_tiles(length, size):
    return tiles(length // size * size, size) or tiles(length, length)


@mutant("10.2", replaces="tiled_attention")
def scale_missing(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """The scores are not divided by √K."""
    return _forward(q, k, v, mask, causal, block, traffic, scale=1.0)


@mutant("10.2", replaces="tiled_attention")
def scale_twice(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """The scores are divided by √K twice: the query is scaled, and its products again."""
    return _forward(q, k, v, mask, causal, block, traffic, scale=1 / q.shape[-1])


@mutant("10.2", replaces="tiled_attention")
def last_keys_dropped(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """A last tile of keys that is shorter than the others is left out."""
    return _forward(q, k, v, mask, causal, block, traffic, columns_of=_whole_tiles)


@mutant("10.2", replaces="tiled_attention")
def last_queries_dropped(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """A last tile of queries that is shorter than the others is left out: its rows stay zero."""
    return _forward(q, k, v, mask, causal, block, traffic, rows_of=_whole_tiles)


@mutant("10.2", replaces="tiled_attention")
def mask_of_the_first_tile(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """The mask stops after the first tile of keys: in the others everything is seen."""

    def look(rows, columns, shape, mask, causal):
        seen = tile_mask(rows, columns, shape, mask, causal)
        return seen if columns.start == 0 else np.ones_like(seen)

    return _forward(q, k, v, mask, causal, block, traffic, look=look)


@mutant("10.2", replaces="tiled_attention")
def mask_ignored(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """Neither the mask nor causal reaches the scores: everyone looks everywhere."""
    return _forward(q, k, v, None, False, block, traffic)


@mutant("10.2", replaces="tiled_attention")
def places_inside_the_tile(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """The causal mask counts places inside the tile, and not in the whole sequence."""

    def look(rows, columns, shape, mask, causal):
        seen = tile_mask(rows, columns, shape, mask, False)
        return seen & np.tri(*seen.shape[-2:], dtype=bool) if causal else seen

    return _forward(q, k, v, mask, causal, block, traffic, look=look)


@mutant("10.2", replaces="tiled_attention")
def diagonal_skipped(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """With a causal mask, the tiles on the diagonal are skipped like those above it."""

    def look(rows, columns, shape, mask, causal):
        seen = tile_mask(rows, columns, shape, mask, causal)
        return seen & (columns.stop <= rows.start) if causal and columns.start else seen

    return _forward(q, k, v, mask, causal, block, traffic, look=look)


@mutant("10.2", replaces="tiled_attention")
def masked_is_zero(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """A masked score is 0 and not minus infinity, which is a score like any other."""
    return _forward(
        q, k, v, mask, causal, block, traffic, score=lambda s, seen: np.where(seen, s, 0.0)
    )


@mutant("10.2", replaces="tiled_attention")
def masked_is_large(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """A masked score is -1e9: a query that may look nowhere mixes what it must not see."""
    return _forward(
        *(q, k, v, mask, causal, block, traffic),
        score=lambda s, seen: np.where(seen, s, -1e9).astype(s.dtype),
        skip=False,
    )


@mutant("10.2", replaces="tiled_attention")
def nothing_skipped(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """The numbers are right, but tiles that nobody may look at are loaded and worked on."""
    return _forward(q, k, v, mask, causal, block, traffic, skip=False)


@mutant("10.2", replaces="tiled_attention")
def state_not_reset(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """A tile of queries begins with the largest score, sum and output of the one before it."""
    return _forward(q, k, v, mask, causal, block, traffic, reset=False)


@mutant("10.2", replaces="tiled_attention")
def divided_in_each_tile(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """The output is divided by the sum after each tile of keys, and again at the end."""

    def merge(top, total, out, scores, values):
        top, total, out = merge_block(top, total, out, scores, values)
        return top, total, out / np.where(total == 0, 1, total)

    return _forward(q, k, v, mask, causal, block, traffic, merge=merge)


@mutant("10.2", replaces="tiled_attention")
def last_tile_wins(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """Each tile of keys overwrites the result of the one before: only the last one counts."""

    def merge(top, total, out, scores, values):
        return merge_block(np.full_like(top, -np.inf), 0 * total, 0 * out, scores, values)

    return _forward(q, k, v, mask, causal, block, traffic, merge=merge)


@mutant("10.2", replaces="tiled_attention")
def one_piece(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """The numbers are right, but there are no tiles: all scores are in memory at once."""
    y, cache = _forward(q, k, v, mask, causal, (q.shape[-2], k.shape[-2]), traffic, skip=False)
    return y, (*cache[:-1], block)


@mutant("10.2", replaces="tiled_attention")
def sizes_swapped(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """The two sizes of a block have changed places: keys come in tiles of the queries' size."""
    return _forward(q, k, v, mask, causal, block[::-1], traffic)


@mutant("10.2", replaces="tiled_attention")
def queries_loaded_again(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """The numbers are right, but the queries are loaded for each tile of keys, not once."""
    return _forward(q, k, v, mask, causal, block, traffic, load_query_again=True)


@mutant("10.2", replaces="tiled_attention")
def float64_result(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """float32 inputs come back as float64: 1 / np.sqrt(K) is a float64 number of NumPy."""
    y, cache = _forward(q, k, v, mask, causal, block, traffic)
    return y.astype(np.float64), cache


@mutant("10.2", replaces="tiled_attention")
def queries_scaled_in_place(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """The queries are scaled in place: the caller's, and those that the cache keeps."""
    q /= math.sqrt(q.shape[-1])
    return _forward(q, k, v, mask, causal, block, traffic, scale=1.0)


def _backward(
    dy,
    cache,
    traffic,
    *,
    scale_scores=True,
    look=lambda rows, columns, shape, mask, causal: tile_mask(rows, columns, shape, mask, causal),
    weigh=lambda scores, log_sum: np.exp(scores - log_sum),
    softmax_back=lambda p, dp, delta: p * (dp - delta),
    delta_of=lambda dy, y: dy * y,
    power=1,
    value_share=lambda p, ds: p,
    add=("q", "k", "v"),
    cut=tiles,
    skip=True,
):
    """The backward pass, with the places at which it is broken below."""
    q, k, v, y, log_sum, mask, causal, block = cache
    traffic = Traffic() if traffic is None else traffic
    scale = 1 / math.sqrt(q.shape[-1])
    shape = (*q.shape[:-1], k.shape[-2])
    delta = np.zeros_like(log_sum)
    for rows in tiles(q.shape[-2], block[0]):
        product = delta_of(traffic.load(dy[..., rows, :]), traffic.load(y[..., rows, :]))
        delta[..., rows, :] = traffic.store(product.sum(axis=-1, keepdims=True))
    dq, dk, dv = traffic.store(np.zeros_like(q)), np.zeros_like(k), np.zeros_like(v)
    for columns in cut(k.shape[-2], block[1]):
        k_tile, v_tile = traffic.load(k[..., columns, :]), traffic.load(v[..., columns, :])
        dk_tile, dv_tile = np.zeros_like(k_tile), np.zeros_like(v_tile)
        for rows in cut(q.shape[-2], block[0]):
            if skip and not tile_mask(rows, columns, shape, mask, causal).any():
                continue
            q_tile, dy_tile = traffic.load(q[..., rows, :]), traffic.load(dy[..., rows, :])
            scores = q_tile @ k_tile.swapaxes(-1, -2) * (scale if scale_scores else 1.0)
            tile = look(rows, columns, shape, mask, causal)
            weights = weigh(np.where(tile, scores, -np.inf), traffic.load(log_sum[..., rows, :]))
            dweights = dy_tile @ v_tile.swapaxes(-1, -2)
            dscores = softmax_back(weights, dweights, traffic.load(delta[..., rows, :]))
            dscores = dscores * scale**power
            old_q, old_k = traffic.load(dq[..., rows, :]), dk_tile
            share = value_share(weights, dscores).swapaxes(-1, -2) @ dy_tile
            dv_tile = dv_tile + share if "v" in add else share
            dk_tile = dscores.swapaxes(-1, -2) @ q_tile + (old_k if "k" in add else 0)
            own = dscores @ k_tile
            dq[..., rows, :] = traffic.store(old_q + own if "q" in add else own)
        dk[..., columns, :] = traffic.store(dk_tile)
        dv[..., columns, :] = traffic.store(dv_tile)
    return dq, dk, dv


def _unnormalised(scores, log_sum):
    with np.errstate(over="ignore"):
        return np.exp(scores)


def _softmax_in_the_tile(scores, log_sum):
    top = scores.max(axis=-1, keepdims=True)
    exponentials = np.exp(scores - np.where(np.isneginf(top), 0, top))
    total = exponentials.sum(axis=-1, keepdims=True)
    return exponentials / np.where(total == 0, 1, total)


@mutant("10.3", replaces="tiled_attention_backward")
def no_delta(dy, cache, traffic=None):
    """D is missing: each score's gradient is its weight's, as if the others lost nothing by it."""
    return _backward(dy, cache, traffic, softmax_back=lambda p, dp, delta: p * dp)


@mutant("10.3", replaces="tiled_attention_backward")
def delta_of_the_tile(dy, cache, traffic=None):
    """D is summed over the keys of one tile; it belongs to the whole row, and dy·y gives it."""
    return _backward(
        *(dy, cache, traffic),
        softmax_back=lambda p, dp, delta: p * (dp - (p * dp).sum(axis=-1, keepdims=True)),
    )


@mutant("10.3", replaces="tiled_attention_backward")
def delta_without_weights(dy, cache, traffic=None):
    """D is taken off after the weights are multiplied in, and not before."""
    return _backward(dy, cache, traffic, softmax_back=lambda p, dp, delta: p * dp - delta)


@mutant("10.3", replaces="tiled_attention_backward")
def delta_from_dy_alone(dy, cache, traffic=None):
    """D is the product of dy with itself, and not of dy with y."""
    return _backward(dy, cache, traffic, delta_of=lambda dy, y: dy * dy)


@mutant("10.3", replaces="tiled_attention_backward")
def scores_not_scaled(dy, cache, traffic=None):
    """The scores that are computed again lack 1/√K, so the weights are others than before."""
    return _backward(dy, cache, traffic, scale_scores=False)


@mutant("10.3", replaces="tiled_attention_backward")
def gradients_not_scaled(dy, cache, traffic=None):
    """The scale is missing on the way back: dq and dk are too large by √K."""
    return _backward(dy, cache, traffic, power=0)


@mutant("10.3", replaces="tiled_attention_backward")
def gradients_scaled_twice(dy, cache, traffic=None):
    """The scale stands in the scores' gradient and once more in dq and dk."""
    return _backward(dy, cache, traffic, power=2)


@mutant("10.3", replaces="tiled_attention_backward")
def keys_not_scaled(dy, cache, traffic=None):
    """The scale is in dq and not in dk."""
    dq, dk, dv = _backward(dy, cache, traffic)
    return dq, (dk * math.sqrt(cache[0].shape[-1])).astype(dk.dtype), dv


@mutant("10.3", replaces="tiled_attention_backward")
def log_sum_not_taken_off(dy, cache, traffic=None):
    """The weights are exp(scores), without the log-sum-exp: they do not sum to one."""
    return _backward(dy, cache, traffic, weigh=_unnormalised)


@mutant("10.3", replaces="tiled_attention_backward")
def softmax_in_the_tile(dy, cache, traffic=None):
    """A softmax is taken inside each tile; the weights of a row sum to one over all its tiles."""
    return _backward(dy, cache, traffic, weigh=_softmax_in_the_tile)


@mutant("10.3", replaces="tiled_attention_backward")
def queries_overwritten(dy, cache, traffic=None):
    """Each tile of keys overwrites dq; its share has to be added."""
    return _backward(dy, cache, traffic, add=("k", "v"))


@mutant("10.3", replaces="tiled_attention_backward")
def keys_overwritten(dy, cache, traffic=None):
    """Each tile of queries overwrites dk; its share has to be added."""
    return _backward(dy, cache, traffic, add=("q", "v"))


@mutant("10.3", replaces="tiled_attention_backward")
def values_overwritten(dy, cache, traffic=None):
    """Each tile of queries overwrites dv; its share has to be added."""
    return _backward(dy, cache, traffic, add=("q", "k"))


@mutant("10.3", replaces="tiled_attention_backward")
def values_from_the_scores(dy, cache, traffic=None):
    """dv is made from the scores' gradients, and not from the weights."""
    return _backward(
        dy, cache, traffic, value_share=lambda p, ds: ds * math.sqrt(cache[0].shape[-1])
    )


@mutant("10.3", replaces="tiled_attention_backward")
def swapped(dy, cache, traffic=None):
    """dq and dk are returned in each other's place."""
    dq, dk, dv = _backward(dy, cache, traffic)
    return dk, dq, dv


@mutant("10.3", replaces="tiled_attention_backward")
def last_tiles_dropped(dy, cache, traffic=None):
    """A last tile that is shorter than the others is left out, of queries and of keys."""
    return _backward(dy, cache, traffic, cut=_whole_tiles)


@mutant("10.3", replaces="tiled_attention_backward")
def not_masked_again(dy, cache, traffic=None):
    """The scores that are computed again are not masked again."""
    everywhere = lambda rows, columns, shape, mask, causal: np.ones((1, 1), bool)  # noqa: E731
    return _backward(dy, cache, traffic, look=everywhere)


@mutant("10.3", replaces="tiled_attention_backward")
def causal_forgotten(dy, cache, traffic=None):
    """The mask is applied again on the way back, and causal is forgotten."""
    look = lambda rows, columns, shape, mask, causal: tile_mask(rows, columns, shape, mask, False)  # noqa: E731
    return _backward(dy, cache, traffic, look=look)


@mutant("10.3", replaces="tiled_attention_backward")
def empty_tiles_loaded(dy, cache, traffic=None):
    """The numbers are right, but tiles that nobody may look at are loaded and worked on."""
    return _backward(dy, cache, traffic, skip=False)


@mutant("10.3", replaces="tiled_attention_backward")
def added_to_dy(dy, cache, traffic=None):
    """D is taken off dy in place, and the caller's gradient is changed."""
    result = _backward(dy, cache, traffic)
    dy -= (dy * cache[3]).sum(axis=-1, keepdims=True)
    return result


@mutant("10.3", replaces="tiled_attention_backward")
def double_gradients(dy, cache, traffic=None):
    """The gradients are float64 whatever the inputs are: zeros were made without a dtype."""
    dq, dk, dv = _backward(dy, cache, traffic)
    return dq.astype(np.float64), dk.astype(np.float64), dv.astype(np.float64)


def _unpad(mask):
    """indices, lengths, running sum with a zero in front, longest, positions."""
    indices = mask.flatten().nonzero().squeeze(1)
    lengths = mask.sum(1)
    ends = torch.cat((lengths.new_zeros(1), lengths.cumsum(0)))
    starts = ends[:-1].repeat_interleave(lengths)
    positions = torch.arange(len(indices)) - starts
    return indices, lengths, ends.to(torch.int32), int(lengths.max()), positions


@mutant("10.4", replaces="unpad")
def no_leading_zero(mask):
    """cu_seqlens lacks the zero in front: the first sequence is lost, others take its place."""
    indices, _, ends, longest, positions = _unpad(mask)
    return indices, Packed(ends[1:], longest, positions)


@mutant("10.4", replaces="unpad")
def lengths_not_summed(mask):
    """cu_seqlens holds a zero and the lengths, and not their running sum."""
    indices, lengths, ends, longest, positions = _unpad(mask)
    return indices, Packed(torch.cat((ends[:1], lengths.to(torch.int32))), longest, positions)


@mutant("10.4", replaces="unpad")
def positions_run_on(mask):
    """Positions count on from one sequence to the next: only the first one has its own."""
    indices, _, ends, longest, positions = _unpad(mask)
    return indices, Packed(ends, longest, torch.arange(len(positions)))


@mutant("10.4", replaces="unpad")
def positions_from_one(mask):
    """Positions begin at 1."""
    indices, _, ends, longest, positions = _unpad(mask)
    return indices, Packed(ends, longest, positions + 1)


@mutant("10.4", replaces="unpad")
def columns_for_positions(mask):
    """Positions are columns of the padded row: right as long as padding stands on the right."""
    indices, _, ends, longest, _ = _unpad(mask)
    return indices, Packed(ends, longest, indices % mask.shape[1])


@mutant("10.4", replaces="unpad")
def places_in_the_row(mask):
    """Places are counted in each row, and not in the whole flattened mask."""
    indices, _, ends, longest, positions = _unpad(mask)
    return indices % mask.shape[1], Packed(ends, longest, positions)


@mutant("10.4", replaces="unpad")
def right_padding_assumed(mask):
    """The first indices of each row are taken for its tokens, wherever they stand."""
    lengths = mask.sum(1)
    _, _, ends, longest, positions = _unpad(mask)
    pushed = torch.arange(mask.shape[1]) < lengths[:, None]
    return pushed.flatten().nonzero().squeeze(1), Packed(ends, longest, positions)


@mutant("10.4", replaces="unpad")
def int64_ends(mask):
    """cu_seqlens is int64, and fused kernels refuse it: they read int32."""
    indices, _, ends, longest, positions = _unpad(mask)
    return indices, Packed(ends.long(), longest, positions)


@mutant("10.4", replaces="unpad")
def width_for_longest(mask):
    """max_seqlen is the width of the padded batch, and not the longest length."""
    indices, _, ends, _, positions = _unpad(mask)
    return indices, Packed(ends, mask.shape[1], positions)


@mutant("10.4", replaces="unpad")
def first_for_longest(mask):
    """max_seqlen is the length of the first sequence, as if the rows were sorted."""
    indices, lengths, ends, _, positions = _unpad(mask)
    return indices, Packed(ends, int(lengths[0]), positions)


@mutant("10.4", replaces="unpad")
def all_for_longest(mask):
    """max_seqlen is the number of all real tokens, and not of the longest sequence's."""
    indices, _, ends, _, positions = _unpad(mask)
    return indices, Packed(ends, len(indices), positions)


@mutant("10.4", replaces="unpad")
def longest_is_a_tensor(mask):
    """max_seqlen is left a tensor: every layer that needs the number waits for the device."""
    indices, _, ends, _, positions = _unpad(mask)
    return indices, Packed(ends, ends.diff().max(), positions)


@mutant("10.4", replaces="unpad")
def empty_rows_dropped(mask):
    """A row without a real token is left out: its result goes to the next row."""
    kept = mask[mask.any(1)]
    _, _, ends, longest, positions = _unpad(kept)
    return _unpad(mask)[0], Packed(ends, longest, positions)


@mutant("10.4", replaces="unpad")
def padding_kept(mask):
    """The mask is turned round: the indices are those of the padding."""
    indices, _, ends, longest, positions = _unpad(~mask)
    return indices, Packed(ends, longest, positions)


@mutant("10.4", replaces="unpad")
def mask_emptied(mask):
    """The mask is cleared in place while it is read, and the caller's mask with it."""
    indices, _, ends, longest, positions = _unpad(mask)
    mask[:] = False
    return indices, Packed(ends, longest, positions)


@mutant("10.1", replaces="finish_rows")
def blind_only_together(top, total, out):
    """Rows that have seen no key are cared for only where no row has seen one."""
    if not total.any():
        return np.zeros_like(out), np.full_like(top, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        return out / total, top + np.log(total)


@mutant("10.1", replaces="finish_rows")
def end_in_float64(top, total, out):
    """The logarithm is taken in float64, whatever the sums are."""
    blind = total == 0
    some = np.where(blind, 1, total)
    return out / some, np.where(blind, np.inf, top + np.log(some.astype(np.float64)))


@mutant("10.2", replaces="tiled_attention")
def mask_made_boolean(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """A mask of numbers is made boolean and not refused: 0 and minus infinity mean the reverse."""
    mask = None if mask is None else mask.astype(bool)
    return _forward(q, k, v, mask, causal, block, traffic)


@mutant("10.2", replaces="tiled_attention")
def long_mask_cut(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """A mask that is too large is cut to fit in silence, and not refused."""
    if mask is not None and mask.ndim > 1:
        mask = mask[..., : q.shape[-2], : k.shape[-2]]
    return _forward(q, k, v, mask, causal, block, traffic)


@mutant("10.2", replaces="tiled_attention")
def mask_not_broadcast(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """The mask itself is cut by rows and columns: one that has to broadcast has none to cut."""

    def look(rows, columns, shape, mask, causal):
        seen = tile_mask(rows, columns, shape, None, causal)
        return seen if mask is None else seen & mask[..., rows, columns]

    return _forward(q, k, v, mask, causal, block, traffic, look=look)


@mutant("10.2", replaces="tiled_attention")
def queries_without_a_key(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """More causal queries than keys are let through: those in front of all keys get zeros."""
    more = q.shape[-2] - k.shape[-2]
    if not causal or more <= 0:
        return _forward(q, k, v, mask, causal, block, traffic)
    y, cache = _forward(q[..., more:, :], k, v, mask, causal, block, traffic)
    return np.concatenate((np.zeros_like(q[..., :more, :]), y), axis=-2), cache


@mutant("10.2", replaces="tiled_attention")
def tile_of_at_least_one(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """A tile of 0 is taken for a tile of 1, and not refused."""
    rows, columns = block
    return _forward(q, k, v, mask, causal, (max(rows, 1), max(columns, 1)), traffic)


@mutant("10.3", replaces="tiled_attention_backward")
def mask_not_broadcast_again(dy, cache, traffic=None):
    """On the way back the mask is cut by rows and columns, and one that has to broadcast fails."""

    def look(rows, columns, shape, mask, causal):
        seen = tile_mask(rows, columns, shape, None, causal)
        return seen if mask is None else seen & mask[..., rows, columns]

    return _backward(dy, cache, traffic, look=look)


@mutant("10.4", replaces="unpad")
def int32_places(mask):
    """The indices are int32, and index functions of torch refuse it: they read int64."""
    indices, _, ends, longest, positions = _unpad(mask)
    return indices.int(), Packed(ends, longest, positions)


@mutant("10.4", replaces="unpad")
def no_token_refused(mask):
    """A batch without a real token is refused; its rows are sequences of none."""
    if not mask.any():
        raise ValueError("there is no token")
    indices, _, ends, longest, positions = _unpad(mask)
    return indices, Packed(ends, longest, positions)


@mutant("10.2", replaces="tiled_attention")
def only_causal_skipped(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """Tiles are skipped where causal makes them empty, and not where the mask does."""

    def look(rows, columns, shape, _, causal):
        return tile_mask(rows, columns, shape, mask, causal)

    if mask is None or mask.dtype != bool:
        return _forward(q, k, v, mask, causal, block, traffic)
    y, cache = _forward(q, k, v, np.ones_like(mask), causal, block, traffic, look=look)
    return y, (*cache[:5], mask, *cache[6:])


@mutant("10.3", replaces="tiled_attention_backward")
def only_causal_skipped_again(dy, cache, traffic=None):
    """On the way back tiles are skipped where causal makes them empty, not where the mask does."""
    *kept, mask, causal, block = cache
    if mask is None:
        return _backward(dy, cache, traffic)

    def look(rows, columns, shape, _, causal):
        return tile_mask(rows, columns, shape, mask, causal)

    return _backward(dy, (*kept, np.ones_like(mask), causal, block), traffic, look=look)
