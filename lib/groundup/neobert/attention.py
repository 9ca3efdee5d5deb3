"""Attention over NeoBERT's fused projection."""

import torch
import torch.nn.functional as F
from torch import Tensor


def split_qkv(qkv: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cut the fused projection the way the published weights lay it out: head by head.

    Head h owns the columns 3Kh to 3K(h+1): K of its query, then K of its key, then K of its
    value. Cutting the width into three thirds instead gives the right shapes and fluent nonsense.

    Args:
        qkv: (B, T, H·3K).
        heads: H.

    Returns:
        q, k, v, each (B, H, T, K).

    Raises:
        ValueError: the width is not a multiple of 3·H.
    """
    batch, length, width = qkv.shape
    if width % (3 * heads):
        raise ValueError(f"the width must be a multiple of 3·heads: got {width} for {heads} heads")
    by_head = qkv.view(batch, length, heads, width // heads).transpose(1, 2)  # (B, H, T, 3K)
    q, k, v = by_head.chunk(3, dim=-1)
    return q, k, v


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention, in both directions, through torch's fused kernels.

    Args:
        q: (B, H, T, K) queries; k and v likewise.
        mask: (B, T) bool, True at real tokens. None where nothing is padded: a mask would rule
            out the fastest kernel.

    Returns:
        (B, T, H·K), the heads side by side. Queries of a sequence without a real token get zeros.
    """
    look = None
    if mask is not None:
        look = mask[:, None, None, :]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=look)
    if mask is not None:
        # Backends differ on rows that may look nowhere (NaN or zero): make them zero.
        mixed = torch.where(mask.any(1)[:, None, None, None], mixed, 0.0)
    return mixed.transpose(1, 2).flatten(2)
