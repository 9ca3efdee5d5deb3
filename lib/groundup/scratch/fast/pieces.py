"""The parts of a block on rows (N, D), each with its backward pass, written into given arrays.

The mathematics is that of the plain forms. What differs is where the numbers go: results are
written over what is no longer needed, and no large array is made in passing.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from groundup.scratch.types import Array, BoolArray


class Linear(NamedTuple):
    """A weight and its bias, or their gradients."""

    weight: Array  # (D, E)
    bias: Array  # (E,)


def linear(x: Array, layer: Linear, out: Array) -> Array:
    """x W + b, into ``out``."""
    np.matmul(x, layer.weight, out=out)
    out += layer.bias
    return out


def linear_backward(dy: Array, x: Array, layer: Linear, grad: Linear, out: Array) -> Array:
    """dx into ``out``, dW and db into ``grad``."""
    np.matmul(x.T, dy, out=grad.weight)
    column_sums(dy, out=grad.bias)
    return np.matmul(dy, layer.weight.T, out=out)


def column_sums(x: Array, out: Array | None = None) -> Array:
    """Sum over the rows. A vector times a matrix: BLAS does it faster than ``sum(0)``."""
    return np.matmul(constant(len(x), 1, x.dtype), x, out=out)


@lru_cache(maxsize=64)
def constant(size: int, value: float, dtype: np.dtype) -> Array:
    """A vector of one value, (size,), made once. Not to be written to."""
    vector = np.full(size, value, dtype)
    vector.flags.writeable = False
    return vector


def scaled_product(a: Array, b: Array, work: Array, out: Array) -> Array:
    """a bᵀ/√K of many small matrices, (..., S, K) and (..., T, K) to (..., S, T).

    BLAS takes a transposed right factor as a view, but on matrices this small more slowly than a
    transposed copy, the copying included. The copy is also scaled. ``work`` is (..., K, T).
    """
    np.multiply(b.swapaxes(-1, -2), b.dtype.type(b.shape[-1] ** -0.5), out=work)
    return np.matmul(a, work, out=out)


class Norm(NamedTuple):
    """Scale and shift of a layer norm, or their gradients."""

    gamma: Array  # (D,)
    beta: Array  # (D,)


def layer_norm(x: Array, norm: Norm, out: Array, eps: float = 1e-5) -> Array:
    """The normalised rows into ``out``; ``x`` becomes (x − mean) / std.

    Returns:
        1 / std of each row (N, 1), for the backward pass.
    """
    average = constant(x.shape[1], 1 / x.shape[1], x.dtype)
    x -= (x @ average)[:, None]  # a mean of each row is a product with a vector
    np.multiply(x, x, out=out)
    inverse: Array = 1 / np.sqrt(out @ average + x.dtype.type(eps))[:, None]
    x *= inverse
    np.multiply(x, norm.gamma, out=out)
    out += norm.beta
    return inverse


def layer_norm_backward(
    dy: Array, normal: Array, inverse: Array, norm: Norm, grad: Norm, work: Array
) -> Array:
    r"""dx over ``dy``, dgamma and dbeta into ``grad``; ``normal`` and ``work`` are lost.

    Derivation:
        :math:`dx = (g - \bar g - \hat x\,\overline{g\hat x})/\sigma` with
        :math:`g = dy \odot \gamma`. Both means are products with the vector
        :math:`\gamma/D`: of :math:`dy`, and of :math:`dy \odot \hat x`, which
        :math:`d\gamma` needs too.
    """
    weights = norm.gamma / len(norm.gamma)
    np.multiply(dy, normal, out=work)
    column_sums(work, out=grad.gamma)
    column_sums(dy, out=grad.beta)
    mean = (dy @ weights)[:, None]
    normal *= (work @ weights)[:, None]
    dy *= norm.gamma
    dy -= mean
    dy -= normal
    dy *= inverse
    return dy


def relu(x: Array) -> Array:
    """max(x, 0), in place."""
    # NumPy's loop for two arrays is vectorised; the one for an array and a number is not.
    return np.maximum(x, constant(x.shape[-1], 0, x.dtype), out=x)


def softmax(x: Array, mask: BoolArray | None) -> Array:
    """Softmax over the FIRST axis, in place.

    With the keys outermost, maximum, difference, sum and quotient are operations on whole rows of
    memory. Over a short last axis each would be a loop of its own for a handful of numbers.

    Args:
        x: (T, B, …) scores, keys first.
        mask: (B, T), True at real tokens; None: all are.
    """
    if mask is not None:
        hidden = np.where(mask, x.dtype.type(0), x.dtype.type(-np.inf)).T
        x += hidden.reshape(*hidden.shape, *[1] * (x.ndim - 2))
    # Where all is hidden the top is −∞. A finite one makes every exp zero there, not NaN.
    x -= np.maximum(x.max(axis=0), np.finfo(x.dtype).min)
    np.exp(x, out=x)
    x /= np.maximum(x.sum(axis=0), 1)  # at least exp(0) = 1, or nothing but zeros
    return x


def softmax_backward(dp: Array, p: Array) -> Array:
    """p ⊙ (dp − Σ dp ⊙ p) over the first axis, into ``dp``; ``p`` is lost."""
    dp *= p
    p *= dp.sum(axis=0)
    dp -= p
    return dp
