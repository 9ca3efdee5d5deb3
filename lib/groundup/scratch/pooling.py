"""From one vector a token to one vector a sequence."""

import numpy as np

from groundup.scratch.types import Array, BoolArray, Cache


def first_token_pool(x: Array, mask: BoolArray | None = None) -> tuple[Array, Cache]:
    """The vector of the first token, which attention lets see all others.

    Args:
        x: (B, T, D).
        mask: (B, T), not needed: the first token is always real. As for :func:`mean_pool`.

    Returns:
        y (B, D), and the cache :func:`first_token_pool_backward` needs.
    """
    return x[:, 0], (x.shape,)


def first_token_pool_backward(dy: Array, cache: Cache) -> Array:
    """Gradient of :func:`first_token_pool`: (B, T, D), zero but at the first token."""
    (shape,) = cache
    dx: Array = np.zeros(shape, dy.dtype)
    dx[:, 0] = dy
    return dx


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

    Derivation:
        :math:`y = \sum_t w_t x_t` with :math:`w_t = m_t / \sum m`, so
        :math:`\partial L/\partial x_t = w_t\,\partial L/\partial y`.
    """
    if mask is not None and (mask.shape != x.shape[:2] or mask.dtype != bool):
        raise ValueError(
            f"mask must be booleans, (B, T) = {x.shape[:2]}: got {mask.shape}, {mask.dtype}"
        )
    real = np.ones(x.shape[:2], x.dtype) if mask is None else mask.astype(x.dtype)
    share = real / np.maximum(real.sum(axis=1, keepdims=True), 1)  # (B, T)
    # What stands at padding must not count, be it infinite or not a number.
    shown = x if mask is None else np.where(mask[..., None], x, 0)
    return (share[:, None] @ shown)[:, 0], (share,)


def mean_pool_backward(dy: Array, cache: Cache) -> Array:
    """Gradient of :func:`mean_pool`: (B, T, D), shared among the real tokens."""
    (share,) = cache
    return share[..., None] * dy[:, None]
