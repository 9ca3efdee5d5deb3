"""Rotary position embeddings in real numbers (Su et al., 2021, arXiv 2104.09864)."""

import torch
from torch import Tensor


def rope_tables(
    length: int, head_dim: int, theta: float, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Cosines and sines of every position, computed on demand: there is no buffer to lose.

    The angles are computed in float32 at least, whatever the model's dtype.

    Args:
        length: T.
        head_dim: K, even.
        theta: base of the wavelengths.
        device: where the tables are needed.
        dtype: of the queries they will meet.

    Returns:
        cos and sin, each (T, K/2).
    """
    precise = torch.promote_types(dtype, torch.float32)
    steps = torch.arange(0, head_dim, 2, device=device, dtype=precise) / head_dim
    angles = torch.outer(torch.arange(length, device=device, dtype=precise), theta**-steps)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate_pairs(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each adjacent pair of entries by its position's angle.

    Entries 2i and 2i + 1 of a vector are a point in a plane. The point turns about the origin,
    counter-clockwise: (1, 0) comes to (cos, sin).

    Args:
        x: (..., T, K), K even; the position of a vector is its index along T.
        cos: (T, K/2), of x's dtype: the cosine of the angle of each position and pair.
        sin: (T, K/2), the sine of the same angle.

    Returns:
        (..., T, K), of x's dtype, each pair where it was. The inputs are not touched.

    Derivation:
        Pair (a, b) becomes (a cos − b sin, a sin + b cos): the complex product of the published
        model, without complex numbers.
    """
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)
