"""Processes that somebody's code forks: they end where its function ends, and are not too many."""

import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class _Count:
    """How many processes the code has running, shared by all of them; None without a limit."""

    running: mmap.mmap | None = None

    @classmethod
    def add(cls, number: int) -> int:
        """Count more, or fewer; two at the same moment may count as one."""
        assert cls.running is not None
        total = int.from_bytes(cls.running[:4], "little") + number
        cls.running[:4] = max(total, 0).to_bytes(4, "little")
        return total


def limit(most: int, excess: Callable[[], None]) -> None:
    """Bound the processes that are forked from this one. (RLIMIT_NPROC counts the user's others.)

    Args:
        most: how many may run at once, besides this one.
        excess: is called in the first process that is too many.
    """
    _Count.running = mmap.mmap(-1, 4)

    def forked() -> None:
        if _Count.add(1) > most:
            excess()

    os.register_at_fork(after_in_child=forked)


@contextmanager
def ended_here() -> Iterator[None]:
    """End, at the end of the block, the processes that were forked in it.

    Otherwise the rest would run in each of them: the check, its report, the command itself.
    """
    process, getpid, leave = os.getpid(), os.getpid, os._exit
    try:
        yield
    finally:
        if getpid() != process:
            if _Count.running is not None:
                _Count.add(-1)
            leave(0)
