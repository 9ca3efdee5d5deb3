"""What a check is doing: those who record the functions' calls ask it, and so does ``expect``."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class CheckContext:
    """What a check is doing.

    Attributes:
        ignores_failures: nothing fails, so that a check makes all the calls that it can make.
        differentiates: a function is called for a finite difference, hundreds of times alike.
        expects_error: a function is called with what it must refuse.
    """

    ignores_failures: bool = False
    differentiates: bool = False
    expects_error: bool = False


_PLAIN = CheckContext()
_CURRENT = ContextVar("check_context", default=_PLAIN)


def current() -> CheckContext:
    """What the check that runs is doing now."""
    return _CURRENT.get()


@contextmanager
def during(**changes: bool) -> Iterator[None]:
    """Inside the block, these attributes of the context are as given."""
    token = _CURRENT.set(replace(_CURRENT.get(), **changes))
    try:
        yield
    finally:
        _CURRENT.reset(token)
