"""Which column of a table is the text, and which two are a pair."""

from pathlib import Path
from typing import Any

from groundup.data.notices import Notices
from groundup.data.tables import file_suffix
from groundup.lab.errors import UserError

PAIR_COLUMNS = (
    ("query", "document"),
    ("query", "positive"),
    ("anchor", "positive"),
    ("question", "answer"),
    ("sentence1", "sentence2"),
    ("sent0", "sent1"),
    ("premise", "hypothesis"),
)
"""Names that tell which two columns are a pair."""


def text_column(name: str, rows: list[dict[str, Any]], given: str | None, notes: Notices) -> str:
    """The column of a table that holds its text.

    Args:
        name: of the table, for errors.
        rows: the first of it.
        given: what the caller names. None: ``text``, or the only one in which there are words.
        notes: counts a column that was chosen for its words.

    Raises:
        UserError: there is no such column, or it can't be told.
    """
    names = list(dict.fromkeys(key for row in rows for key in row))
    if given is not None:
        if given not in names:
            raise UserError(f"{name} has no text in the column {given}: it has {names}")
        return given
    named = [key for key in names if key.lower() == "text"]
    chosen = named or _worded(name, names, rows)
    if len(chosen) != 1:
        raise UserError(f"which column of {name} is the text? --column is one of {names}")
    if not named:
        _refuse_row(name, chosen)
        notes.add(f"tables whose text is taken from the column {chosen[0]!r}", name)
    return chosen[0]


def pair_columns(
    name: str, rows: list[dict[str, Any]], given: tuple[str, str] | None, notes: Notices
) -> tuple[str, str]:
    """The two columns of a table that make a pair; see :func:`text_column`.

    Raises:
        UserError: there are no such columns, or they can't be told.
    """
    names = list(dict.fromkeys(key for row in rows for key in row))
    if given is not None:
        if len(set(given)) != 2 or not set(given) <= set(names):
            raise UserError(f"{name} has no pair in the columns {list(given)}: it has {names}")
        return given
    for pair in PAIR_COLUMNS:
        if set(pair) <= set(names):
            return pair
    chosen = _worded(name, names, rows)
    if len(chosen) != 2:
        raise UserError(f"which columns of {name} are the pair? columns is two of {names}")
    _refuse_row(name, chosen)
    notes.add(f"tables whose pairs are taken from the columns {chosen}", name)
    return chosen[0], chosen[1]


def _refuse_row(name: str, chosen: list[str]) -> None:
    """A header that reads like a row is one: the table has no header, and its first row a text."""
    for column in chosen:
        if len(column.split()) > 4 or column.endswith((".", "?", "!")):
            raise UserError(
                f"{name}, line 1 is a row, it seems, not a header: {column!r:.60}; write names of "
                "columns above it, or name the column if it is called so"
            )


def _worded(name: str, names: list[str], rows: list[dict[str, Any]]) -> list[str]:
    """The columns in which some row has a text; CSV does not tell a number from one."""
    typed = file_suffix(Path(name)) not in (".csv", ".tsv")

    def text(value: object) -> bool:
        return isinstance(value, str) and bool(value.strip()) and (typed or not _number(value))

    return [key for key in names if any(text(row.get(key)) for row in rows)]


def _number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
