# Stub 67474019501a: yours to edit. It is never written over unasked.
"""Exercise 1.2, Padding and mask.

Write the body of ``pad``, then run
``groundup check 1.2``.
"""

import numpy as np

from groundup.scratch.tasks.digits import PAD
from groundup.scratch.types import BoolArray, IntArray


def pad(sequences: list[list[int]]) -> tuple[IntArray, BoolArray]:
    """Stack sequences of different lengths.

    Returns:
        ids (N, T), whole numbers of at least 32 bits, filled up with [PAD] on the right, and the
        mask (N, T), True at real tokens. A sequence may be empty.

    Raises:
        ValueError: there is no sequence.
    """
    raise NotImplementedError("1.2")
