"""From the bytes of a file to its characters: compression, encodings, ends of lines.

A byte order mark says how a file is encoded. Without one it is UTF-8, or the encoding that the
caller names; what does not decode is refused with file, byte and line. Nothing is guessed, so no
text turns into wrong characters. Lines end in ``"\\n"`` afterwards, whatever they ended in before.
"""

import bz2
import codecs
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from groundup.data.notices import Notices
from groundup.lab.errors import UserError

COMPRESSED = (".gz", ".bz2", ".xz")
_CHUNK = 1 << 16
_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
_NOT_TEXT = {
    b"%PDF-": "a PDF",
    b"PK\x03\x04": "a zip archive, or a file of Word or Excel",
    b"\xd0\xcf\x11\xe0": "a file of an older Word or Excel",
    b"{\\rtf": "a file in rich text format",
    b"\x28\xb5\x2f\xfd": "a file packed with zstandard",
    b"PAR1": "a Parquet table (name it .parquet)",
}
_UNPACK: tuple[tuple[re.Pattern[bytes], Any], ...] = (
    (re.compile(rb"\x1f\x8b"), gzip.open),
    (re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"), bz2.open),
    (re.compile(rb"\xfd7zXZ\x00"), lzma.open),
)


def read_characters(path: Path, encoding: str | None, notes: Notices) -> Iterator[str]:
    """The text of a file, a piece at a time.

    Args:
        path: a file, packed with gzip, bzip2 or xz, or not packed.
        encoding: of a file that has no byte order mark and is not UTF-8. None: it must be UTF-8.
        notes: counts byte order marks inside the text, which are left out, and of files in UTF-8
            where another encoding was given.

    Raises:
        UserError: it can't be read or unpacked, or is not text in that encoding.
    """
    encoding = known_encoding(encoding)
    with _reading(path):
        if encoding not in (None, "utf-8") and path.is_file() and _is_utf8(path, encoding):
            notes.add(f"files in UTF-8, not in {encoding}", str(path))
            encoding = None
        with _binary(path) as file:
            for text in _decoded(file, path, encoding):
                if "\ufeff" in text:
                    notes.add("byte order marks inside a text, left out", str(path))
                    text = text.replace("\ufeff", "")
                yield text


def read_lines(path: Path, encoding: str | None, notes: Notices) -> Iterator[str]:
    r"""The lines of a file, each with its ``"\n"``; see :func:`read_characters`.

    Only an end of line ends one: U+2028 and the like are characters of the text.
    """
    begun = ""
    for text in read_characters(path, encoding, notes):
        *whole, begun = (begun + text).split("\n")
        for line in whole:
            yield line + "\n"
    if begun:
        yield begun


def known_encoding(name: str | None) -> str | None:
    """Python's name of an encoding.

    Raises:
        UserError: there is none of that name, or not one of text.
    """
    if name is None:
        return None
    try:
        "".encode(name)
        return codecs.lookup(name).name.removesuffix("-sig")
    except (LookupError, UnicodeError, ValueError) as error:
        raise UserError(
            f"no encoding {name!r}; such as utf-8, cp1252 (Windows, Western Europe), latin-1, "
            "utf-16-le, shift_jis"
        ) from error


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn errors of reading a file into one that names it."""
    try:
        yield
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise UserError(
            f"{path} ({path.stat().st_size:,} bytes) can't be unpacked: {error}; it was cut or "
            "damaged, so fetch it again"
        ) from error
    except OSError as error:
        # bz2 raises an OSError of its own, without a strerror.
        remedy = "; allow it, or leave it out" if isinstance(error, PermissionError) else ""
        raise UserError(f"cannot read {path}: {error.strerror or error}{remedy}") from error


@contextmanager
def _binary(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked; what it begins with tells, not its name."""
    with path.open("rb") as packed:
        head = packed.peek(16)
        for magic, what in _NOT_TEXT.items():
            if head.startswith(magic):
                raise UserError(
                    f"{path} is {what}, not text; unpack it or save it as text in UTF-8"
                )
        for beginning, unpack in _UNPACK:
            if beginning.match(head):
                with unpack(packed) as file:
                    yield file
                return
        yield packed


def _decoded(file: IO[bytes], path: Path, encoding: str | None) -> Iterator[str]:
    chunk = file.read(_CHUNK)
    start = 0  # where the chunk begins in the file
    for mark, marked in _MARKS:
        if chunk.startswith(mark):
            chunk, start, encoding = chunk[len(mark) :], len(mark), marked
            break
    else:
        if encoding in ("utf-16", "utf-32"):
            raise UserError(
                f"{path} has no byte order mark: say which {encoding} it is, "
                f"{encoding}-le or {encoding}-be"
            )
    encoding = encoding or "utf-8"
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    ends = io.IncrementalNewlineDecoder(None, translate=True)
    line = 1
    while True:
        waiting = len(decoder.getstate()[0])  # bytes of a character that is not whole yet
        try:
            plain = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            line += ends.decode(
                error.object[: error.start].decode(encoding, "replace"), True
            ).count("\n")
            raise UserError(_not_text(path, encoding, error, start - waiting, line)) from error
        text: str = ends.decode(plain, final=not chunk)
        if "\0" in text:
            line += text[: text.index("\0")].count("\n")
            before = len(plain[: plain.index("\0")].encode(encoding))
            byte = start - waiting + before
            raise UserError(_binary_text(path, encoding, chunk, byte, line))
        line += text.count("\n")
        if text:
            yield text
        if not chunk:
            return
        start += len(chunk)
        chunk = file.read(_CHUNK)


def _not_text(path: Path, encoding: str, error: UnicodeDecodeError, start: int, line: int) -> str:
    """The message about bytes that do not decode."""
    what = f"{path} is not {encoding.upper()} text (byte {start + error.start}) in line {line}: "
    if error.reason in (
        "unexpected end of data",
        "truncated data",
        "incomplete multibyte sequence",
    ):
        what += "it ends inside a character; if it was cut, copy it again, else "
    else:
        what += f"byte 0x{error.object[error.start]:02X} can't be there; "
    if encoding != "utf-8":
        return what + "name its encoding (--encoding) or leave that out if it is UTF-8"
    if wide := _like_wide(error.object):
        return what + f"name its encoding (--encoding {wide}, it seems) or save it in UTF-8"
    if b"\0" in error.object:
        return what + "it is not text, it seems; leave it out or save it as text in UTF-8"
    around = error.object[max(0, error.start - 15) : error.start + 10]
    western = around.decode("cp1252", "replace").split()
    shown = next((word for word in western if not word.isascii()), "")
    return what + (
        f"name its encoding (--encoding cp1252, of Windows, reads {shown!r} there) or save it "
        "in UTF-8"
    )


def _binary_text(path: Path, encoding: str, some: bytes, byte: int, line: int) -> str:
    """The message about a NUL byte."""
    what = f"{path} holds a NUL byte (byte {byte}) in line {line}: "
    if encoding != "utf-8":
        return what + f"its encoding is not {encoding}, or it is not text"
    if wide := _like_wide(some):
        return what + f"name its encoding (--encoding {wide}, it seems) or save it in UTF-8"
    return what + "it is not text, or damaged; leave it out or remove the byte"


def _like_wide(some: bytes) -> str | None:
    """The encoding that the NULs tell: Western text in UTF-16 has one in every other byte."""
    often = tuple(8 * some[p::4].count(0) > len(some) for p in range(4))
    known: dict[tuple[bool, ...], str] = {
        (False, True, False, True): "utf-16-le",
        (True, False, True, False): "utf-16-be",
        (False, True, True, True): "utf-32-le",
        (True, True, True, False): "utf-32-be",
    }
    return known.get(often)


def _is_utf8(path: Path, other: str) -> bool:
    """Whether a file without a byte order mark is UTF-8, and not what ``other`` would read alike.

    Text in another encoding is hardly ever UTF-8 by chance, except where it is ASCII alone.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    ascii_alone = True
    with _binary(path) as file:
        while chunk := file.read(_CHUNK):
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                return False
            if b"\0" in chunk:
                return False
            ascii_alone &= chunk.isascii()
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    wide = other.startswith(("utf-16", "utf-32"))  # ASCII would turn into other characters
    return wide if ascii_alone else True
