# Stub 9d39f9137d49: yours to edit. It is never written over unasked.
"""Exercise 2.1, A linear layer and its gradients.

Write the body of ``linear`` and ``linear_backward``, then run
``groundup check 2.1``.
"""

from groundup.scratch.types import Array, Cache


def linear(x: Array, weight: Array, bias: Array | None = None) -> tuple[Array, Cache]:
    r"""Map the last axis: :math:`y = xW + b`.

    Args:
        x: (..., D) input.
        weight: (D, E), one column for each output.
        bias: (E,), or None for a map without one.

    Returns:
        y (..., E), and the cache :func:`linear_backward` needs.
    """
    raise NotImplementedError("2.1")


def linear_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Gradients of :func:`linear`.

    Args:
        dy: (..., E) gradient of the loss with respect to y.
        cache: what the forward pass returned.

    Returns:
        dx (..., D), dweight (D, E), dbias (E,), whether or not there was a bias.
    """
    raise NotImplementedError("2.1")
