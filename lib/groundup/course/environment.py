"""Where an environment was made, so that one which was copied or moved can say so.

The scripts of an environment hold the path of its Python, and an editable installation that of
its clone. After a copy they run the original's code, after a move they find nothing. ``make`` calls
this module when it has installed the packages: the environment then knows its place, finds the
library of the clone around it wherever that is, and its ``groundup`` finds the Python beside it.
"""

import os
import sys
import sysconfig
from pathlib import Path

from groundup.course import clone
from groundup.lab.errors import UserError

_MADE_AT = ".made-at"
# It sorts before the file that pip writes for an editable installation, so its path comes first.
_PATH = "00_groundup.pth"
# Python sees a string; the shell sees a command that starts Python with this same file.
_COMMAND = """#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")/python" "$0" "$@"
' '''
import sys

from groundup.cli import main

sys.exit(main())
"""


def settle(prefix: Path) -> None:
    """Tell the environment at ``prefix``, whose Python runs this, where it is.

    Args:
        prefix: the environment's directory, inside its clone.
    """
    root = clone.of_package()
    packages = Path(sysconfig.get_path("purelib"))
    if root is not None and prefix.resolve().parent == root:
        library = os.path.relpath(root / "lib", packages.resolve())
        (packages / _PATH).write_text(f"{library}\n", encoding="utf-8")
    command = Path(sysconfig.get_path("scripts")) / "groundup"
    command.write_text(_COMMAND, encoding="utf-8")
    command.chmod(0o755)
    (prefix / _MADE_AT).write_text(f"{prefix.absolute()}\n", encoding="utf-8")


def require_home(prefix: Path) -> None:
    """Refuse to go on in an environment that is not where it was made, or runs another clone.

    Code of another clone that comes by ``PYTHONPATH`` was asked for, and passes.

    Args:
        prefix: the environment's directory.

    Raises:
        UserError: it was copied or moved; the message names both places and the mend.
    """
    mend = f"run make setup in {prefix.parent}, which makes it again"
    record = prefix / _MADE_AT
    if record.is_file():
        made = Path(record.read_text(encoding="utf-8").rstrip("\n"))
        if not (made.exists() and made.samefile(prefix)):
            raise UserError(
                f"the environment {prefix} was made as {made}, and was copied or moved: {mend}"
            )
        return
    # Made by hand. What pip wrote for an editable installation names the clone it was made in.
    package, home = clone.of_package(), clone.around(prefix.parent.resolve())
    if package is None or home is None or package == home:
        return
    paths = Path(sysconfig.get_path("purelib")).glob("__editable__.groundup-*.pth")
    if any(Path(path.read_text(encoding="utf-8").strip()) == package / "lib" for path in paths):
        raise UserError(f"the environment {prefix} runs the code of the clone {package}: {mend}")


if __name__ == "__main__":
    settle(Path(sys.prefix))
