"""Documents and pairs from what a person has: files, tables, folders, data sets of the Hub.

All texts are read here. Each is read unchanged, or refused in one line with file, place and remedy.
What holds no text is left out, counted, and reported once through ``notice``.

    read_documents("notes/")                     # a text file is one document, a row is one
    read_pairs("faq.csv", ("question", "answer"))
"""

import itertools
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from groundup.data.columns import pair_columns, text_column
from groundup.data.decoding import known_encoding, read_characters
from groundup.data.hub import PREFIX, hub_name, hub_rows
from groundup.data.notices import Notice, Notices, issue_warning
from groundup.data.paths import did_you_mean, files_below, find_path
from groundup.data.strings import lone_surrogate
from groundup.data.tables import (
    TABLES,
    TEXTS,
    Row,
    file_suffix,
    is_missing,
    json_name,
    parse_json,
    read_rows,
)
from groundup.lab.errors import UserError

_SAMPLED = 100  # rows that decide which column is the text


def read_documents(
    source: str | Path,
    *,
    column: str | None = None,
    encoding: str | None = None,
    limit: int | None = None,
    also: Collection[str] = (),
    notice: Notice = issue_warning,
) -> list[str]:
    """Read documents.

    Args:
        source: a text file, which is one document; a table (:data:`~groundup.data.tables.TABLES`),
            of which each row is one; a folder of such, where each is read as it is alone; or a
            data set of the Hub, ``owner/name``, where no path has that name.
        column: of a table, the one that holds the text. None: ``text``, or the only one of text.
        encoding: of files that have no byte order mark and are not UTF-8, such as ``cp1252``.
        limit: read so many characters at most.
        also: words that the caller takes as well, for "did you mean".
        notice: called with one line about what was left out.

    Returns:
        Text files as they are, and cells of tables without the space around them. Lines end in
        ``"\\n"``, and each document holds more than space.

    Raises:
        UserError: there is no such source, no text in it, or something in it can't be read.
        WorkError: the Hub can't be reached.
    """
    known_encoding(encoding)
    notes = Notices(str(source))
    documents: list[str] = []
    left = limit
    for document in _documents(source, column, encoding, limit, also, notes):
        if left is not None and left < len(document):
            notes.remark(f"only the first {limit:,} characters are read")
            documents += [document[:left]] if left else []
            break
        documents.append(document)
        left = None if left is None else left - len(document)
    _close(source, documents, "text", TEXTS + TABLES, notes, notice)
    return documents


def read_pairs(
    source: str | Path,
    columns: tuple[str, str] | None = None,
    *,
    encoding: str | None = None,
    notice: Notice = issue_warning,
) -> list[tuple[str, str]]:
    """Read pairs of texts.

    Args:
        source: a table, a folder of tables, or a data set of the Hub, as in
            :func:`read_documents`. A row is an object, or a list of two texts (in JSON).
        columns: the two that make a pair. None: the first of
            :data:`~groundup.data.columns.PAIR_COLUMNS` that is there, or the only two of text.
        encoding: see :func:`read_documents`.
        notice: called with one line about pairs that lack a text.

    Returns:
        The texts as they are, but for the ends of their lines, which are ``"\\n"``.

    Raises:
        UserError: there is no such source, no pair in it, or something in it can't be read.
        WorkError: the Hub can't be reached.
    """
    known_encoding(encoding)
    notes = Notices(str(source))
    pairs: list[tuple[str, str]] = []
    for name, rows in _tables(source, encoding, (), notes):
        pairs += _pairs(name, rows, columns, notes)
    _close(source, pairs, "pair", TABLES, notes, notice)
    return pairs


def read_json_file(path: Path) -> Any:
    """The value of a JSON file that a person wrote.

    Raises:
        UserError: there is no such file, or it is not JSON.
    """
    found = find_path(path)
    if found is None:
        raise UserError(f"no such file: {path}{did_you_mean(path)}")
    text = "".join(read_characters(found, None, Notices()))
    return parse_json(text, lambda line: f"{path}, line {line}")


def _close(
    source: str | Path,
    read: list[Any],
    what: str,
    kinds: Collection[str],
    notes: Notices,
    notice: Notice,
) -> None:
    """Refuse an empty source; report what was left out of any other."""
    if not read:
        folder = f"; of a folder, {', '.join(kinds)} are read" if Path(source).is_dir() else ""
        raise UserError(f"{source} holds no {what}: {notes or 'it is empty'}{folder}")
    if notes:
        notice(f"{source}: {notes}")


def _locate(source: str | Path, also: Collection[str]) -> Path | str:
    """A path that exists, or the name of a data set of the Hub."""
    text = str(source)
    name = hub_name(text)
    if name and text.startswith(PREFIX):
        return name
    path = find_path(source)
    if path is not None:
        return path
    if name and not _like_a_path(text):
        return name
    fetch = "; fetch it first" if "://" in text else ""
    hub = f"; a data set of the Hub by that name is {PREFIX}{name}" if name else ""
    raise UserError(
        f"no text {text}: no such file or folder, and not the name of a Hub data set "
        f"(owner/name){fetch}{did_you_mean(text, also)}{hub}"
    )


def _like_a_path(text: str) -> bool:
    """Whether a name was meant as a path though none is there: the Hub is not asked for it."""
    path = Path(text)
    return (
        text.startswith((".", "~"))
        or file_suffix(path) in TEXTS + TABLES
        or (Path(path.parts[0]).exists())
    )


def _files(path: Path, kinds: Collection[str], notes: Notices) -> Iterator[Path]:
    """The files to read: the path itself, or those of the known kinds below a folder."""
    if not path.is_dir():
        yield path
        return
    for file in files_below(path, notes):
        if file_suffix(file) in kinds:
            yield file
        else:
            notes.add(f"files of another kind ({file_suffix(file) or 'no suffix'})", str(file))


def _tables(
    source: str | Path, encoding: str | None, also: Collection[str], notes: Notices
) -> Iterator[tuple[str, Iterator[Row]]]:
    """The name and the rows of each table of a source."""
    place = _locate(source, also)
    if isinstance(place, str):
        yield place, hub_rows(place, did_you_mean(place))
        return
    for file in _files(place, TABLES, notes):
        if file_suffix(file) not in TABLES:
            raise UserError(f"{file} is not a table; its suffix is one of {', '.join(TABLES)}")
        yield str(file), read_rows(file, encoding, notes)


def _documents(
    source: str | Path,
    column: str | None,
    encoding: str | None,
    limit: int | None,
    also: Collection[str],
    notes: Notices,
) -> Iterator[str]:
    place = _locate(source, also)
    if isinstance(place, str):
        yield from _column(place, hub_rows(place, did_you_mean(place)), column, notes)
        return
    for file in _files(place, TEXTS + TABLES, notes):
        if column is not None and file == place and file_suffix(file) not in TABLES:
            raise UserError(f"{file} is one text and has no columns: leave out --column {column}")
        if file_suffix(file) in TABLES:
            documents = _column(str(file), read_rows(file, encoding, notes), column, notes)
        else:
            documents = _text_file(file, encoding, limit, notes)
        empty = True
        for document in documents:
            empty = False
            yield document
        if empty and file != place:
            notes.add("files without text", str(file))


def _text_file(
    file: Path, encoding: str | None, limit: int | None, notes: Notices
) -> Iterator[str]:
    """One document, or none; of a long one a little more than the limit."""
    parts: list[str] = []
    size = 0
    for part in read_characters(file, encoding, notes):
        parts.append(part)
        size += len(part)
        if limit is not None and size > limit:
            break
    document = "".join(parts)
    if document.strip():
        yield document


def _column(name: str, rows: Iterator[Row], column: str | None, notes: Notices) -> Iterator[str]:
    """The texts of one column; a row that is a string is one itself."""
    head = list(itertools.islice(rows, _SAMPLED))
    if objects := [row.value for row in head if isinstance(row.value, dict)]:
        column = text_column(name, objects, column, notes)
    for row in itertools.chain(head, rows):
        if isinstance(row.value, dict) != (column is not None):
            raise UserError(
                f"{row.place} is a {json_name(row.value)}: a text is a string, or a column of an "
                "object, in all rows alike"
            )
        where = row.place if column is None else f"{row.place}, column {column!r}"
        text = _text(row.value if column is None else row.value.get(column), where)
        if text is None:
            notes.add("rows without text", row.place)
        else:
            yield text.strip()


def _pairs(
    name: str, rows: Iterator[Row], columns: tuple[str, str] | None, notes: Notices
) -> Iterator[tuple[str, str]]:
    head = list(itertools.islice(rows, _SAMPLED))
    if objects := [row.value for row in head if isinstance(row.value, dict)]:
        columns = pair_columns(name, objects, columns, notes)
    for row in itertools.chain(head, rows):
        if columns is None and isinstance(row.value, list) and len(row.value) == 2:
            sides = [_text(value, row.place) for value in row.value]
        elif columns is not None and isinstance(row.value, dict):
            sides = [_text(row.value.get(c), f"{row.place}, column {c!r}") for c in columns]
        else:
            size = f" of {len(row.value)}" if isinstance(row.value, list) else ""
            raise UserError(
                f"{row.place} is a {json_name(row.value)}{size}: a pair is a list of two texts, "
                "or two columns of an object, in all rows alike"
            )
        if sides[0] is None or sides[1] is None:
            notes.add("pairs that lack a text", row.place)
        else:
            yield sides[0], sides[1]


def _text(value: object, place: str) -> str | None:
    """A text with something in it, and lines that end as a file's do; None for a missing value.

    Raises:
        UserError: it is something else.
    """
    if is_missing(value):
        return None
    if not isinstance(value, str):
        raise UserError(
            f"{place}: {json_name(value)} {str(value)[:40]} is not text; write it as a string, or "
            "name another column"
        )
    if half := lone_surrogate(value):
        raise UserError(f"{place}: the text holds {half}: it was cut there; mend or remove it")
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    return value if value.strip() else None
