"""Copies of what a function is called with, so that another one can be called with the same."""

import copy
import random
import sys
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

import numpy as np


class NotWide(Exception):
    """There is no float64 copy of a value."""


def duplicate(value: Any, wide: bool = False, known: dict[int, Any] | None = None) -> Any:
    """A copy that shares no memory with the original; what occurs twice is copied once.

    A tensor that takes part in a gradient gives one that does too, cut off from the original's
    graph: the function that gets it does the same work.

    Args:
        value: arrays, tensors, and what holds them.
        wide: floating-point numbers become float64.
        known: copies by the original's id, in a recursion.

    Raises:
        TypeError: a function of the caller's is among the values: it may read the originals.
        NotWide: ``wide``, and the value is an object other than a container.
    """
    known = {} if known is None else known
    if id(value) in known:
        return known[id(value)]
    result = _copy(value, wide, known)
    known[id(value)] = result
    return result


def _copy(value: Any, wide: bool, known: dict[int, Any]) -> Any:
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | type):
        return value
    if isinstance(value, np.ndarray | np.generic):
        if wide and value.dtype.kind == "f":
            return value.astype(np.float64)
        return value.copy("K") if isinstance(value, np.ndarray) else value
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        twin = value.detach()
        if wide and twin.is_floating_point():
            return twin.to(torch.float64, copy=True)
        return twin.requires_grad_(value.requires_grad).clone()
    if isinstance(value, dict):
        return {key: duplicate(item, wide, known) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [duplicate(item, wide, known) for item in value]
        if isinstance(value, list):
            return items
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if torch is not None and isinstance(value, torch.dtype | torch.device):
        return value
    if isinstance(value, FunctionType | MethodType) and not _is_of_the_library(value):
        raise TypeError(f"it is given a function, {value.__name__}")
    if wide:
        raise NotWide(type(value).__name__)
    return copy.deepcopy(value)


def _is_of_the_library(function: FunctionType | MethodType) -> bool:
    """Whether a function reads only its arguments."""
    known = isinstance(function, FunctionType) and function.__closure__ is None
    return known and function.__module__.startswith("groundup.")


def random_state() -> Callable[[], None]:
    """Note the state of the shared random generators; the result restores it."""
    # The legacy generator is what functions that take none draw from.
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    torch = sys.modules.get("torch")
    if torch is None:
        return lambda: _restore(python, numpy)
    cpu = torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []

    def restore() -> None:
        _restore(python, numpy)
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)

    return restore


def _restore(python: Any, numpy: Any) -> None:
    random.setstate(python)
    np.random.set_state(numpy)  # noqa: NPY002
