# Stub 9770bbd5bbe6: yours to edit. It is never written over unasked.
"""Exercise 9.3, The angles of RoPE.

Write the body of ``rope_tables``, then run
``groundup check 9.3``.
"""

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
    """
    raise NotImplementedError("9.3")
