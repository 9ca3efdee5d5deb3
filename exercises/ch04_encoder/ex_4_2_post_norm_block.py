# Stub 7b7e83ab5b47: yours to edit. It is never written over unasked.
"""Exercise 4.2, The block and its gradients.

Write the body of ``post_norm_block`` and ``post_norm_block_backward``, then run
``groundup check 4.2``.
"""

from groundup.scratch.blocks import Dropout, attend, attend_backward, feed_backward
from groundup.scratch.dropout import dropout, dropout_backward
from groundup.scratch.feedforward import feed_forward
from groundup.scratch.normalization import layer_norm, layer_norm_backward
from groundup.scratch.types import Array, BoolArray, Cache, Params


def post_norm_block(
    x: Array, p: Params, heads: int, mask: BoolArray | None = None, noise: Dropout = (0.0, None)
) -> tuple[Array, Cache]:
    """The block of 2017: add what a sublayer found, then normalise (Vaswani et al., 2017).

    Args:
        x: (B, T, D).
        p: the block's parameters.
        heads: H.
        mask: (B, T), True at real tokens. None: no padding.
        noise: dropout of what each sublayer adds, the attention's first.

    Returns:
        y (B, T, D), and the cache :func:`post_norm_block_backward` needs; its first entry is the
        attention's cache, where :meth:`Encoder.attention_maps` finds the weights.
    """
    raise NotImplementedError("4.2")


def post_norm_block_backward(dy: Array, cache: Cache) -> tuple[Array, Params]:
    """Gradients of :func:`post_norm_block`.

    Returns:
        dx (B, T, D), and the gradient of each parameter by its name.
    """
    raise NotImplementedError("4.2")
