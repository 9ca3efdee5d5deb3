"""What must be done once in a process before it judges an exercise."""

from collections.abc import Callable

_waiting: list[Callable[[], None]] = []


def add_action(action: Callable[[], None]) -> None:
    """Have something done before the first judgement.

    A run that swaps functions takes its swaps back: a check is of the library as it is.
    """
    _waiting.append(action)


def prepare() -> None:
    """Do what is registered, once."""
    while _waiting:
        _waiting.pop()()
