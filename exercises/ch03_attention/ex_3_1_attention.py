# Stub 28317612f101: yours to edit. It is never written over unasked.
"""Exercise 3.1, Attention and its gradients.

Write the body of ``attention`` and ``attention_backward``, then run
``groundup check 3.1``.
"""

import numpy as np

from groundup.scratch.activations import softmax, softmax_backward
from groundup.scratch.types import Array, BoolArray, Cache


def attention(q: Array, k: Array, v: Array, mask: BoolArray | None = None) -> tuple[Array, Cache]:
    r"""Mix the values, each by how well its key matches the query.

    .. math:: y = \mathrm{softmax}\left(\frac{q k^\top}{\sqrt K}\right) v

    Args:
        q: (..., T, K) queries.
        k: (..., S, K) keys.
        v: (..., S, K) values.
        mask: broadcastable to (..., T, S); True where a query may look. None: everywhere.

    Returns:
        y (..., T, K), and the cache :func:`attention_backward` needs; its first entry is the
        weights (..., T, S). A query that may look nowhere gets zeros.

    Raises:
        ValueError: the mask is not boolean, or does not fit.
    """
    raise NotImplementedError("3.1")


def attention_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Gradients of :func:`attention`.

    Args:
        dy: (..., T, K).
        cache: what the forward pass returned.

    Returns:
        dq (..., T, K), dk (..., S, K), dv (..., S, K).
    """
    raise NotImplementedError("3.1")
