"""What somebody's code prints, kept in a few lines however much it is."""

import io
from collections import deque
from typing import Any

from groundup.course.exercises.formatting import legible

_FIRST, _LAST = 12, 4  # lines that are kept
_WIDE = 200  # characters of a line that are kept

_Line = tuple[bytes, int]  # its beginning, and how many bytes it has


class CapturedOutput(io.RawIOBase):
    """The end of a stream that keeps the first and the last lines written to it."""

    def __init__(self) -> None:
        self._open()
        self._stream = io.TextIOWrapper(
            io.BufferedWriter(self), encoding="utf-8", errors="backslashreplace"
        )

    def stream(self) -> Any:
        """What can take the place of ``sys.stdout``."""
        return self._stream

    def take(self) -> str:
        """What was printed since the last time: first lines, last lines, how many between."""
        if not self._stream.closed:
            self._stream.flush()
        if self._length:
            self._end([b""])
        between = self._lines - len(self._first) - len(self._last)
        cut = [f"… {between:,} more lines …"] if between else []
        text = "\n".join([*map(_shown, self._first), *cut, *map(_shown, self._last)]).rstrip()
        self._open()
        return text

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Any) -> int:
        """Keep what there is room for."""
        text = bytes(data)
        *ended, rest = text.split(b"\n")
        if ended:
            self._end(ended)
        if len(self._line) < 4 * _WIDE:
            self._line += rest[: 4 * _WIDE]
        self._length += len(rest)
        return len(text)

    def _open(self) -> None:
        self._first: list[_Line] = []
        self._last: deque[_Line] = deque(maxlen=_LAST)
        self._lines = 0
        self._line, self._length = b"", 0

    def _end(self, ended: list[bytes]) -> None:
        """Count lines that have ended, the first of which was begun before."""
        self._lines += len(ended)
        begun = self._line + ended[0][: 4 * _WIDE], self._length + len(ended[0])
        rest = ended[1:] if len(ended) <= _FIRST + _LAST else [*ended[1:_FIRST], *ended[-_LAST:]]
        for line in (begun, *((each[: 4 * _WIDE], len(each)) for each in rest)):
            if len(self._first) < _FIRST:
                self._first.append(line)
            else:
                self._last.append(line)
        self._line, self._length = b"", 0


def _shown(line: _Line) -> str:
    """A line as a terminal would show it in the end, if it is not too long."""
    kept, length = line
    text = kept.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2]
    if len(text) <= _WIDE and length == len(kept):
        return legible(text)
    return f"{legible(text[:_WIDE])}… ({length:,} bytes)"
