# Stub b2640ac37684: yours to edit. It is never written over unasked.
"""Exercise 19.2, The last real token.

Write the body of ``last_token_pool``, then run
``groundup check 19.2``.
"""

import torch
from torch import Tensor


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
    raise NotImplementedError("19.2")
