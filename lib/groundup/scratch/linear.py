"""The affine map y = x W + b, and the table look-up that is its one-hot special case."""

import numpy as np

from groundup.scratch.types import Array, Cache, IntArray


def linear(x: Array, weight: Array, bias: Array | None = None) -> tuple[Array, Cache]:
    r"""Map the last axis: :math:`y = xW + b`.

    Args:
        x: (..., D) input.
        weight: (D, E), one column for each output.
        bias: (E,), or None for a map without one.

    Returns:
        y (..., E), and the cache :func:`linear_backward` needs.

    Derivation:
        With :math:`L` the loss and :math:`G = \partial L / \partial y`, one row at a time,
        :math:`\partial L/\partial x = G W^\top`, :math:`\partial L/\partial W = x^\top G`, and
        :math:`\partial L/\partial b = \sum G` over all rows, because every row uses the same b.
    """
    y = x @ weight
    if bias is not None:
        y = y + bias
    return y, (x, weight)


def linear_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Gradients of :func:`linear`.

    Args:
        dy: (..., E) gradient of the loss with respect to y.
        cache: what the forward pass returned.

    Returns:
        dx (..., D), dweight (D, E), dbias (E,), whether or not there was a bias.
    """
    x, weight = cache
    rows_x = x.reshape(-1, x.shape[-1])
    rows_dy = dy.reshape(-1, dy.shape[-1])
    return dy @ weight.T, rows_x.T @ rows_dy, rows_dy.sum(0)


def embedding(ids: IntArray, table: Array) -> tuple[Array, Cache]:
    """Look up one row of a table for each token.

    Args:
        ids: (B, T) token ids, each in [0, V).
        table: (V, D).

    Returns:
        x (B, T, D), and the cache :func:`embedding_backward` needs.

    Raises:
        ValueError: an id lies outside the table.
    """
    if ids.size and (ids.min() < 0 or ids.max() >= len(table)):
        raise ValueError(f"token ids must lie in [0, {len(table)}): got {ids.min()} to {ids.max()}")
    return table[ids], (ids, table.shape)


def embedding_backward(dx: Array, cache: Cache) -> Array:
    """Gradient of :func:`embedding`.

    Args:
        dx: (B, T, D).
        cache: what the forward pass returned.

    Returns:
        dtable (V, D).

    Derivation:
        Each position adds its gradient to the row it read, so a token that occurs twice adds
        twice. That is why this is ``np.add.at`` and not an assignment.
    """
    ids, shape = cache
    dtable = np.zeros(shape, dx.dtype)
    np.add.at(dtable, ids, dx)
    return dtable
