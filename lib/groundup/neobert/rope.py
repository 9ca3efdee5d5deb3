"""Rotary position embeddings in real numbers (Su et al., 2021, arXiv 2104.09864)."""

import torch
from torch import Tensor


def rope_tables(
    positions: Tensor, head_dim: int, theta: float, scale: float = 1.0
) -> tuple[Tensor, Tensor]:
    r"""Cosines and sines of some positions, computed on demand: there is no buffer to lose.

    Args:
        positions: (T,) the place of each token in its own sequence.
        head_dim: K, even.
        theta: base of the wavelengths.
        scale: positions are divided by it. A model trained up to 1,000 reads 4,000 with a scale of
            4 by positions it knows (position interpolation, Chen et al., 2023, arXiv 2306.15595).

    Returns:
        cos and sin, each (T, K/2), in float32, or in float64 if the positions are; in bfloat16
        positions above 256 could not be told apart.

    Derivation:
        Pair i of a head turns by :math:`p \theta^{-2i/K}` at position p: the first pair by one
        radian a token, the last by one in almost theta tokens.
    """
    precise = positions.dtype if positions.dtype == torch.float64 else torch.float32
    steps = torch.arange(0, head_dim, 2, device=positions.device, dtype=precise) / head_dim
    angles = torch.outer(positions.to(precise) / scale, theta**-steps)
    return angles.cos(), angles.sin()


def rotate_pairs(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each adjacent pair of entries by its position's angle.

    Entries 2i and 2i + 1 of a vector are a point in a plane. The point turns about the origin,
    counter-clockwise: (1, 0) comes to (cos, sin).

    Args:
        x: (..., T, K), K even; the position of a vector is its index along T.
        cos: (T, K/2), float32 or x's dtype: the cosine of the angle of each position and pair.
        sin: (T, K/2), the sine of the same angle.

    Returns:
        (..., T, K), of x's dtype, each pair where it was. The inputs are not touched. Where cos and
        sin are more precise than x, so are the products: only the result is rounded.

    Derivation:
        Pair (a, b) becomes (a cos − b sin, a sin + b cos): the complex product of the published
        model, without complex numbers.
    """
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1)
    return turned.flatten(-2).to(x.dtype)
