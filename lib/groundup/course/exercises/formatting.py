"""Values made readable: arrays small enough for a terminal, received beside expected.

A value that somebody's code returned may be anything: enormous, nested without end, without
numbers, or unwilling to be printed. Whatever it is, what is shown of it is short.
"""

import reprlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WHOLE = 24  # an array with more entries is shown in part
_AROUND = 6  # entries of a row that are shown
WIDTH = 88
NUMBERS = "biufc"  # the kinds of dtypes that hold numbers


@dataclass(frozen=True)
class Excerpt:
    """What is shown of an array that is too large to be kept whole.

    Attributes:
        shape: of the array.
        beginning: the first entries of its first row.
    """

    shape: tuple[int, ...]
    beginning: NDArray[Any]


def as_array(value: Any) -> NDArray[Any] | None:
    """A NumPy array from a number, an array or a torch tensor; None from anything else.

    Objects in an array are taken for the numbers that they are. If they are none, entries are
    masked, or a tensor holds no data, the answer is None.
    """
    if type(value) is np.ndarray and value.dtype.kind in NUMBERS:
        return value  # thousands of times in the search for a known mistake
    torch: Any = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        try:
            value = value.detach().double() if value.is_floating_point() else value
            value = value.numpy(force=True)
        except (RuntimeError, NotImplementedError, TypeError, AttributeError):
            return None  # on the meta device, or of a kind that torch itself can't read out
    if not isinstance(value, np.ndarray | np.generic | int | float):
        return None
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        return None
    array = np.asarray(value)
    if array.dtype.kind != "O":
        return array
    if not all(isinstance(each, int | float | np.number) for each in array.flat):
        return None
    try:
        return array.astype(np.float64)
    except (TypeError, OverflowError):  # a complex number, or one that is too large
        return None


def excerpt(value: Any) -> Any:
    """What has to be kept of a value to show it later, when it may have changed."""
    if not isinstance(value, np.ndarray):
        torch: Any = sys.modules.get("torch")
        if torch is None or not isinstance(value, torch.Tensor) or value.numel() > _WHOLE:
            return value
        array = as_array(value)
        return value if array is None else array.copy()
    if value.dtype.kind == "O":
        return value
    return np.array(value) if value.size <= _WHOLE else _excerpt(value)


def show(value: Any) -> str:
    """A value in a few lines."""
    if isinstance(value, Excerpt):
        return f"shape {value.shape}, beginning {_format(value.beginning)}"
    array = as_array(value)
    if array is None:
        return shorten(legible(_SHORT.repr(value)).replace("\n", " "), WIDTH)
    if not array.shape:
        return _digits(array.item(), 6)
    if not array.size:
        return f"empty, of shape {array.shape}"
    return _format(array) if array.size <= _WHOLE else show(_excerpt(array))


def shorten(text: str, most: int) -> str:
    """A text with at most so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def legible(text: str) -> str:
    """A text without characters that move a terminal's cursor or can't be written out."""
    if text.isascii() and text.isprintable():
        return text
    kept = (c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)
    return "".join(kept)


class _Short(reprlib.Repr):
    """Containers with a few entries of a few levels, and arrays by their shape."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxother = self.maxstring = self.maxlong = WIDTH

    def repr1(self, x: Any, level: int) -> str:
        array = as_array(x) if type(x) not in (int, bool) else None
        if array is not None and array.size > 1:
            return f"<array of shape {array.shape}>"
        try:
            return super().repr1(x, level)
        except Exception as error:  # a class of that name that is something else
            return f"<{type(x).__name__}, which can't be printed: {type(error).__name__}>"

    def repr_instance(self, x: Any, level: int) -> str:
        try:
            return shorten(str(repr(x)), self.maxother)
        except Exception as error:
            return f"<{type(x).__name__}, which can't be printed: {type(error).__name__}>"


_SHORT = _Short()


def _excerpt(array: NDArray[Any]) -> Excerpt:
    row = array[(0,) * (array.ndim - 1)]
    return Excerpt(array.shape, np.array(row[:_AROUND]))


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
    if array.dtype.kind in "fc":
        array = np.where(array == 0, abs(array), array)  # -0 reads like a mistake, and is none
    text = np.array2string(array, precision=4, floatmode="maxprec", max_line_width=WIDTH)
    return "\n".join(shorten(legible(line), WIDTH) for line in text.splitlines() if line.strip())


def _apart(a: Any, b: Any) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to tell them apart."""
    for digits in (6, 9, 12, 17):
        pair = _digits(a, digits), _digits(b, digits)
        if pair[0] != pair[1] or a != a:
            return pair
    return pair


def _digits(value: Any, digits: int) -> str:
    if isinstance(value, int | float | complex):
        return f"{value or 0:.{digits}g}"
    return shorten(legible(repr(value)), WIDTH // 2)


def _hang(head: str, text: str) -> str:
    first, *rest = text.splitlines() or [""]
    return "\n".join([head + first, *(" " * len(head) + line for line in rest)])
