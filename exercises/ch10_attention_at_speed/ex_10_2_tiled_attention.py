# Stub afd059979fbd: yours to edit. It is never written over unasked.
"""Exercise 10.2, Attention in tiles.

Write the body of ``tiled_attention``, then run
``groundup check 10.2``.
"""

import math

import numpy as np

from groundup.scratch.flash import Traffic, finish_rows, merge_block, tile_mask, tiles
from groundup.scratch.types import Array, BoolArray, Cache


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
    raise NotImplementedError("10.2")
