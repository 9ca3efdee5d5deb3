"""A short name for content: equal digests mean equal content."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def digest(content: Any) -> str:
    """SHA-256 of nested dictionaries, sequences, tensors, arrays, texts and numbers.

    Args:
        content: of any other object only the name of its class counts.

    Returns:
        The first 16 hexadecimal digits.
    """
    found = hashlib.sha256()
    _update(found, content)
    return found.hexdigest()[:16]


def _update(found: "hashlib._Hash", content: Any) -> None:
    if isinstance(content, Tensor):
        found.update(f"{content.dtype}{tuple(content.shape)}".encode())
        found.update(
            content.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        )
    elif isinstance(content, np.ndarray):
        found.update(f"{content.dtype}{content.shape}".encode())
        found.update(np.ascontiguousarray(content).tobytes())
    elif isinstance(content, str | int | float | bool | bytes | None):
        found.update(repr(content).encode() + b";")
    elif isinstance(content, Mapping):
        found.update(b"{")
        for key in sorted(content, key=repr):
            _update(found, key)
            _update(found, content[key])
        found.update(b"}")
    elif isinstance(content, Sequence):
        found.update(b"[")
        for each in content:
            _update(found, each)
        found.update(b"]")
    else:
        found.update(type(content).__qualname__.encode())
