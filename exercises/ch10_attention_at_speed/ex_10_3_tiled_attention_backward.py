# Stub 66cef0bd85d3: yours to edit. It is never written over unasked.
"""Exercise 10.3, Attention in tiles, the way back.

Write the body of ``tiled_attention_backward``, then run
``groundup check 10.3``.
"""

import math

import numpy as np

from groundup.scratch.flash import Traffic, tile_mask, tiles
from groundup.scratch.types import Array, Cache


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
    """
    raise NotImplementedError("10.3")
