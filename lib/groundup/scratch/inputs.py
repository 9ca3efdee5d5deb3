"""What a model accepts: a shape that can be, and a batch that fits it."""

from typing import Any

import numpy as np

from groundup.scratch.types import BoolArray, IntArray


def check_shape(config: Any) -> None:
    """Refuse sizes below one, and a number of heads that does not divide the width.

    Args:
        config: a dataclass with ``width`` and ``heads``; each of its integers is a size.

    Raises:
        ValueError: with the name and the value of what can't be.
    """
    for name, value in vars(config).items():
        if isinstance(value, int) and value < 1:
            raise ValueError(f"{name} must be at least 1: got {value}")
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
        before: how many tokens stand before these.

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
