"""What a model accepts: a shape that can be, and a batch that fits it."""

from dataclasses import fields
from numbers import Integral
from typing import Any

import numpy as np

from groundup.scratch.types import BoolArray, IntArray


def require_whole(least: int = 1, **values: Any) -> None:
    """Each value is a whole number of at least ``least``; True and False do not count as numbers.

    Raises:
        ValueError: with the name and the value of one that is not.
    """
    for name, value in values.items():
        if not isinstance(value, Integral) or isinstance(value, bool):
            raise ValueError(f"{name} must be a whole number: got {value!r}")
        if value < least:
            wanted = f"be at least {least}" if least else "not be negative"
            raise ValueError(f"{name} must {wanted}: got {value}")


def check_shape(config: Any) -> None:
    """Refuse sizes that are not whole or below one, and heads that do not divide the width.

    Args:
        config: a dataclass with ``width`` and ``heads``; each of its fields that is an integer by
            default is a size.

    Raises:
        ValueError: with the name and the value of what is refused.
    """
    sizes = [each.name for each in fields(config) if isinstance(each.default, int)]
    require_whole(**{name: getattr(config, name) for name in sizes})
    if config.width % config.heads:
        raise ValueError(f"heads must divide width: got width={config.width}, heads={config.heads}")


def check_batch(
    ids: IntArray, mask: BoolArray | None, vocabulary: int, max_length: int, before: int = 0
) -> None:
    """Refuse a batch that a model can't read.

    Args:
        ids: (B, T) token ids, each in [0, vocabulary).
        mask: (B, T), True at real tokens. None: no padding.
        vocabulary: V.
        max_length: the most tokens that fit.
        before: how many tokens come before these.

    Raises:
        ValueError: the batch is empty or too long, an id or the mask does not fit.
    """
    if np.ndim(ids) != 2 or not np.size(ids):
        raise ValueError(f"ids must be a non-empty (B, T) array: got shape {np.shape(ids)}")
    if not isinstance(ids, np.ndarray) or not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(
            f"ids must be an array of integers: got {getattr(ids, 'dtype', type(ids))}"
        )
    length = before + ids.shape[1]
    if length > max_length:
        raise ValueError(f"at most {max_length} tokens fit: got {length}")
    low, high = ids.min(), ids.max()
    if low < 0 or high >= vocabulary:
        raise ValueError(f"token ids must lie in [0, {vocabulary}): got {low} to {high}")
    if mask is None:
        return
    if np.shape(mask) != ids.shape:
        raise ValueError(f"mask must be (B, T) = {ids.shape}: got {np.shape(mask)}")
    if not isinstance(mask, np.ndarray) or mask.dtype != bool:
        raise ValueError(
            f"mask must be booleans, True at real tokens: got {np.asarray(mask).dtype}"
        )
