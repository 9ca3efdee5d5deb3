# Stub 989bff72fca1: yours to edit. It is never written over unasked.
"""Exercise 2.4, An embedding table and its gradient.

Write the body of ``embedding`` and ``embedding_backward``, then run
``groundup check 2.4``.
"""

import numpy as np

from groundup.scratch.types import Array, Cache, IntArray


def embedding(ids: IntArray, table: Array) -> tuple[Array, Cache]:
    """Look up one row of a table for each token.

    Args:
        ids: (B, T) token ids, each in [0, V).
        table: (V, D).

    Returns:
        x (B, T, D), and the cache :func:`embedding_backward` needs.

    Raises:
        ValueError: an id lies outside the table.
    """
    raise NotImplementedError("2.4")


def embedding_backward(dx: Array, cache: Cache) -> Array:
    """Gradient of :func:`embedding`.

    Args:
        dx: (B, T, D).
        cache: what the forward pass returned.

    Returns:
        dtable (V, D).
    """
    raise NotImplementedError("2.4")
