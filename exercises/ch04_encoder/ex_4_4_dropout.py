# Stub ae46f490d133: yours to edit. It is never written over unasked.
"""Exercise 4.4, Dropout.

Write the body of ``dropout`` and ``dropout_backward``, then run
``groundup check 4.4``.
"""

import numpy as np

from groundup.scratch.types import Array, Cache


def dropout(x: Array, rate: float, rng: np.random.Generator | None) -> tuple[Array, Cache]:
    r"""Set a random share of the entries to zero, and scale the others up by what is missing.

    The mean of every entry stays what it was, so nothing has to change when dropout is left out.

    Args:
        x: any shape.
        rate: the probability of each entry, by itself, to be dropped, in [0, 1).
        rng: draws which. None: nothing is dropped, as in evaluation.

    Returns:
        y, the shape of x, and the cache :func:`dropout_backward` needs.

    Raises:
        ValueError: the rate lies outside [0, 1), or is not a number.
    """
    raise NotImplementedError("4.4")


def dropout_backward(dy: Array, cache: Cache) -> Array:
    """Gradient of :func:`dropout`: what was dropped passes nothing back."""
    raise NotImplementedError("4.4")
