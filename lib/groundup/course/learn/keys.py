"""Single keys of a terminal, without Enter."""

import os
import re
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any

try:
    import termios
    import tty
except ImportError:  # Windows: no keys; watching works without them
    termios = None  # type: ignore[assignment]

_SEQUENCE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|O.|.)?")  # an arrow, a function key, Alt
END = "\x04"
"""Ctrl-D, and what a terminal that is closed gives."""


class Keyboard:
    """The keys that are pressed while it is open, if standard input is a terminal.

    In the background of a shell it leaves the terminal alone, and uses it again when it is brought
    back to the foreground.
    """

    def __init__(self) -> None:
        self.is_there = termios is not None and sys.stdin.isatty() and sys.stdout.isatty()
        self._before: list[Any] = []
        self._waiting = ""

    def __enter__(self) -> "Keyboard":
        if self.is_there:
            self._before = termios.tcgetattr(sys.stdin)
            if _in_front():
                self._listen()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._put_back()

    def key(self, seconds: float) -> str:
        """The next key, or an empty text if none is pressed in so many seconds."""
        if not (self.is_there and _in_front()):
            time.sleep(seconds)
            return ""
        if not self._waiting:
            self._listen()
            if select.select([sys.stdin], [], [], seconds)[0]:
                self._waiting = self._read()
        key, self._waiting = self._waiting[:1], self._waiting[1:]
        return key

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let something else use the terminal, such as an editor. Keys left over are dropped."""
        self._put_back()
        self._waiting = ""
        yield
        if self.is_there and _in_front():
            termios.tcflush(sys.stdin, termios.TCIFLUSH)

    def _listen(self) -> None:
        """Have keys come at once. Again each time: a shell sets its own mode when it takes over."""
        if termios.tcgetattr(sys.stdin)[3] & termios.ICANON:
            tty.setcbreak(sys.stdin, termios.TCSADRAIN)  # what was typed meanwhile counts

    def _read(self) -> str:
        try:
            pressed = os.read(sys.stdin.fileno(), 1024)
        except OSError:  # the terminal was closed
            return END
        return _SEQUENCE.sub("", pressed.decode(errors="ignore")) if pressed else END

    def _put_back(self) -> None:
        if self.is_there and self._before and _in_front():
            with suppress(termios.error):
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)


def _in_front() -> bool:
    """Whether this process has the terminal. Its shell would stop it if it read without."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:  # a terminal without a shell
        return True
