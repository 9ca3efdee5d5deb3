"""The learner's functions in place of the library's, in a real run: ``--mine``.

The environment variable ``GROUNDUP_MINE`` names exercises. Every process that has it calls
:func:`install` when ``groundup`` is imported, so it holds for a script, for a command and for each
process of torchrun. Nothing here is imported without it.
"""

import os
import sys

from groundup.course.mine.environment_variables import SELECTION
from groundup.lab.errors import GroundUpError


def install() -> None:
    """Begin to swap functions as their modules are imported; a wrong selection ends the process."""
    from groundup.course.mine.session import Session

    try:
        Session.begin(os.environ[SELECTION])
    except GroundUpError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
