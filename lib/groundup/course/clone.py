"""Where the clone of the repository is: what chapters, exercises and the site live in."""

from pathlib import Path

import groundup
from groundup.lab.errors import UserError


def root() -> Path:
    """The root of the clone: the one this package runs from, else the one around the folder here.

    Raises:
        UserError: there is neither.
    """
    here = Path.cwd()
    for folder in (Path(groundup.__file__).resolve().parents[2], here, *here.parents):
        if (folder / "pyproject.toml").is_file() and (folder / "chapters").is_dir():
            return folder
    raise UserError(
        "this needs the repository (its chapters and exercises), and groundup was installed "
        "without it: clone it, run pip install -e . inside, and call again from there"
    )
