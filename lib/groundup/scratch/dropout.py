"""Dropout: noise that a network must learn to do without (Srivastava et al., 2014)."""

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

    Derivation:
        With :math:`m` zero where an entry is dropped and :math:`1/(1-\text{rate})` elsewhere,
        :math:`y = m \odot x`, so :math:`\partial L/\partial x = m \odot \partial L/\partial y`.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"rate must lie in [0, 1): got {rate}")
    if rng is None or rate == 0:
        return x, (None,)
    kept = (rng.random(x.shape) >= rate).astype(x.dtype)
    kept /= 1 - rate
    return x * kept, (kept,)


def dropout_backward(dy: Array, cache: Cache) -> Array:
    """Gradient of :func:`dropout`: what was dropped passes nothing back."""
    (kept,) = cache
    return dy if kept is None else dy * kept
