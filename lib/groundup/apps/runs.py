"""The command ``groundup runs``: what was recorded, as a table."""

from rich.table import Table
from rich.text import Text

from groundup.lab import records
from groundup.lab.console import console


def show_runs(sql: str | None) -> None:
    """List the recorded runs, or what SQL finds in them."""
    names, rows = records.query(records.runs_directory(), sql or records.SUMMARY)
    table = Table(*names, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*("" if value is None else Text(str(value)) for value in row))
    console.print(table)
