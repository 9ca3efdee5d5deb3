# Stub 25ac47e70d6e: yours to edit. It is never written over unasked.
"""Exercise 4.3, Mean pooling with a mask.

Write the body of ``mean_pool`` and ``mean_pool_backward``, then run
``groundup check 4.3``.
"""

import numpy as np

from groundup.scratch.types import Array, BoolArray, Cache


def mean_pool(x: Array, mask: BoolArray | None = None) -> tuple[Array, Cache]:
    r"""The mean over the real tokens of each sequence.

    Args:
        x: (B, T, D).
        mask: (B, T), True at real tokens. None: all are real.

    Returns:
        y (B, D), and the cache :func:`mean_pool_backward` needs. A sequence without a real token
        gets zeros.

    Raises:
        ValueError: the mask has another shape than (B, T) or is not boolean.
    """
    raise NotImplementedError("4.3")


def mean_pool_backward(dy: Array, cache: Cache) -> Array:
    """Gradient of :func:`mean_pool`: (B, T, D), shared among the real tokens."""
    raise NotImplementedError("4.3")
