"""Cutting data into parts that share no input."""

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
    if sorted(order.tolist()) != list(range(len(inputs))):
        raise ValueError(f"order must hold each of the {len(inputs)} rows once: got {order}")
    if not min(shares) >= 0 or not abs(sum(shares) - 1) <= 1e-9:
        raise ValueError(f"shares must not be negative and must sum to 1: got {shares}")
    first: dict[bytes, int] = {}
    stands_for = [first.setdefault(row.tobytes(), number) for number, row in enumerate(inputs)]
    line = [row for row in order.tolist() if stands_for[row] == row]
    place = {row: number for number, row in enumerate(line)}
    places = [place[stands_for[row]] for row in order]
    cuts = np.round(np.cumsum(shares)[:-1] * len(line))
    part = np.searchsorted(cuts, places, side="right")  # how many cuts lie at or before the place
    return [order[part == i] for i in range(len(shares))]
