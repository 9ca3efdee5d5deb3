"""The time that somebody's code has, all of it together.

An alarm raises :class:`OutOfTime` inside the code, so that the line it had reached is known. Should
the code have switched the alarm off, or be busy in C, a second clock ends the process a little
later.
"""

import faulthandler
import signal
import time
from typing import Any

GRACE = 0.5  # seconds that code which swallows the alarm gets before its process is ended
ASK = "Does every loop in it end?"


class OutOfTime(BaseException):
    """Raised inside code that has run too long. No ``except Exception`` stops it."""


class _Clock:
    """The clock of this process.

    Attributes:
        seconds: all of its time, to be named in messages; 0 in a process without limits.
        ends: when the time is up, by :func:`time.monotonic`.
        crash: a file descriptor for the line at which the process was ended.
    """

    seconds = 0.0
    ends = float("inf")
    crash = -1


def start_clock(seconds: float, crash: int) -> None:
    """Give this process so much time from now on.

    Args:
        seconds: until the alarm.
        crash: a file descriptor to which the second clock writes where the code was.
    """
    _Clock.seconds, _Clock.crash = seconds, crash
    _set(seconds)


def restart() -> None:
    """Give this process its time once more, from now on: it begins another piece of work."""
    if _Clock.seconds:
        _set(_Clock.seconds)


def stop() -> None:
    """Ring no more. For those who have caught :class:`OutOfTime`; the second clock runs on."""
    if _Clock.seconds:
        signal.setitimer(signal.ITIMER_REAL, 0)


def reduce_to(seconds: float) -> None:
    """Leave this process at most so much time from now on. Without a clock it does nothing."""
    if _Clock.seconds:
        _set(min(seconds, max(_Clock.ends - time.monotonic(), 0.001)))


def time_is_up() -> bool:
    """Whether this process has used its time."""
    return time.monotonic() >= _Clock.ends


def raise_if_over() -> None:
    """Raise :class:`OutOfTime` if the time is up: the code may have swallowed the alarm."""
    if time_is_up():
        raise OutOfTime(_name())


def is_running() -> bool:
    """Whether this process has a clock, which is whether it runs somebody's code alone."""
    return _Clock.seconds > 0


def in_words(seconds: float) -> str:
    """A time as messages give it."""
    return "1 second" if seconds == 1 else f"{seconds:g} seconds"


def _set(seconds: float) -> None:
    _Clock.ends = time.monotonic() + seconds
    signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(seconds + GRACE, exit=True, file=_Clock.crash)


def _ring(*_: Any) -> None:
    if not time_is_up():  # the code has set an alarm of its own
        signal.setitimer(signal.ITIMER_REAL, _Clock.ends - time.monotonic())
        return
    # Once more a little later, should a bare except in a loop swallow the first.
    signal.setitimer(signal.ITIMER_REAL, GRACE / 4)
    raise OutOfTime(_name())


def _name() -> str:
    return in_words(_Clock.seconds)
