"""Where the clone of the repository is: what chapters, exercises and the site live in."""

import shlex
from pathlib import Path

import groundup
from groundup.lab.errors import UserError


def of_package() -> Path | None:
    """The clone that this package runs from; None if it was installed without one."""
    root = Path(groundup.__file__).resolve().parents[2]
    return root if _is_clone(root) else None


def around(folder: Path) -> Path | None:
    """The clone that holds a folder, or is it; None outside of any."""
    return next((each for each in (folder, *folder.parents) if _is_clone(each)), None)


def root() -> Path:
    """The root of the clone: the one this package runs from, else the one around the folder here.

    Raises:
        UserError: there is neither, or the two differ: one clone's code does not judge or run
            the files of another.
    """
    package, here = of_package(), around(Path.cwd())
    if package and here and not package.samefile(here):
        own = shlex.quote(str(here / ".venv/bin/groundup"))
        raise UserError(
            f"this groundup runs from the clone {package}, and the folder here belongs to the "
            f"clone {here}: run make setup there once, then {own}"
        )
    found = package or here
    if found is None:
        raise UserError(
            "this needs the repository (its chapters and exercises), and groundup was installed "
            "without it: clone it, run make setup inside, and call .venv/bin/groundup there"
        )
    return found


def _is_clone(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file() and (folder / "chapters").is_dir()
