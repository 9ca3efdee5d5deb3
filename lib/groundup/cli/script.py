"""``python -m groundup.cli.script FILE``: a chapter's script, on the streams of the command line.

It runs as ``python FILE`` does, and its own errors have their traceback: they are the script's. A
reader that leaves, a Ctrl-C and a sign that the terminal lacks are none of its errors.
"""

import runpy
import sys
from pathlib import Path

from groundup.lab.streams import discard_output, prepare_streams


def main(file: str) -> int:
    """Run a script.

    Returns:
        0, or 130 if it was interrupted.
    """
    prepare_streams()
    sys.argv = [file]
    sys.path[0] = str(Path(file).parent)
    try:
        runpy.run_path(file, run_name="__main__")
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output(sys.stdout)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
