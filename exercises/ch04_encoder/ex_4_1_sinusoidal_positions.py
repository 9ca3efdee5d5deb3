# Stub 8a1546a99428: yours to edit. It is never written over unasked.
"""Exercise 4.1, Sinusoidal positions.

Write the body of ``sinusoidal_positions``, then run
``groundup check 4.1``.
"""

import numpy as np

from groundup.scratch.types import Array


def sinusoidal_positions(length: int, width: int) -> Array:
    """The fixed table of Vaswani et al. (2017): sines in even columns, cosines in odd ones.

    Args:
        length: T.
        width: D, even.

    Returns:
        A new array (T, D) in float64; wavelengths grow from 2π towards 10000·2π along the width.

    Raises:
        ValueError: the width is odd.
    """
    raise NotImplementedError("4.1")
