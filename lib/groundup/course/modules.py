"""Modules of the library as files: found by their dotted names, never imported."""

from pathlib import Path


def module_file(module: str, library: Path) -> Path | None:
    """The file of a module such as ``groundup.lab.plot`` under ``library``, or None."""
    base = library.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None
