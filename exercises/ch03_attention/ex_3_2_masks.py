# Stub 127bc682d381: yours to edit. It is never written over unasked.
"""Exercise 3.2, Causal and padding masks.

Write the body of ``causal_mask`` and ``key_mask``, then run
``groundup check 3.2``.
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
    raise NotImplementedError("3.2")


def key_mask(real: BoolArray) -> BoolArray:
    """Nobody may look at padding.

    Args:
        real: (B, T), True at real tokens.

    Returns:
        (B, 1, 1, T): the same keys for every head and every query of an example.

    Raises:
        ValueError: ``real`` is not a boolean (B, T) array.
    """
    raise NotImplementedError("3.2")
