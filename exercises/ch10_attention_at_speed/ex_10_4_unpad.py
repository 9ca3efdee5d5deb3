# Stub b294e1d4ae55: yours to edit. It is never written over unasked.
"""Exercise 10.4, Leave the padding out.

Write the body of ``unpad``, then run
``groundup check 10.4``.
"""

import torch
from torch import Tensor

from groundup.neobert.batch_layout import Packed


def unpad(mask: Tensor) -> tuple[Tensor, Packed]:
    """Find the real tokens of a padded batch, and pack its rows end to end.

    Args:
        mask: (B, T) bool, True at real tokens, which may be anywhere in a row.

    Returns:
        The indices of the N real tokens in the flattened mask, (N,) int64, in order; and their
        layout without the padding: a row with n real tokens is a sequence of n, positions 0 to
        n − 1. A row without any is an empty sequence. ``max_seqlen`` is the largest n itself.
    """
    raise NotImplementedError("10.4")
