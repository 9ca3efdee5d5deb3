# Stub 2997d80ebe93: yours to edit. It is never written over unasked.
"""Exercise 2.2, Softmax and its gradient.

Write the body of ``softmax`` and ``softmax_backward``, then run
``groundup check 2.2``.
"""

import numpy as np

from groundup.scratch.types import Array


def softmax(x: Array) -> Array:
    """Positive weights that sum to one over the last axis.

    Large logits do not overflow. A row that is minus infinity throughout (every key masked)
    becomes zeros instead of NaN.

    Args:
        x: (..., N) logits; minus infinity marks an entry that must get no weight.

    Returns:
        p (..., N).
    """
    raise NotImplementedError("2.2")


def softmax_backward(dp: Array, p: Array) -> Array:
    r"""Gradient of :func:`softmax`, with the whole Jacobian.

    Args:
        dp: (..., N) gradient with respect to the weights.
        p: (..., N) the weights themselves.

    Returns:
        dx (..., N).
    """
    raise NotImplementedError("2.2")
