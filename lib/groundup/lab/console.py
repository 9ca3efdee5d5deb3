"""What the commands print: progress bars, tables, hits. Rich in a terminal, plain in a pipe."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from groundup.lab.errors import UserError
from groundup.lab.records import runs_directory


class Terminal(Console):
    """Rich's console, which leaves it to the command line what to do when the reader is gone."""

    def on_broken_pipe(self) -> NoReturn:
        """Raise the error that was caught; rich would end the process with 1."""
        raise


# In a pipe rich would fold lines at 80 columns; tables and paths are read better whole.
console = Terminal(highlight=False, width=None if sys.stdout.isatty() else 120)


class Bar:
    """A progress bar that is told the share done and what to say beside it."""

    def __init__(self, progress: Progress, label: str) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=1.0, note="")

    def update(self, done: float, note: str = "") -> None:
        """Set the bar to a share in [0, 1] and the text at its right."""
        self._progress.update(self._task, completed=min(done, 1.0), note=note)


@contextmanager
def progress_bar(label: str) -> Iterator[Bar]:
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
        yield Bar(progress, label)


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


def newest_tour(run: str | None = None) -> Path:
    """The directory of a tour that has a search index.

    Raises:
        UserError: there is none, or not under that name.
    """
    runs = runs_directory()
    if run is not None:
        if not (runs / run / "index").is_dir():
            raise UserError(f"{runs / run} is not a finished tour; groundup runs lists them")
        return runs / run
    found = sorted(path.parent for path in runs.glob("tour-*/index"))
    if not found:
        raise UserError(f"no finished tour in {runs}/: run groundup tour first")
    return found[-1]


def search(question: str, top: int, run: str | None) -> None:
    """Answer a question from a tour's model and index."""
    directory = newest_tour(run)
    from groundup.embed.encoder import SentenceEncoder
    from groundup.embed.search import Index

    index = Index.load(directory / "index")
    encoder = SentenceEncoder.load(directory / "strong")
    table = Table(box=None, pad_edge=False)
    table.add_column("cosine", justify="right")
    table.add_column("symbol", overflow="fold")
    table.add_column("summary")
    for hit in index.search(encoder, question, top):
        table.add_row(f"{hit.score:.3f}", Text(hit.name), Text(hit.summary))
    console.print(table)


def runs(sql: str | None) -> None:
    """List the recorded runs, or what SQL finds in them."""
    from groundup.lab import records

    names, rows = records.query(runs_directory(), sql or records.SUMMARY)
    table = Table(*names, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*("" if value is None else Text(str(value)) for value in row))
    console.print(table)


def diagnose(model: Path) -> int:
    """Check a saved model; 1 if a check fails."""
    if not (model / "config.json").exists():
        raise UserError(f"{model} is not a saved model (config.json is missing)")
    from transformers import AutoModel

    from groundup.diagnose.checks import diagnose as run_checks
    from groundup.neobert.auto import register

    register()
    loaded = AutoModel.from_pretrained(model)
    findings = run_checks(loaded, loaded.config.vocab_size, loaded.config.pad_token_id or 0)
    table = Table("check", "verdict", "measured", box=None, pad_edge=False)
    for finding in findings:
        verdict = "[green]pass[/green]" if finding.passed else "[red]fail[/red]"
        table.add_row(finding.check, verdict, Text(finding.detail))
    console.print(table)
    return 0 if all(finding.passed for finding in findings) else 1
