# Stub e5864d281970: yours to edit. It is never written over unasked.
"""Exercise 5.4, Warm-up and a cosine.

Write the body of ``warmup_cosine``, then run
``groundup check 5.4``.
"""

import numpy as np


def warmup_cosine(step: int, total: int, warmup: int, peak: float, floor: float = 0.0) -> float:
    """Learning rate at a step: a straight rise, then half a cosine down to the floor.

    Args:
        step: counts from 0; at ``warmup`` the peak is reached, in warmup + 1 equal parts: step 0
            has the first, since a step at rate 0 would be lost.
        total: the number of steps; at ``total`` the floor is reached. A run shorter than its
            warm-up only rises.
        warmup: steps of the rise, a line through zero before step 0, whatever the floor is.
        peak: the highest rate.
        floor: the last rate.

    Raises:
        ValueError: a step is negative, or the rates are not 0 <= floor <= peak < infinity.
    """
    raise NotImplementedError("5.4")
