"""Text to train on: stories from a grammar, a file, or a data set, with a part held out."""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from groundup.lab.errors import UserError, WorkError
from groundup.scratch.stories import END, stories

STORIES = "stories"
COUNT = 10_000  # stories of the default text: 2.8 million characters
HELD_OUT = 0.1
_HUB = re.compile(r"[\w.-]+/[\w.-]+")
_TABLES = {".json": "json", ".jsonl": "json", ".csv": "csv", ".parquet": "parquet"}


@dataclass(frozen=True)
class Text:
    """A text in two parts; documents end in an empty line.

    Attributes:
        train: the beginning.
        held_out: the end, a tenth, cut between documents where there are any.
    """

    train: str
    held_out: str


def read_text(source: str, megabytes: int, column: str | None = None) -> Text:
    """Read a text and hold out its end.

    Args:
        source: :data:`STORIES`, a text file, a table (.jsonl, .csv, .parquet), a folder of such,
            or the id of a data set on the Hub.
        megabytes: read at most so many million characters.
        column: of a table, the one that holds the text. None: "text", or the only one of text.

    Raises:
        UserError: there is no such source, or no text in it.
        WorkError: the Hub can't be reached.
    """
    most = megabytes * 1_000_000
    path = Path(source)
    if source == STORIES:
        return _split(stories(COUNT, seed=0)[:most])
    if path.is_file() and path.suffix not in _TABLES:
        return _split(_file(path, most))
    if path.exists() or _HUB.fullmatch(source):
        return _split(END.join(_documents(_rows(source, path), most, column, source)))
    raise UserError(f"no text {source}: not a file, not a folder, not a Hub id such as owner/name")


def _file(path: Path, most: int) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(most)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text: {error.reason} at byte {error.start}"
        ) from error


def _rows(source: str, path: Path) -> Iterable[dict[str, object]]:
    """The rows of a data set's training split, one after the other, none kept."""
    import datasets

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it repeats itself
    try:
        if path.is_file():
            kind = _TABLES[path.suffix]
            return datasets.load_dataset(kind, data_files=source, split="train", streaming=True)
        return datasets.load_dataset(source, split="train", streaming=True)
    except datasets.exceptions.DatasetNotFoundError as error:
        raise UserError(f"no data set {source} on the Hub, or it is not public") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise WorkError(f"the data set {source} could not be read: {_line(error)}") from error


def _documents(
    rows: Iterable[dict[str, object]], most: int, column: str | None, source: str
) -> list[str]:
    documents: list[str] = []
    size = 0
    try:
        for row in rows:
            column = column or _text_column(row, source)
            if not isinstance(row.get(column), str):
                raise UserError(f"{source} has no text in the column {column}: it has {list(row)}")
            document = str(row[column]).strip()
            if document:
                documents.append(document)
                size += len(document) + len(END)
            if size >= most:
                break
    except (OSError, ValueError, RuntimeError) as error:
        raise WorkError(f"the data set {source} could not be read: {_line(error)}") from error
    return documents


def _text_column(row: dict[str, object], source: str) -> str:
    of_text = [name for name, value in row.items() if isinstance(value, str)]
    if "text" in of_text:
        return "text"
    if len(of_text) != 1:
        raise UserError(f"which column of {source} is the text? --column is one of {list(row)}")
    return of_text[0]


def _split(text: str) -> Text:
    """Cut a tenth off the end, between documents if there is an end of one close by."""
    if not text.strip():
        raise UserError("the text is empty")
    cut = int(len(text) * (1 - HELD_OUT))
    near = text.find(END, cut, cut + int(len(text) * HELD_OUT / 2))
    if near >= 0:
        cut = near + len(END)
    return Text(text[:cut], text[cut:])


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
