"""From what a person wrote to files that exist: paths, near misses, folders."""

import difflib
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from groundup.data.notices import Notices
from groundup.lab.errors import UserError


def find_path(source: str | Path) -> Path | None:
    """The path that is written in ``source``, if there is a file or folder.

    Raises:
        UserError: it is empty, no path can be spelled so, or it may not be read.
    """
    text = os.fspath(source)
    if not text.strip():
        raise UserError("the path is empty: name a file or a folder")
    if "\0" in text:
        raise UserError(f"no path holds a NUL byte: got {text!r}")
    try:
        path = Path(text).expanduser()
        if path.exists():
            return path
    except OSError as error:
        raise UserError(f"cannot read {text}: {error.strerror}") from error
    except RuntimeError as error:  # no home folder is known
        raise UserError(f"cannot read {text}: {error}") from error
    if path.is_symlink():
        raise UserError(f"{text} is a link that leads nowhere (to {os.readlink(path)}); mend it")
    return None


def did_you_mean(source: str | Path, also: Collection[str] = ()) -> str:
    """``"; did you mean …?"`` where a path like ``source`` exists, or a word of ``also``; or ""."""
    text = os.fspath(source)
    for spelled in (text.strip().strip("'\""), text.replace("\\", "/")):
        if spelled and spelled != text and Path(spelled).exists():
            return f"; did you mean {spelled}?"
    if words := difflib.get_close_matches(text.lower(), also, 1):
        return f"; did you mean {words[0]}?"
    found = Path()
    for part in Path(text).expanduser().parts:
        if (found / part).exists():
            found /= part
            continue
        if found.is_file():
            return f"; {found} is a file, not a folder"
        try:
            names = {name.casefold(): name for name in sorted(os.listdir(found))}
        except OSError:
            return ""
        close = difflib.get_close_matches(part.casefold(), names, 1)
        if not close:
            return ""
        found /= names[close[0]]
    return f"; did you mean {found}?"


def files_below(folder: Path, notes: Notices) -> Iterator[Path]:
    """Every file in a folder and the folders in it, by name; links are followed, each file once.

    Hidden files and folders, links that lead nowhere or in a circle, and what is not a file (a
    socket, a pipe) are noted.

    Raises:
        UserError: a folder may not be read.
    """
    yield from _below(folder, notes, set())


def _below(folder: Path, notes: Notices, known: set[str]) -> Iterator[Path]:
    known.add(os.path.realpath(folder))
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(
            f"cannot read the folder {folder}: {error.strerror}; allow it, or move it elsewhere"
        ) from error
    for path in paths:
        real = os.path.realpath(path)
        if path.name.startswith("."):
            notes.add("hidden folders" if path.is_dir() else "hidden files", str(path))
        elif path.is_symlink() and not path.exists():
            notes.add("links that lead nowhere", str(path))
        elif real in known:
            notes.add("links to what was read already", str(path))
        elif path.is_dir():
            yield from _below(path, notes, known)
        elif path.is_file():
            known.add(real)
            yield path
        else:
            notes.add("what is neither file nor folder", str(path))
