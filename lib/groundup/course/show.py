"""Numbers made readable: arrays small enough for a terminal, received beside expected."""

import math
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WHOLE = 24  # an array with more entries is shown in part
_AROUND = 6  # entries of a row that are shown
WIDTH = 88


def as_array(value: Any) -> NDArray[Any] | None:
    """A NumPy array from a number, an array or a torch tensor; None from anything else."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.double() if value.is_floating_point() else value).numpy()
    if not isinstance(value, np.ndarray | np.generic | int | float):
        return None
    return np.asarray(value)


def show(value: Any) -> str:
    """A value in a few lines."""
    array = as_array(value)
    if array is None:
        text = repr(value)
        return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"
    if not array.shape:
        return f"{array.item():.6g}"
    if array.size <= _WHOLE:
        return _format(array)
    row = array.reshape(-1, array.shape[-1])[0]
    return f"shape {array.shape}, beginning {_format(row[:_AROUND])}"


def show_given(given: Mapping[str, Any]) -> str:
    """Inputs by name, one under the other."""
    width = max((len(name) for name in given), default=0)
    return "\n".join(_hang(f"{name:<{width}} = ", show(value)) for name, value in given.items())


def side_by_side(
    received: NDArray[Any],
    expected: NDArray[Any],
    index: tuple[int, ...],
    names: tuple[str, str] = ("received", "expected"),
) -> str:
    """Two arrays beside each other, and the first entry in which they differ.

    Of large arrays only the row that holds that entry is shown.

    Args:
        received: an array or a number.
        expected: the same shape.
        index: the entry.
        names: what the two are called.
    """
    a, b = _apart(received[index].item(), expected[index].item())
    difference = f"{names[0]} {a}, {names[1]} {b}"
    if not index:
        return difference
    where = ""
    if received.size > _WHOLE:
        *row, column = index
        start = max(0, column - _AROUND + 1)
        kept: tuple[Any, ...] = (*row, slice(start, start + _AROUND))
        end = min(start + _AROUND, received.shape[-1]) - 1
        inside = f", row {row}" if row else ""
        where = f"shape {received.shape}{inside}, entries {start} to {end}\n"
        shown = received[kept], expected[kept]
    else:
        shown = received, expected
    left, right = (_format(each).splitlines() for each in shown)
    width = max(len(line) for line in [names[0], *left]) + 4
    if width + max(len(line) for line in right) <= WIDTH:
        rows = zip_longest([names[0], *left], [names[1], *right], fillvalue="")
        text = "\n".join(f"{one:<{width}}{other}".rstrip() for one, other in rows)
    else:
        text = "\n".join([names[0], *left, names[1], *right])
    return f"{where}{text}\nfirst difference at {list(index)}: {difference}"


def indent(text: str, by: int = 4) -> str:
    """Every line of a text moved to the right."""
    return "\n".join(" " * by + line if line else "" for line in text.splitlines())


def _format(array: NDArray[Any]) -> str:
    array = np.where(array == 0, abs(array), array)  # -0 reads like a mistake, and is none
    text = np.array2string(array, precision=4, floatmode="maxprec", max_line_width=WIDTH)
    return "\n".join(line for line in text.splitlines() if line.strip())


def _apart(a: Any, b: Any) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to tell them apart."""
    a, b = (0.0 if each == 0 else each for each in (a, b))
    for digits in (6, 9, 12, 17):
        pair = f"{a:.{digits}g}", f"{b:.{digits}g}"
        if pair[0] != pair[1] or math.isnan(a):
            return pair
    return pair


def _hang(head: str, text: str) -> str:
    first, *rest = text.splitlines() or [""]
    return "\n".join([head + first, *(" " * len(head) + line for line in rest)])
