# Stub b892629a9e7e: yours to edit. It is never written over unasked.
"""Exercise 11.2, Turning pairs by their position.

Write the body of ``rotate_pairs``, then run
``groundup check 11.2``.
"""

import torch
from torch import Tensor


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
    """
    raise NotImplementedError("11.2")
