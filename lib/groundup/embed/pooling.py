"""From one vector a token to one vector a text."""

import torch
from torch import Tensor


def mean_pool(hidden: Tensor, mask: Tensor, weights: Tensor | None = None) -> Tensor:
    """The mean over real tokens, weighted if asked.

    Args:
        hidden: (B, T, D) token vectors.
        mask: (B, T), nonzero at real tokens; the side of the padding does not matter.
        weights: (B, T) how much each token counts. None: all alike.

    Returns:
        (B, D), of the dtype of ``hidden``; half precision is summed in float32. A text without a
        real token becomes zeros. Weights that sum to less than 1e-9, as learned ones can, divide
        by 1e-9: the length of such a vector means nothing, its direction is that of the sum.
        sentence-transformers does the same.
    """
    wide = torch.promote_types(hidden.dtype, torch.float32)
    share = mask.bool().to(wide)
    if weights is not None:
        share = share * weights.to(wide)
    total = share.sum(1, keepdim=True).clamp(min=1e-9)
    return ((share.unsqueeze(1) @ hidden.to(wide)).squeeze(1) / total).to(hidden.dtype)


def last_token_pool(hidden: Tensor, mask: Tensor) -> Tensor:
    """The vector of the last real token: in a causal model the only one that has read it all.

    Args:
        hidden: (B, T, D). What it holds at padding does not matter.
        mask: (B, T) of any type, nonzero at real tokens. Where a row is padded does not matter:
            on the left, on the right or on both sides, and each row in its own way.

    Returns:
        (B, D), of the dtype of ``hidden``. The inputs are not touched.

    Raises:
        ValueError: a text has no real token.
    """
    if not bool(mask.bool().any(1).all()):
        raise ValueError("every text needs a real token: a row of the mask is all zeros")
    positions = torch.arange(mask.shape[1], device=mask.device)
    last = torch.where(mask.bool(), positions, -1).max(1).values
    return hidden[torch.arange(len(hidden), device=hidden.device), last]
