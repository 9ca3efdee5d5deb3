"""Ranges of numbers in a configuration: a value outside is refused where it is set."""

import math
from collections.abc import Collection
from numbers import Integral, Real
from typing import Any


def require_whole(least: int = 1, **values: Any) -> None:
    """Each value is a whole number of at least ``least``; True and False are refused.

    Raises:
        ValueError: with the name and the value of one that is not.
    """
    for name, value in values.items():
        if not isinstance(value, Integral) or isinstance(value, bool):
            raise ValueError(f"{name} must be a whole number: got {value!r}")
        if value < least:
            wanted = f"be at least {least}" if least else "not be negative"
            raise ValueError(f"{name} must {wanted}: got {value}")


def require_number(
    name: str, value: Any, low: float, high: float = math.inf, *, open_low: bool = False
) -> None:
    """A value is a finite number in a range.

    Args:
        name: of the value.
        value: to be checked.
        low: the lower end.
        high: the upper end, included.
        open_low: whether the lower end itself is refused.

    Raises:
        ValueError: with the name, the value and the range.
    """
    number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if number and low <= value <= high and not (open_low and value == low):
        return
    bounds = f"above {low:g}" if open_low else f"at least {low:g}"
    bounds += f" and at most {high:g}" if math.isfinite(high) else ""
    raise ValueError(f"{name} must be a finite number {bounds}: got {value!r}")


def require_positive(**values: Any) -> None:
    """Each value is a finite number above 0; see :func:`require_number`."""
    for name, value in values.items():
        require_number(name, value, 0, open_low=True)


def require_share(**values: Any) -> None:
    """Each value is a number from 0 to 1; see :func:`require_number`."""
    for name, value in values.items():
        require_number(name, value, 0, 1)


def require_choice(allowed: Collection[Any], **values: Any) -> None:
    """Each value is one of those allowed.

    Raises:
        ValueError: with the name, the value and what is allowed.
    """
    for name, value in values.items():
        if value not in allowed:
            choices = ", ".join(repr(each) for each in allowed)
            raise ValueError(f"{name} must be one of {choices}: got {value!r}")
