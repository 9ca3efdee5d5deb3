# Stub 9209d8fed65f: yours to edit. It is never written over unasked.
"""Exercise 8.2, The backward pass of a gate.

Write the body of ``silu_gate_backward``, then run
``groundup check 8.2``.
"""

import torch
from torch import Tensor


def silu_gate_backward(dy: Tensor, x: Tensor) -> Tensor:
    r"""The gradient of :func:`silu_gate` with respect to its input.

    With the gate a and the value b, the forward pass is y = a · σ(a) · b, entry by entry, where
    σ(a) = 1 / (1 + exp(-a)).

    Args:
        dy: (..., F), the gradient of the loss with respect to y, of x's dtype.
        x: (..., 2F), what the forward pass was given: the gates, then the values.

    Returns:
        (..., 2F), of x's dtype: the gradient with respect to the gates, then to the values. The
        inputs are not touched. Autograd can differentiate the result with respect to both.
    """
    raise NotImplementedError("8.2")
