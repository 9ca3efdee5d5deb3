"""The terminal that commands print to: progress bars, typed lines. Rich, and plain in a pipe."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn


class Terminal(Console):
    """Rich's console, which leaves it to the command line what to do when the reader is gone."""

    def on_broken_pipe(self) -> NoReturn:
        """Raise the error that was caught; rich would end the process with 1."""
        raise


# In a pipe rich would fold lines at 80 columns; tables and paths are read better whole.
console = Terminal(highlight=False, width=None if sys.stdout.isatty() else 120)


class ProgressBar:
    """A progress bar: a share that is done, and a text at its right."""

    def __init__(self, progress: Progress, label: str) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=1.0, note="")

    def update(self, done: float, note: str = "") -> None:
        """Set the bar to a share in [0, 1] and the text at its right."""
        self._progress.update(self._task, completed=min(done, 1.0), note=note)


@contextmanager
def progress_bar(label: str) -> Iterator[ProgressBar]:
    """A bar for one piece of work; it disappears when the work is done."""
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(bar_width=28),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    disable = not console.is_terminal  # in a pipe it would leave an empty line
    with Progress(*columns, console=console, transient=True, disable=disable) as progress:
        yield ProgressBar(progress, label)


def typed_lines(prompt: str) -> Iterator[str]:
    """What is typed in a terminal, or piped in, line by line, without empty lines.

    ``quit``, ``exit`` and the end of the input (Ctrl-D) end it.

    Args:
        prompt: shown in a terminal.
    """
    if sys.stdin.isatty():
        with suppress(ImportError):  # Windows has no readline
            import readline  # noqa: F401, so that input() edits lines and remembers them

    def read() -> str:
        return input(prompt if sys.stdin.isatty() and sys.stdout.isatty() else "")

    with suppress(EOFError):
        while (line := read().strip()).lower() not in ("quit", "exit"):
            if line:
                yield line
        return
    if sys.stdin.isatty():
        console.print()
