# Stub d81c024f9cde: yours to edit. It is never written over unasked.
"""Exercise 9.1, RMSNorm and its gradient, in torch.

Write the body of ``rms_norm`` and ``rms_norm_backward``, then run
``groundup check 9.1``.
"""

import torch
from torch import Tensor

from groundup.neobert.norm import Cache


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Cache]:
    r"""Divide each vector by its root mean square, then scale its entries.

    Whatever the dtype of x, the mean square is computed in float32 at least: in float16 the square
    of 256 is already infinite.

    Args:
        x: (..., D).
        weight: (D,) the learned scale, of x's dtype.
        eps: added to the mean square, so that a vector of zeros stays one.

    Returns:
        y (..., D), of x's dtype, and the tensors that :func:`rms_norm_backward` needs, a tuple.
    """
    raise NotImplementedError("9.1")


def rms_norm_backward(dy: Tensor, cache: Cache) -> tuple[Tensor, Tensor]:
    r"""Gradients of :func:`rms_norm`.

    Args:
        dy: (..., D) gradient of the loss with respect to y.
        cache: of the forward pass.

    Returns:
        dx (..., D) and dweight (D,), of dy's dtype.
    """
    raise NotImplementedError("9.1")
