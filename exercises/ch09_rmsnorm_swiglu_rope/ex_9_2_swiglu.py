# Stub 4f5f939d0916: yours to edit. It is never written over unasked.
"""Exercise 9.2, SwiGLU and its gradients.

Write the body of ``swiglu`` and ``swiglu_backward``, then run
``groundup check 9.2``.
"""

import numpy as np

from groundup.scratch.activations import silu, silu_backward
from groundup.scratch.linear import linear, linear_backward
from groundup.scratch.types import Array, Cache


def swiglu(x: Array, w12: Array, w3: Array) -> tuple[Array, Cache]:
    r"""A feed-forward network with a gate (Shazeer, 2020): silu(x W1) ⊙ (x W2), then W3.

    Args:
        x: (..., D).
        w12: (D, 2F); the first F columns make the gate, the last F the values.
        w3: (F, D).

    Returns:
        y (..., D), and the cache :func:`swiglu_backward` needs.
    """
    raise NotImplementedError("9.2")


def swiglu_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Gradients of :func:`swiglu`.

    Returns:
        dx (..., D), dw12 (D, 2F), dw3 (F, D).
    """
    raise NotImplementedError("9.2")
