"""Element-wise nonlinearities, and softmax."""

import math

import numpy as np

from groundup.scratch.types import Array, Cache

_GELU_SLOPE = math.sqrt(2 / math.pi)  # plain floats leave float32 what it is
_GELU_CUBIC = 0.044715


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


def gelu(x: Array) -> tuple[Array, Cache]:
    r"""x · Φ(x), the normal distribution's Φ by its tanh form (Hendrycks and Gimpel, 2016).

    .. math:: y = \frac{x}{2} \left(1 + \tanh u\right), \qquad
              u = \sqrt{2/\pi}\,(x + 0.044715\,x^3)

    Returns:
        y, the shape of x, and the cache :func:`gelu_backward` needs.

    Derivation:
        With the gate :math:`g = (1 + \tanh u)/2`, :math:`y = xg` and :math:`g' = 2g(1-g)\,u'`,
        where :math:`u' = \sqrt{2/\pi}\,(1 + 3 \cdot 0.044715\,x^2)`. So
        :math:`y' = g + 2xg(1-g)\,u' = g\,(1 + 2x(1-g)\,u')`.
    """
    # Two products, because NumPy's x**3 is many times slower.
    gate = 0.5 * (1 + np.tanh(_GELU_SLOPE * (x + _GELU_CUBIC * (x * x * x))))
    return x * gate, (x, gate)


def gelu_backward(dy: Array, cache: Cache) -> Array:
    """Gradient of :func:`gelu`."""
    x, gate = cache
    du = _GELU_SLOPE * (1 + 3 * _GELU_CUBIC * (x * x))
    return dy * gate * (1 + 2 * x * (1 - gate) * du)


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
