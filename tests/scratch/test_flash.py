"""Tiled attention: the same as in one piece, whatever the tiles, and a count of what moves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.scratch.attention import attention, attention_backward
from groundup.scratch.flash import (
    Traffic,
    block_sizes,
    merge_block,
    plain_attention,
    plain_attention_backward,
    plain_traffic,
    tile_mask,
    tiled_attention,
    tiled_attention_backward,
    tiled_traffic,
    tiles,
)
from groundup.scratch.masks import causal_mask, key_mask

fast = settings(max_examples=60, deadline=None)
sizes = st.integers(1, 7)
seeds = st.integers(0, 2**32 - 1)


def _mask(kind, lead, queries, keys, rng):
    """A mask of each kind that attention meets; None where every query sees every key."""
    if kind == "padding":  # also rows of nothing but padding
        return rng.random((*lead, 1, keys)) < 0.6
    if kind == "documents":
        numbers = rng.integers(0, 3, max(queries, keys)).cumsum()
        return numbers[:queries, None] == numbers[None, :keys]
    if kind == "any":  # also queries that may look nowhere
        return rng.random((*lead, queries, keys)) < 0.5
    return None


@st.composite
def _case(draw):
    lead = tuple(draw(st.lists(st.integers(1, 2), max_size=2)))
    queries, keys, width = draw(sizes), draw(sizes), draw(st.integers(1, 3))
    causal = draw(st.booleans()) and queries <= keys
    rng = np.random.default_rng(draw(seeds))
    q, k, v = (rng.normal(size=(*lead, n, width)) for n in (queries, keys, keys))
    kind = draw(st.sampled_from(["none", "padding", "documents", "any"]))
    block = (draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    return q, k, v, _mask(kind, lead, queries, keys, rng), causal, block


@fast
@given(case=_case(), seed=seeds)
def test_equal_to_one_piece(case, seed):
    q, k, v, mask, causal, block = case
    look = causal_mask(q.shape[-2], k.shape[-2]) if causal else np.True_
    look = np.broadcast_to(look if mask is None else look & mask, (*q.shape[:-1], k.shape[-2]))
    expected, whole = attention(q, k, v, look)
    dy = np.random.default_rng(seed).normal(size=q.shape)
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        y, cache = tiled_attention(q, k, v, mask, causal, block)
        grads = tiled_attention_backward(dy, cache)
    np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-12)
    for ours, theirs in zip(grads, attention_backward(dy, whole), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)
    blind = ~look.any(axis=-1)
    assert not y[blind].any()
    assert not grads[0][blind].any()


@fast
@given(case=_case())
def test_the_log_sum_exp_is_kept(case):
    q, k, v, mask, causal, block = case
    _, cache = tiled_attention(q, k, v, mask, causal, block)
    shape = (*q.shape[:-1], k.shape[-2])
    look = tile_mask(slice(0, shape[-2]), slice(0, shape[-1]), shape, mask, causal)
    scores = np.where(look, q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]), -np.inf)
    with np.errstate(divide="ignore"):
        expected = np.log(np.exp(scores).sum(axis=-1, keepdims=True))
    expected = np.where(np.isneginf(expected), np.inf, expected)
    np.testing.assert_allclose(cache[4], expected, rtol=1e-12, atol=1e-12)


def test_large_scores_do_not_overflow():
    q, k, v = np.array([[100.0]]), np.array([[99.0], [100.0]]), np.array([[1.0], [2.0]])
    with np.errstate(over="raise", invalid="raise"):
        y, cache = tiled_attention(q, k, v, block=(1, 1))
        grads = tiled_attention_backward(np.ones((1, 1)), cache)
    np.testing.assert_array_equal(y, [[2.0]])
    assert all(np.isfinite(grad).all() for grad in grads)


def test_float32_stays_float32(rng):
    q, k, v = (rng.normal(size=(2, 5, 4)).astype(np.float32) for _ in range(3))
    y, cache = tiled_attention(q, k, v, causal=True, block=(2, 3))
    assert y.dtype == cache[4].dtype == np.float32
    assert all(grad.dtype == np.float32 for grad in tiled_attention_backward(y, cache))
    np.testing.assert_allclose(y, attention(q, k, v, causal_mask(5))[0], rtol=1e-5, atol=1e-6)


@fast
@given(seed=seeds, cuts=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_merging_blocks_is_softmax_of_all(seed, cuts):
    rng = np.random.default_rng(seed)
    scores, values = 5 * rng.normal(size=(3, sum(cuts))), rng.normal(size=(sum(cuts), 2))
    scores[rng.random(scores.shape) < 0.3] = -np.inf
    top, total, out = np.full((3, 1), -np.inf), np.zeros((3, 1)), np.zeros((3, 2))
    start = 0
    for size in cuts:
        part = slice(start, start + size)
        top, total, out = merge_block(top, total, out, scores[:, part], values[part])
        start += size
    np.testing.assert_array_equal(top, scores.max(axis=-1, keepdims=True))
    base = np.where(np.isneginf(top), 0, top)
    np.testing.assert_allclose(total, np.exp(scores - base).sum(-1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(out, np.exp(scores - base) @ values, rtol=1e-10, atol=1e-12)


@fast
@given(t=sizes, s=sizes, width=sizes, rows=st.integers(1, 9), columns=st.integers(1, 9), seed=seeds)
def test_the_count_is_the_closed_form(t, s, width, rows, columns, seed):
    rng = np.random.default_rng(seed)
    q, k, v = (rng.normal(size=(n, width)) for n in (t, s, s))
    forward, backward = Traffic(), Traffic()
    y, cache = tiled_attention(q, k, v, block=(rows, columns), traffic=forward)
    tiled_attention_backward(y, cache, backward)
    assert (forward.moved, backward.moved) == tiled_traffic(t, s, width, (rows, columns))
    assert forward.stored == t * width + t
    assert backward.stored == t + t * width * (1 + -(-s // columns)) + 2 * s * width

    forward, backward = Traffic(), Traffic()
    y, cache = plain_attention(q, k, v, forward)
    grads = plain_attention_backward(y, cache, backward)
    assert (forward.moved, backward.moved) == plain_traffic(t, s, width)
    expected, whole = attention(q, k, v)
    np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-12)
    for ours, theirs in zip(grads, attention_backward(y, whole), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


@given(fast_size=st.integers(1, 200_000), width=st.integers(1, 128))
def test_the_tile_fills_the_fast_memory(fast_size, width):
    def held(rows, columns):
        return 2 * rows * width + 2 * columns * width + rows * columns + 2 * rows

    if fast_size < held(1, 1):
        with pytest.raises(ValueError, match=f"width {width} needs a fast memory of"):
            block_sizes(fast_size, width)
        return
    rows, columns = block_sizes(fast_size, width)
    assert 1 <= columns <= width or columns == rows
    assert held(rows, columns) <= fast_size
    assert held(rows + 1, columns) > fast_size or held(rows + 1, columns + 1) > fast_size


@given(width=st.integers(1, 128), scale=st.floats(0, 1))
def test_traffic_grows_as_the_theorem_says(width, scale):
    """Dao et al. (2022), theorem 2: of the order of T²K²/M, for M from the smallest to T·K."""
    length = 4096
    least = 4 * width + 3
    memory = round(least * (length * width / least) ** scale)
    forward, _ = tiled_traffic(length, length, width, block_sizes(memory, width))
    assert 4 <= forward / (length**2 * width**2 / memory) <= 24 + 9 / width


def test_tiles_that_nobody_may_look_at_are_not_loaded():
    q, k, v = (np.ones((8, 2)) for _ in range(3))
    seen, backward = Traffic(), Traffic()
    y, cache = tiled_attention(q, k, v, causal=True, block=(2, 2), traffic=seen)
    tiled_attention_backward(y, cache, backward)
    # 4 × 4 tiles, of which the 10 on the diagonal or below are needed.
    assert seen.loaded == 16 + 10 * 2 * (2 * 2)
    assert backward.loaded == 2 * 16 + 2 * 16 + 10 * (3 * 2 * 2 + 2 * 2)
    documents = np.repeat([0, 1], 4)
    packed = Traffic()
    tiled_attention(q, k, v, documents[:, None] == documents, block=(2, 2), traffic=packed)
    assert packed.loaded == 16 + 8 * 2 * (2 * 2)


def test_padding_is_not_seen(rng):
    q, k, v = (rng.normal(size=(2, 1, 5, 3)) for _ in range(3))
    look = key_mask(np.arange(5) < np.array([[5], [2]]))
    y, _ = tiled_attention(q, k, v, look, block=(2, 2))
    k[1, :, 2:], v[1, :, 2:] = 1e3, -1e3
    np.testing.assert_array_equal(tiled_attention(q, k, v, look, block=(2, 2))[0], y)


def test_bad_input_is_named(rng):
    q, k, v = (rng.normal(size=(n, 2)) for n in (4, 3, 3))
    with pytest.raises(ValueError, match="got 4 queries, 3 keys"):
        tiled_attention(q, k, v, causal=True)
    with pytest.raises(ValueError, match="mask must be boolean: got int64"):
        tiled_attention(q, k, v, np.ones((4, 3), dtype=np.int64))
    with pytest.raises(ValueError, match=r"mask must fit \(4, 3\): got shape \(4, 2\)"):
        tiled_attention(q, k, v, np.ones((4, 2), bool))
    for block in ((0, 2), (2, 0), (-1, 1)):
        with pytest.raises(ValueError, match=f"at least one row and one column: got {min(block)}"):
            tiled_attention(q, k, v, block=block)


def test_tiles_cover_everything_once():
    assert tiles(5, 2) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert tiles(2, 9) == [slice(0, 2)]
    assert tiles(0, 3) == []
