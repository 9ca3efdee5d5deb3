# Stub 065949e3bc12: yours to edit. It is never written over unasked.
"""Exercise 11.1, The fused projection, cut head by head.

Write the body of ``split_qkv``, then run
``groundup check 11.1``.
"""

from torch import Tensor


def split_qkv(qkv: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Split the fused projection in the order of the published weights: head by head.

    Head h owns the columns 3Kh to 3K(h+1): K of its query, then K of its key, then K of its
    value. Three thirds of the width instead give the right shapes and fluent nonsense.

    Args:
        qkv: (B, T, H·3K).
        heads: H.

    Returns:
        q, k, v, each (B, H, T, K).

    Raises:
        ValueError: the width is not a multiple of 3·H.
    """
    raise NotImplementedError("11.1")
