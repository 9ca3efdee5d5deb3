"""Attention tile by tile: the exact result, and never a whole row of scores in memory.

The algorithm of FlashAttention (Dao et al., 2022, arXiv 2205.14135) in the order of its second
version (Dao, 2023, arXiv 2307.08691), written to be read. Beside it is the textbook form, step
by step, and a counter of the numbers that each moves between slow and fast memory.
"""

import math
from dataclasses import dataclass

import numpy as np

from groundup.scratch.activations import softmax, softmax_backward
from groundup.scratch.types import Array, BoolArray, Cache


@dataclass
class Traffic:
    """How many numbers have crossed between slow and fast memory.

    Attributes:
        loaded: numbers read from slow memory.
        stored: numbers written to it. The booleans of a mask are not counted: a kernel makes them
            from positions and lengths.
    """

    loaded: int = 0
    stored: int = 0

    @property
    def moved(self) -> int:
        """Both together."""
        return self.loaded + self.stored

    def load(self, x: Array) -> Array:
        """Count the numbers of x as read, and return x."""
        self.loaded += x.size
        return x

    def store(self, x: Array) -> Array:
        """Count the numbers of x as written, and return x."""
        self.stored += x.size
        return x


def tiles(length: int, size: int) -> list[slice]:
    """Cut ``range(length)`` into slices of ``size``; the last may be shorter.

    Raises:
        ValueError: the size is below 1.
    """
    if size < 1:
        raise ValueError(f"a block needs at least one row and one column: got {size}")
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


def tile_mask(
    rows: slice, columns: slice, shape: tuple[int, ...], mask: BoolArray | None, causal: bool
) -> BoolArray:
    """One tile of the mask, made when it is needed.

    Args:
        rows: the queries of the tile.
        columns: its keys.
        shape: (..., T, S), of all scores.
        mask: broadcastable to it, True where a query may look. None: everywhere.
        causal: a query may not look ahead. The T queries are the last of the S positions.

    Returns:
        (..., rows, columns), True where a query of the tile may look at a key of the tile.

    Raises:
        ValueError: the mask is not boolean or does not fit, or a causal query has no key.
    """
    queries, keys = shape[-2:]
    if mask is None:
        mask = np.ones((1, 1), dtype=bool)
    if mask.dtype != bool:
        raise ValueError(f"the mask must be boolean: got {mask.dtype}")
    if causal and queries > keys:
        raise ValueError(f"each query has a key of its own: got {queries} queries, {keys} keys")
    try:  # a view: there is no array of this shape in memory
        attn_mask = np.broadcast_to(mask, shape)[..., rows, columns]
    except ValueError:
        raise ValueError(f"the mask must fit {shape}: got shape {mask.shape}") from None
    if causal:
        own_place = np.arange(rows.start, rows.stop)[:, None] + keys - queries
        attn_mask = attn_mask & (np.arange(columns.start, columns.stop) <= own_place)
    return attn_mask


def merge_block(
    top: Array, total: Array, out: Array, scores: Array, values: Array
) -> tuple[Array, Array, Array]:
    r"""One step of online softmax: take one more block of keys into the running result.

    What has been seen of a row is kept in three parts, with :math:`z_s` its scores and
    :math:`v_s` their values:

    .. math:: m = \max_s z_s, \qquad \ell = \sum_s e^{z_s - m}, \qquad o = \sum_s e^{z_s - m} v_s

    When every block has been taken in, :math:`o / \ell` is the row's attention. Before the first,
    m is minus infinity, and the sum and the output are zero (Milakov and Gimelshein, 2018).

    Args:
        top: (..., T, 1) the largest score so far, m.
        total: (..., T, 1) the sum so far, relative to ``top``.
        out: (..., T, K) the output so far, relative to ``top`` and not yet divided.
        scores: (..., T, C) of the new block; minus infinity marks a key that must not be seen.
        values: (..., C, K) of the new block.

    Returns:
        top, total and out of everything seen so far, the new block included. A row that has seen
        no key yet stays at minus infinity, zero and zero.

    Derivation:
        With :math:`m'` the larger of m and the block's largest score,
        :math:`e^{z - m'} = e^{m - m'} e^{z - m}`. So the old sum and the old output are both
        multiplied by :math:`e^{m - m'}`, and the block's terms are added relative to :math:`m'`.
    """
    new_top = np.maximum(top, scores.max(axis=-1, keepdims=True))
    base = np.where(np.isneginf(new_top), 0, new_top)  # a row that has seen nothing stays finite
    old = np.exp(top - base)
    weights = np.exp(scores - base)
    new_total = old * total + weights.sum(axis=-1, keepdims=True)
    return new_top, new_total, old * out + weights @ values


def finish_rows(top: Array, total: Array, out: Array) -> tuple[Array, Array]:
    r"""The end of online softmax: what :func:`merge_block` has collected, made into a result.

    Args:
        top: (..., T, 1) the largest score of each row.
        total: (..., T, 1) the sum, relative to ``top``.
        out: (..., T, K) the output, relative to ``top`` and not yet divided.

    Returns:
        The attention of each row (..., T, K), and its log-sum-exp :math:`\ln \sum_s e^{z_s}`
        (..., T, 1), from which a backward pass can make any weight again. A row that has seen no
        key gets zeros, and plus infinity: its weights :math:`e^{z - \infty}` are then zero.

    Derivation:
        :math:`\ln \sum_s e^{z_s} = \ln\left(e^m \sum_s e^{z_s - m}\right) = m + \ln \ell`.
    """
    blind = total == 0
    total = np.where(blind, 1, total)
    return out / total, np.where(blind, np.inf, top + np.log(total))


def tiled_attention(
    q: Array,
    k: Array,
    v: Array,
    mask: BoolArray | None = None,
    causal: bool = False,
    block: tuple[int, int] = (32, 32),
    traffic: Traffic | None = None,
) -> tuple[Array, Cache]:
    """Attention computed tile by tile: the same numbers, without the (T, S) matrix of scores.

    Each tile of queries is loaded once, and goes over the tiles of keys and values. Of those, one
    in which no query may look at any key is skipped, and not loaded.

    Args:
        q: (..., T, K) queries.
        k: (..., S, K) keys.
        v: (..., S, K) values.
        mask: broadcastable to (..., T, S); True where a query may look. None: everywhere.
        causal: a query may not look ahead. The T queries are the last of the S positions.
        block: queries and keys in a tile. Neither has to divide its length.
        traffic: counts what is loaded (tiles of q, k, v) and stored (of y and of the log-sum-exp).

    Returns:
        y (..., T, K), and the cache :func:`tiled_attention_backward` needs: (q, k, v, y, log_sum,
        mask, causal, block), with log_sum (..., T, 1) the log-sum-exp of each row's scaled scores,
        and no weights. A query that may look nowhere gets zeros, and plus infinity there.

    Raises:
        ValueError: the mask is not boolean or does not fit, a causal query has no key, or a block
            size is below 1.
    """
    traffic = Traffic() if traffic is None else traffic
    scale = 1 / math.sqrt(q.shape[-1])
    shape = (*q.shape[:-1], k.shape[-2])
    y, log_sum = np.empty_like(q), np.empty_like(q[..., :1])
    for rows in tiles(q.shape[-2], block[0]):
        q_tile = traffic.load(q[..., rows, :])
        total, out = np.zeros_like(q_tile[..., :1]), np.zeros_like(q_tile)
        top = np.full_like(total, -np.inf)
        for columns in tiles(k.shape[-2], block[1]):
            attn_mask = tile_mask(rows, columns, shape, mask, causal)
            if not attn_mask.any():
                continue
            k_tile, v_tile = traffic.load(k[..., columns, :]), traffic.load(v[..., columns, :])
            scores = np.where(attn_mask, q_tile @ k_tile.swapaxes(-1, -2) * scale, -np.inf)
            top, total, out = merge_block(top, total, out, scores, v_tile)
        y_tile, log_tile = finish_rows(top, total, out)
        y[..., rows, :] = traffic.store(y_tile)
        log_sum[..., rows, :] = traffic.store(log_tile)
    return y, (q, k, v, y, log_sum, mask, causal, block)


def tiled_attention_backward(
    dy: Array, cache: Cache, traffic: Traffic | None = None
) -> tuple[Array, Array, Array]:
    r"""Gradients of :func:`tiled_attention`: the weights are computed again, tile by tile.

    Each tile of keys and values is loaded once, and goes over the tiles of queries. Its own
    gradients stay in fast memory; that of the queries is added to in slow memory, tile by tile.
    Tiles in which no query may look at any key are skipped.

    Args:
        dy: (..., T, K).
        cache: (q, k, v, y, log_sum, mask, causal, block), as the forward pass returned it.
        traffic: counts what is loaded and stored: of dq the zeros it begins with, too.

    Returns:
        dq (..., T, K), dk (..., S, K), dv (..., S, K).

    Derivation:
        The weights are :math:`p_{ts} = e^{z_{ts} - L_t}` with L the log-sum-exp. Through the
        softmax, :math:`dz_{ts} = p_{ts}(dp_{ts} - D_t)` with :math:`dp_{ts} = dy_t \cdot v_s` and
        :math:`D_t = \sum_s p_{ts}\,dp_{ts} = dy_t \cdot \sum_s p_{ts} v_s = dy_t \cdot y_t`: a
        sum over all keys, known without one.
    """
    q, k, v, y, log_sum, mask, causal, block = cache
    traffic = Traffic() if traffic is None else traffic
    scale = 1 / math.sqrt(q.shape[-1])
    shape = (*q.shape[:-1], k.shape[-2])
    delta = np.empty_like(log_sum)  # D in the papers
    for rows in tiles(q.shape[-2], block[0]):
        product = traffic.load(dy[..., rows, :]) * traffic.load(y[..., rows, :])
        delta[..., rows, :] = traffic.store(product.sum(axis=-1, keepdims=True))
    dq, dk, dv = traffic.store(np.zeros_like(q)), np.empty_like(k), np.empty_like(v)
    for columns in tiles(k.shape[-2], block[1]):
        k_tile, v_tile = traffic.load(k[..., columns, :]), traffic.load(v[..., columns, :])
        dk_tile, dv_tile = np.zeros_like(k_tile), np.zeros_like(v_tile)
        for rows in tiles(q.shape[-2], block[0]):
            attn_mask = tile_mask(rows, columns, shape, mask, causal)
            if not attn_mask.any():
                continue
            q_tile, dy_tile = traffic.load(q[..., rows, :]), traffic.load(dy[..., rows, :])
            scores = np.where(attn_mask, q_tile @ k_tile.swapaxes(-1, -2) * scale, -np.inf)
            weights = np.exp(scores - traffic.load(log_sum[..., rows, :]))
            dweights = dy_tile @ v_tile.swapaxes(-1, -2)
            dscores = weights * (dweights - traffic.load(delta[..., rows, :])) * scale
            dv_tile += weights.swapaxes(-1, -2) @ dy_tile
            dk_tile += dscores.swapaxes(-1, -2) @ q_tile
            dq[..., rows, :] = traffic.store(traffic.load(dq[..., rows, :]) + dscores @ k_tile)
        dk[..., columns, :] = traffic.store(dk_tile)
        dv[..., columns, :] = traffic.store(dv_tile)
    return dq, dk, dv


def plain_attention(q: Array, k: Array, v: Array, traffic: Traffic) -> tuple[Array, Cache]:
    """The textbook form as three operations, each from slow memory and back to it.

    Every operand is counted once, which is the least that an operation can do.

    Args:
        q: (..., T, K) queries.
        k: (..., S, K) keys.
        v: (..., S, K) values.
        traffic: counts what is loaded and stored.

    Returns:
        y (..., T, K), and the cache :func:`plain_attention_backward` needs.
    """
    load, store = traffic.load, traffic.store
    scale = 1 / math.sqrt(q.shape[-1])
    scores = store(load(q) @ load(k).swapaxes(-1, -2) * scale)
    weights = store(softmax(load(scores)))
    return store(load(weights) @ load(v)), (weights, q, k, v, scale)


def plain_attention_backward(
    dy: Array, cache: Cache, traffic: Traffic
) -> tuple[Array, Array, Array]:
    """Gradients of :func:`plain_attention`, as five operations.

    Returns:
        dq (..., T, K), dk (..., S, K), dv (..., S, K).
    """
    load, store = traffic.load, traffic.store
    weights, q, k, v, scale = cache
    dv = store(load(weights).swapaxes(-1, -2) @ load(dy))
    dweights = store(load(dy) @ load(v).swapaxes(-1, -2))
    dscores = store(softmax_backward(load(dweights), load(weights)) * scale)
    dq = store(load(dscores) @ load(k))
    return dq, store(load(dscores).swapaxes(-1, -2) @ load(q)), dv


def block_sizes(fast: int, width: int) -> tuple[int, int]:
    """The tile of the forward pass that fills a fast memory.

    What has to fit: the tiles of q and of the output (rows, K), those of k and v (columns, K), the
    scores (rows, columns), and the largest score and the sum of each row. Only more rows save
    traffic, so columns stop growing at K.

    Args:
        fast: M, how many numbers the fast memory holds.
        width: K.

    Returns:
        Rows and columns, for ``block``.

    Raises:
        ValueError: not even a tile of one query and one key fits.
    """
    if fast < 4 * width + 3:
        raise ValueError(f"width {width} needs a fast memory of {4 * width + 3}: got {fast}")
    # The largest square tile, n² + (4K + 2)n ≤ M, from the quadratic formula.
    square = math.isqrt((2 * width + 1) ** 2 + fast) - (2 * width + 1)
    if square <= width:
        return square, square
    return (fast - 2 * width**2) // (3 * width + 2), width


def plain_traffic(queries: int, keys: int, width: int) -> tuple[int, int]:
    """What the textbook form moves for one head, in numbers: forward and backward."""
    vectors = (queries + keys) * width
    return 4 * queries * keys + 2 * vectors, 7 * queries * keys + 4 * vectors


def tiled_traffic(
    queries: int, keys: int, width: int, block: tuple[int, int] = (32, 32)
) -> tuple[int, int]:
    """What the tiled form moves for one head without a mask, in numbers: forward and backward.

    With the tiles of :func:`block_sizes`, and M up to T·K, the forward pass over T = S tokens moves
    between 4 and 24 + 9/K times T²K²/M: the order of Dao et al. (2022), theorem 2.
    """
    row_tiles, column_tiles = -(-queries // block[0]), -(-keys // block[1])
    forward = queries * (2 * width + 1) + row_tiles * 2 * keys * width
    every_tile = column_tiles * queries * (4 * width + 2)
    return forward, queries * (3 * width + 1) + 4 * keys * width + every_tile
