"""The position of a token: sinusoids that are added, and rotations of queries and keys."""

import numpy as np

from groundup.scratch.types import Array, Cache, IntArray


def sinusoidal_positions(length: int, width: int) -> Array:
    """The fixed table of Vaswani et al. (2017): sines in even columns, cosines in odd ones.

    Args:
        length: T.
        width: D, even.

    Returns:
        A new array (T, D) in float64; wavelengths grow from 2π towards 10000·2π along the width.

    Raises:
        ValueError: the width is odd.
    """
    if width % 2:
        raise ValueError(f"width must be even: got {width}")
    angles = np.arange(length)[:, None] * 10000.0 ** (-np.arange(0, width, 2) / width)  # (T, D/2)
    table = np.empty((length, width))
    table[:, 0::2] = np.sin(angles)
    table[:, 1::2] = np.cos(angles)
    return table


def rope(x: Array, theta: float = 10000.0) -> tuple[Array, Cache]:
    r"""Rotate each adjacent pair of entries by an angle that grows with the position.

    Pair i of the vector at position t turns by :math:`t\,\theta^{-2i/K}` (Su et al., 2021). The
    dot product of a rotated query and a rotated key then depends on their distance alone.

    Args:
        x: (..., T, K) queries or keys, K even; position t is the index along T.
        theta: the base of the wavelengths.

    Returns:
        y (..., T, K), and the cache :func:`rope_backward` needs.

    Raises:
        ValueError: K is odd, or theta is not above 0.

    Derivation:
        A rotation is orthogonal, so its gradient rule is its transpose: the same rotation by the
        opposite angle.
    """
    if x.shape[-1] % 2:
        raise ValueError(f"rope turns pairs, so the head width must be even: got {x.shape[-1]}")
    if not theta > 0:
        raise ValueError(f"theta must be above 0: got {theta}")
    angles = _angles(np.arange(x.shape[-2]), x.shape[-1], theta)
    cos, sin = np.cos(angles).astype(x.dtype), np.sin(angles).astype(x.dtype)
    return _rotate(x, cos, sin), (cos, sin)


def rope_backward(dy: Array, cache: Cache) -> Array:
    """Gradient of :func:`rope`: rotate back."""
    cos, sin = cache
    return _rotate(dy, cos, -sin)


def _rotate(x: Array, cos: Array, sin: Array) -> Array:
    even, odd = x[..., 0::2], x[..., 1::2]
    y = np.empty_like(x)
    y[..., 0::2] = even * cos - odd * sin
    y[..., 1::2] = even * sin + odd * cos
    return y


def _angles(positions: IntArray, width: int, theta: float) -> Array:
    return positions[:, None] * theta ** (-np.arange(0, width, 2) / width)
