# Stub 06e2364d673e: yours to edit. It is never written over unasked.
"""Exercise 2.3, Layer norm and its gradients.

Write the body of ``layer_norm`` and ``layer_norm_backward``, then run
``groundup check 2.3``.
"""

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
    """
    raise NotImplementedError("2.3")


def layer_norm_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Gradients of :func:`layer_norm`.

    Args:
        dy: (..., D) gradient of the loss with respect to y.
        cache: what the forward pass returned.

    Returns:
        dx (..., D), dgamma (D,), dbeta (D,).
    """
    raise NotImplementedError("2.3")
