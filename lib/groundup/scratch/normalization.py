"""Layer norm and RMS norm, over the last axis."""

import numpy as np

from groundup.scratch.types import Array, Cache


def layer_norm(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> tuple[Array, Cache]:
    r"""Centre and scale each vector, then give it a learned scale and shift (Ba et al., 2016).

    Args:
        x: (..., D).
        gamma: (D,) scale.
        beta: (D,) shift.
        eps: added to the variance (the mean squared deviation over D), so that a constant vector
            does not divide by zero.

    Returns:
        y (..., D), and the cache :func:`layer_norm_backward` needs.

    Derivation:
        With :math:`\hat x = (x-\mu)/\sigma` and :math:`g = \partial L/\partial \hat x`, the mean
        and the variance both depend on every entry, and
        :math:`\partial L/\partial x = (g - \bar g - \hat x\,\overline{g\hat x})/\sigma`.
    """
    mean = x.mean(axis=-1, keepdims=True)
    centred = x - mean
    # The variance of the centred vector; E[x²] − E[x]² would cancel badly in float32.
    std = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + eps)
    normal = centred / std
    return gamma * normal + beta, (normal, std, gamma)


def layer_norm_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Gradients of :func:`layer_norm`.

    Args:
        dy: (..., D) gradient of the loss with respect to y.
        cache: what the forward pass returned.

    Returns:
        dx (..., D), dgamma (D,), dbeta (D,).
    """
    normal, std, gamma = cache
    rows = tuple(range(dy.ndim - 1))
    g = dy * gamma
    dx = g - g.mean(axis=-1, keepdims=True)
    dx -= normal * (g * normal).mean(axis=-1, keepdims=True)
    return dx / std, (dy * normal).sum(axis=rows), dy.sum(axis=rows)


def rms_norm(x: Array, gamma: Array, eps: float = 1e-5) -> tuple[Array, Cache]:
    r"""Scale each vector to root mean square one; the mean stays (Zhang and Sennrich, 2019).

    Args:
        x: (..., D).
        gamma: (D,) scale.
        eps: added to the mean square.

    Returns:
        y (..., D), and the cache :func:`rms_norm_backward` needs.

    Derivation:
        With :math:`\hat x = x/r` and :math:`g = \partial L/\partial\hat x`,
        :math:`\partial L/\partial x = (g - \hat x\,\overline{g\hat x})/r`: layer norm's rule
        without the term that came from the mean.
    """
    rms = np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps)
    normal = x / rms
    return gamma * normal, (normal, rms, gamma)


def rms_norm_backward(dy: Array, cache: Cache) -> tuple[Array, Array]:
    """Gradients of :func:`rms_norm`.

    Returns:
        dx (..., D), dgamma (D,).
    """
    normal, rms, gamma = cache
    g = dy * gamma
    dx = (g - normal * (g * normal).mean(axis=-1, keepdims=True)) / rms
    return dx, (dy * normal).sum(axis=tuple(range(dy.ndim - 1)))
