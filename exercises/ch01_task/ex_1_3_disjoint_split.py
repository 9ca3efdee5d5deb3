# Stub 22736436e885: yours to edit. It is never written over unasked.
"""Exercise 1.3, A split that shares no input.

Write the body of ``disjoint_split``, then run
``groundup check 1.3``.
"""

import numpy as np

from groundup.scratch.types import IntArray


def disjoint_split(
    inputs: IntArray, order: IntArray, shares: tuple[float, ...] = (0.8, 0.1, 0.1)
) -> list[IntArray]:
    """Cut rows into parts, so that rows with the same input always stay together.

    The first row of each distinct input stands for it. These rows, lined up as ``order`` has them,
    are cut by ``shares``: at the sums of the shares so far, rounded to whole inputs. Every other
    row follows the one that stands for it, so no input is in two parts. (If an input took its place
    where ``order`` first meets any of its rows, frequent inputs would come early, and the first
    part would get nearly all of them.)

    Args:
        inputs: (N, T) token ids. Two rows are the same input if they agree at every position.
        order: (N,) all row numbers, as the caller has shuffled them.
        shares: how much of the distinct inputs each part gets; a share may be 0.

    Returns:
        The row numbers of each part, an array of whole numbers for each, in the order of ``order``.

    Raises:
        ValueError: order does not hold every row once, a share is negative or not a number, or the
            shares do not sum to 1 within rounding (1e-9).
    """
    raise NotImplementedError("1.3")
