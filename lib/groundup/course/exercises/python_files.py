"""Python files of learners and authors, read and run as Python does it.

What keeps a file from being read is named.
"""

import ast
import codecs
import io
import sys
import tokenize
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import CodeType, ModuleType

from groundup.course.exercises.checks import CheckFailure
from groundup.course.exercises.formatting import WIDTH, legible, shorten

_ZERO = b"\0"


@dataclass(frozen=True)
class Parsed:
    """A file that is valid Python.

    Attributes:
        text: what it says.
        tree: the same, parsed.
    """

    text: str
    tree: ast.Module


def parse_file(path: Path, where: str) -> Parsed:
    """Read a file: byte order mark, coding line and line ends as Python takes them.

    Args:
        path: the file.
        where: what messages call it.

    Raises:
        CheckFailure: it can't be read, or is not valid Python. The message names line and remedy.
    """
    text = read_source(path, where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Parsed(text, ast.parse(text))
    except SyntaxError as error:
        raise _syntax(error, where) from None
    except (RecursionError, MemoryError):
        raise CheckFailure(f"{where} is nested too deeply for Python to read it.") from None


def read_source(path: Path, where: str) -> str:
    """The text of a file, which need not be valid Python.

    Raises:
        CheckFailure: it can't be read. The message names line and remedy.
    """
    try:
        return _decoded(path.read_bytes(), where)
    except OSError as error:
        raise CheckFailure(f"{where} can't be read: {error.strerror}.") from None


def execute_file(text: str, path: Path, name: str) -> ModuleType:
    """Run a file as a module. It is read each time: no cache can be older than the file."""
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    exec(compiled(text, path), vars(module))
    return module


@lru_cache(maxsize=64)
def compiled(text: str, path: Path) -> CodeType:
    """The code of a file, compiled once for each text that it has had."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(text, str(path), "exec", dont_inherit=True)


def _decoded(data: bytes, where: str) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or data.count(_ZERO) > len(data) // 4:
        raise CheckFailure(f"{where} is saved as UTF-16. Save it as UTF-8.")
    if _ZERO in data:
        says = f"{where}, line {_line(data, data.index(_ZERO))}: there is a NUL byte (\\0) here."
        raise CheckFailure(f"{says} Delete the line and write it again.")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    except SyntaxError as error:  # without a coding line, undecodable bytes are an error here too
        if "invalid or missing encoding" not in str(error):
            says = f"{where} names an encoding that can't be used: {error.msg}."
            raise CheckFailure(f"{says} Delete that line and save the file as UTF-8.") from None
        encoding = "utf-8"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        place, wrong = f"{where}, line {_line(data, error.start)}", data[error.start]
        says = f"{place}: the byte 0x{wrong:02x} is not {codecs.lookup(encoding).name.upper()}."
        raise CheckFailure(f"{says} Save the file as UTF-8 in your editor.") from None
    except LookupError:  # a codec, but not of text
        says = f"{where} names an encoding that can't be used: {encoding}."
        raise CheckFailure(f"{says} Delete that line and save the file as UTF-8.") from None
    return io.IncrementalNewlineDecoder(None, translate=True).decode(text, final=True)


def _line(data: bytes, offset: int) -> int:
    return len(data[:offset].splitlines() or [b""]) + data[:offset].endswith((b"\n", b"\r"))


def _syntax(error: SyntaxError, where: str) -> CheckFailure:
    place = f"{where}, line {error.lineno}" if error.lineno else where
    says = f"{place}: {legible(error.msg)}."
    if isinstance(error, TabError):
        says += " Indent every line with spaces."
    line = (error.text or "").rstrip()
    if not line:
        return CheckFailure(says)
    mark = "".join("\t" if c == "\t" else " " for c in line[: (error.offset or 1) - 1]) + "^"
    detail = [shorten(each.expandtabs(4), WIDTH) for each in (legible(line), mark)]
    return CheckFailure(says, "\n".join(detail))
