"""Who may look at whom: boolean masks for attention, True where a query may look at a key.

Two masks are joined with ``&``: ``causal_mask(T) & key_mask(real)`` is (B, 1, T, T).
"""

import numpy as np

from groundup.scratch.types import BoolArray


def causal_mask(queries: int, keys: int | None = None) -> BoolArray:
    """Nobody may look ahead.

    Args:
        queries: T. They are the last T of the S positions.
        keys: S, at least T. None: as many as queries.

    Returns:
        (T, S), a new array: True where the key is at the query's position or before it.

    Raises:
        ValueError: there are fewer keys than queries.
    """
    keys = queries if keys is None else keys
    if keys < queries:
        raise ValueError(f"each query has a key of its own: got {queries} queries, {keys} keys")
    return np.tri(queries, keys, keys - queries, dtype=bool)


def key_mask(real: BoolArray) -> BoolArray:
    """Nobody may look at padding.

    Args:
        real: (B, T), True at real tokens.

    Returns:
        (B, 1, 1, T): the same keys for every head and every query of an example.

    Raises:
        ValueError: ``real`` is not a boolean (B, T) array.
    """
    if real.ndim != 2 or real.dtype != bool:
        raise ValueError(f"real must be (B, T) booleans: got {real.dtype} of shape {real.shape}")
    return real[:, None, None, :]
