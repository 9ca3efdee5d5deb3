# Stub 66a77d7fcb01: yours to edit. It is never written over unasked.
"""Exercise 6.1, Entropy of attention.

Write the body of ``attention_entropy`` and ``entropy_share``, then run
``groundup check 6.1``.
"""

import numpy as np

from groundup.scratch.types import Array, BoolArray


def attention_entropy(weights: Array) -> Array:
    r"""How spread out attention is, in bits (Shannon, 1948).

    Zero bits: all weight lies on one token. :math:`\log_2 n` bits: evenly on n tokens. A token
    without weight adds nothing.

    Args:
        weights: (..., T), each row not negative and with the sum 1; or a row of zeros, for a query
            that may look nowhere.

    Returns:
        (...,) the entropy of each row, in the dtype of the weights.
    """
    raise NotImplementedError("6.1")


def entropy_share(weights: Array, mask: BoolArray | None = None) -> Array:
    r"""The entropy of attention as a share of the most that it could be.

    0: all weight on one token; 1: spread evenly over all tokens that may be looked at. The most
    possible is :math:`\log_2` of their number. Where there is at most one, the share is 0.

    Args:
        weights: (..., T), as for :func:`attention_entropy`; zero where the mask is False.
        mask: broadcastable to (..., T), True at tokens that may be looked at. None: all of them.

    Returns:
        (...,) shares, in [0, 1], in the dtype of the weights.
    """
    raise NotImplementedError("6.1")
