# Stub a65d24417e43: yours to edit. It is never written over unasked.
"""Exercise 7.4, The nucleus.

Write the body of ``top_p``, then run
``groundup check 7.4``.
"""

import numpy as np

from groundup.scratch.activations import softmax
from groundup.scratch.sampling import mask_logits, rank_logits
from groundup.scratch.types import Array


def top_p(logits: Array, p: float) -> Array:
    """Keep the nucleus: the fewest tokens whose probabilities reach p (Holtzman et al., 2020).

    A token is kept if those before it, from the likeliest on, do not yet reach p. So the first is
    always kept, and the one that crosses p is too.

    Args:
        logits: (..., V).
        p: in (0, 1]. 1 keeps all.

    Returns:
        (..., V) logits, minus infinity at the tokens that are out; of equals the lower id stays.

    Raises:
        ValueError: p lies outside (0, 1], or a row is as in :func:`greedy`.
    """
    raise NotImplementedError("7.4")
