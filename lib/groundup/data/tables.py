"""Rows of tables as people have them: CSV, TSV, JSON, JSON Lines, Parquet.

Every row comes with its place, so that an error can name it. A missing value is None: an empty
cell, JSON's null, Parquet's null, and NaN, however CSV spells it. Nothing else becomes None, and a
broken row is refused, not left out.
"""

import csv
import io
import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundup.data.decoding import COMPRESSED, read_characters, read_lines
from groundup.data.notices import Notices
from groundup.lab.errors import UserError

TEXTS = (".txt", ".text", ".md", ".markdown", ".rst")
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
_MISSING = ("", "nan", "null", "none", "<na>")  # as pandas, SQL, JSON and Python spell it in CSV
_DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        place: the file and the line, for an error.
        value: an object with its fields by name; or what a line of JSON holds instead.
    """

    place: str
    value: Any


def file_suffix(path: Path) -> str:
    """The suffix that names a file's format, in lower case, without one of compression."""
    name = path.name.lower()
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    return Path(name).suffix


def read_rows(path: Path, encoding: str | None, notes: Notices) -> Iterator[Row]:
    """The rows of a table, one after the other.

    Args:
        path: its suffix is one of :data:`TABLES`.
        encoding: see :func:`groundup.data.decoding.read_characters`.
        notes: see there.

    Raises:
        UserError: it can't be read, or a row is broken.
    """
    suffix = file_suffix(path)
    if suffix == ".parquet":
        return _parquet(path)
    if suffix == ".json":
        return _json(path, encoding, notes)
    read = {".csv": _csv, ".tsv": _tsv}.get(suffix, _json_lines)
    return read(path, read_lines(path, encoding, notes))


def is_missing(value: object) -> bool:
    """Whether a value is None or NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def parse_json(text: str, place: Callable[[int], str]) -> Any:
    """The value of a JSON text.

    Args:
        text: the JSON.
        place: names the line of the file, given the line of ``text`` from 1.

    Raises:
        UserError: it is not JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        ended = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
        cut = "; it was cut, it seems" if ended else ""
        raise UserError(
            f"{place(error.lineno)} is not JSON: {error.msg} at column {error.colno}{cut}; "
            "mend or remove it"
        ) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, deep nesting
        raise UserError(f"{place(1)} can't be read as JSON: {error}") from error


def _json_lines(path: Path, given: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(given, 1):
        if line.strip():
            place = f"{path}, line {number}"
            yield Row(place, parse_json(line, lambda _, place=place: place))  # type: ignore[misc]


def _json(path: Path, encoding: str | None, notes: Notices) -> Iterator[Row]:
    """A list of rows; or JSON Lines, which also go by this suffix."""
    text = "".join(read_characters(path, encoding, notes))
    first, _, rest = text.strip().partition("\n")
    if not first:
        return
    if rest and _is_json(first):
        yield from _json_lines(path, io.StringIO(text))
        return
    content = parse_json(text, lambda line: f"{path}, line {line}")
    if not isinstance(content, list):
        raise UserError(
            f"{path} holds a JSON {_JSON_NAMES[type(content)]}, not a list of rows; write a list, "
            "or a row a line (.jsonl)"
        )
    for number, value in enumerate(content, 1):
        yield Row(f"{path}, row {number}", value)


_JSON_NAMES = {
    dict: "object",
    list: "list",
    str: "string",
    int: "number",
    float: "number",
    bool: "truth value",
    type(None): "null",
}


def json_name(value: object) -> str:
    """What JSON calls a value of this type; Python's name where it has none."""
    return _JSON_NAMES.get(type(value), type(value).__name__)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _csv(path: Path, given: Iterator[str]) -> Iterator[Row]:
    first = next(given, "")
    before = 0
    if first.lower().startswith("sep=") and len(first.strip()) == 5:  # as Excel writes it
        delimiter, before = first.strip()[4], 1
    else:
        delimiter = max(_DELIMITERS, key=re.sub(r'"[^"]*"', "", first).count)
        given = itertools.chain([first], given)
    return _cells(path, given, delimiter, before)


def _tsv(path: Path, given: Iterator[str]) -> Iterator[Row]:
    """Cells between tabs. Quotes count as CSV's do if all of the file can be read so."""
    whole = list(given)
    try:
        return iter(list(_cells(path, iter(whole), "\t", 0)))
    except UserError:
        return _cells(path, iter(whole), "\t", 0, csv.QUOTE_NONE)


def _cells(
    path: Path, given: Iterator[str], delimiter: str, before: int, quoting: int = csv.QUOTE_MINIMAL
) -> Iterator[Row]:
    reader = csv.reader(given, delimiter=delimiter, strict=True, quoting=quoting)  # type: ignore[arg-type]
    header: list[str] = []
    line = before + 1
    try:
        with _long_cells():
            for cells in reader:
                place, line = f"{path}, line {line}", before + reader.line_num + 1
                if not cells or (len(cells) == 1 and len(header) > 1 and not cells[0].strip()):
                    continue  # an empty line
                if not header:
                    header = [cell.strip() for cell in cells]
                    names = [name for name in header if name]
                    if len(set(names)) < len(names):
                        raise UserError(f"{place}: two columns have one name: {header}")
                    continue
                if len(cells) != len(header):
                    raise UserError(
                        f"{place} has {len(cells)} cells and the header {len(header)}; a cell that "
                        f"holds {delimiter!r} or a line end goes in double quotes"
                    )
                named = zip(header, cells, strict=True)
                yield Row(place, {name: _cell(cell) for name, cell in named})
    except csv.Error as error:
        raise UserError(
            f"{path}, line {line} can't be read: {error}; a double quote that opens a cell closes "
            'it, and one inside is written twice ("")'
        ) from error


def _cell(cell: str) -> str | None:
    return None if cell.strip().lower() in _MISSING else cell


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let a cell be as long as a document: Python's limit is 131,072 characters."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow
    from pyarrow import parquet

    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for value in batch.to_pylist():
                    number += 1
                    yield Row(f"{path}, row {number}", value)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}, near row {number + 1}: a text is not UTF-8: {error}") from error
    except (pyarrow.ArrowException, OSError) as error:
        why = str(error).strip().splitlines()[0]
        raise UserError(
            f"{path} can't be read as Parquet: {why}; it was cut or damaged, so fetch it again"
        ) from error
