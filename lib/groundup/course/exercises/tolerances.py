"""Whether two results are equal but for rounding: one rule and one table of tolerances.

Checks compare with it what they expect, the search for known mistakes what two versions did, and
``--mine`` what the learner's function and the library's gave.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundup.course.exercises.formatting import NUMBERS, as_array

# What another order of the same sums may give: relative to the entry, and to the largest entry.
# A few hundred roundings of the type; in float64 a right formula that cancels is allowed too.
ROUNDING = {
    "float64": (1e-9, 1e-12),
    "float32": (1e-4, 2e-6),
    "float16": (1e-2, 2e-3),
    "bfloat16": (5e-2, 1e-2),
}


def precision(value: Any) -> str:
    """The floating-point type of a number, an array or a tensor; empty if it has none."""
    if isinstance(value, float):  # np.float64 is one too
        return "float64"
    name = str(getattr(value, "dtype", "")).removeprefix("torch.")
    return name if name in ROUNDING else ""


def kind(value: Any) -> str:
    """What the entries of a number, an array or a tensor are.

    Whole numbers of every width are of one kind: counts are counts.
    """
    if floating := precision(value):
        return floating
    array = as_array(value)
    if array is None:
        return type(value).__name__
    return {"i": "integer", "u": "integer", "b": "bool"}.get(array.dtype.kind, str(array.dtype))


def is_coarser(one: str, other: str) -> bool:
    """Whether the first of two floating-point types holds fewer digits than the second."""
    return ROUNDING[one] > ROUNDING[other]


def difference(
    received: NDArray[Any], expected: NDArray[Any], rounding: str, floor: float = 1.0
) -> tuple[int, ...] | None:
    """The first index at which two arrays of one shape differ by more than rounding, or None.

    Args:
        received: numbers; NaN equals NaN.
        expected: likewise.
        rounding: the floating-point type they were computed in; empty if they must be equal.
        floor: the size that entries had on the way, if the results are smaller: sums of numbers
            near 1 that cancel to 0 are 0 within the rounding of 1.
    """
    rtol, share = ROUNDING[rounding] if rounding else (0.0, 0.0)
    return first_beyond(received, expected, rtol, share * max(largest(expected), floor))


def first_beyond(
    received: NDArray[Any], expected: NDArray[Any], rtol: float, atol: float
) -> tuple[int, ...] | None:
    """The first index, in reading order, at which two arrays of one shape differ by more than that.

    Args:
        received: numbers; NaN equals NaN.
        expected: likewise.
        rtol: relative to the expected entry.
        atol: the same for all.
    """
    kinds = received.dtype.kind, expected.dtype.kind
    if not all(each in NUMBERS for each in kinds):
        close = np.asarray(received == expected) if kinds[0] == kinds[1] else np.array(False)
        close = np.broadcast_to(close, received.shape)
    elif "c" not in kinds and np.isfinite(received).all() and np.isfinite(expected).all():  # fast
        wide = received.astype(np.float64), expected.astype(np.float64)
        close = np.abs(wide[0] - wide[1]) <= atol + rtol * np.abs(wide[1])
    else:
        close = np.isclose(received, expected, rtol=rtol, atol=atol, equal_nan=True)
    return None if close.all() else tuple(int(i) for i in np.argwhere(~close)[0])


def largest(array: NDArray[Any]) -> float:
    """The largest size of a finite entry; 0 where there is none."""
    sizes = np.abs(array[np.isfinite(array)])
    return float(sizes.max()) if sizes.size else 0.0
