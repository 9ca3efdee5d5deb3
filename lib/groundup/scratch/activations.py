"""Element-wise nonlinearities, and softmax."""

import numpy as np

from groundup.scratch.types import Array, Cache


def relu(x: Array) -> tuple[Array, Cache]:
    """max(x, 0), element by element (Nair and Hinton, 2010).

    Returns:
        y, the shape of x, and the cache :func:`relu_backward` needs.
    """
    y = np.maximum(x, 0)
    return y, (y,)


def relu_backward(dy: Array, cache: Cache) -> Array:
    """Gradient of :func:`relu`: passes where the output was positive, stops elsewhere."""
    (y,) = cache
    return dy * (y > 0)


def silu(x: Array) -> tuple[Array, Cache]:
    r"""x · σ(x), the smooth gate inside SwiGLU (Elfwing et al., 2017).

    Returns:
        y, the shape of x, and the cache :func:`silu_backward` needs.

    Derivation:
        With :math:`s = \sigma(x)` and :math:`s' = s(1-s)`, the product rule gives
        :math:`y' = s + x\,s(1-s)`.
    """
    # exp of a non-positive number cannot overflow, on either side of zero.
    e = np.exp(-np.abs(x))
    sigmoid = np.where(x >= 0, 1 / (1 + e), e / (1 + e))
    return x * sigmoid, (x, sigmoid)


def silu_backward(dy: Array, cache: Cache) -> Array:
    """Gradient of :func:`silu`."""
    x, sigmoid = cache
    return dy * (sigmoid + x * sigmoid * (1 - sigmoid))


def softmax(x: Array) -> Array:
    """Positive weights that sum to one over the last axis.

    Large logits do not overflow. A row that is minus infinity throughout (every key masked)
    becomes zeros instead of NaN.

    Args:
        x: (..., N) logits; minus infinity marks an entry that must get no weight.

    Returns:
        p (..., N).

    Derivation:
        Subtracting the largest entry first changes nothing, because it divides numerator and
        denominator alike, and keeps exp from overflowing.
    """
    top = x.max(axis=-1, keepdims=True)
    top = np.where(np.isneginf(top), 0, top)
    e = np.exp(x - top)
    total = e.sum(axis=-1, keepdims=True)
    return e / np.where(total == 0, 1, total)


def softmax_backward(dp: Array, p: Array) -> Array:
    r"""Gradient of :func:`softmax`, with the whole Jacobian.

    Args:
        dp: (..., N) gradient with respect to the weights.
        p: (..., N) the weights themselves.

    Returns:
        dx (..., N).

    Derivation:
        :math:`\partial p_i/\partial x_j = p_i(\delta_{ij} - p_j)`, so
        :math:`\partial L/\partial x_j = p_j\,(g_j - \sum_i g_i p_i)` with :math:`g` the gradient
        with respect to p: what every other entry loses when entry j gains.
    """
    return p * (dp - (dp * p).sum(axis=-1, keepdims=True))
