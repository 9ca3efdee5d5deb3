# Stub dcb8d02b465a: yours to edit. It is never written over unasked.
"""Exercise 6.2, Remove a head.

Write the body of ``without_head`` and ``ablate_heads``, then run
``groundup check 6.2``.
"""

import numpy as np

from groundup.scratch.encoder import Encoder
from groundup.scratch.examples import Examples
from groundup.scratch.tasks.digits import OPERATIONS, accuracy
from groundup.scratch.types import Array


def without_head(wo: Array, heads: int, head: int) -> Array:
    """The output projection of multi-head attention, deaf to one head.

    Args:
        wo: (D, D), the matrix that mixes the heads' outputs: y = concat(heads) @ wo + bo.
        heads: H, which divides D.
        head: which one to remove, from 0.

    Returns:
        (D, D), a copy, with which y is what it would be if that head had returned zeros.

    Raises:
        ValueError: there is no such head, or H does not divide D.
    """
    raise NotImplementedError("6.2")


def ablate_heads(model: Encoder, data: Examples) -> Array:
    """The accuracy that is left when a head is removed, for each head alone (Michel et al., 2019).

    Args:
        model: an encoder. It is not changed.
        data: the questions that it is asked.

    Returns:
        (layers, H, operations) shares of right answers without that head, NaN for an operation
        that the data lacks.
    """
    raise NotImplementedError("6.2")
