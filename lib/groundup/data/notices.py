"""What a reader left out or read in an unexpected way: counted, then reported in one line."""

import warnings
from collections import Counter
from collections.abc import Callable

Notice = Callable[[str], None]
"""Called once with one line, when something was left out."""


def issue_warning(message: str) -> None:
    """The notice of a library call: a Python warning."""
    warnings.warn(message, stacklevel=4)  # the line that called the reader


class Notices:
    """How often each thing occurred, and where first.

    Args:
        source: what is read, which its own notes need not name again.
    """

    def __init__(self, source: str = "") -> None:
        self._source = source
        self._counts = Counter[str]()
        self._first: dict[str, str] = {}
        self._remarks: list[str] = []

    def add(self, what: str, where: str) -> None:
        """Count one.

        Args:
            what: a plural, such as ``"empty files"``.
            where: a file, and a line if there is one.
        """
        self._counts[what] += 1
        self._first.setdefault(what, where)

    def remark(self, what: str) -> None:
        """Add a sentence that has no count."""
        self._remarks.append(what)

    def __bool__(self) -> bool:
        return bool(self._counts or self._remarks)

    def __str__(self) -> str:
        """One line: ``"empty files: 2 (first: a.txt); hidden files: 1 (.b)"``."""
        counted = [f"{what}: {count:,}{self._where(what)}" for what, count in self._counts.items()]
        return "; ".join(counted + self._remarks)

    def _where(self, what: str) -> str:
        first = self._first[what]
        if first == self._source:
            return ""
        return f" (first: {first})" if self._counts[what] > 1 else f" ({first})"
