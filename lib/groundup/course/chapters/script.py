"""``python -m groundup.course.chapters.script FILE``: a chapter's script in a process of its own.

It runs as ``python FILE`` does, on the streams of the command line, and its own errors have their
traceback. A reader that leaves, a Ctrl-C or a sign that the terminal lacks is not an error of it.
"""

import os
import runpy
import subprocess
import sys
from pathlib import Path

from groundup.lab.errors import UserError
from groundup.lab.streams import discard_output, prepare_streams


def find_chapter_script(text: str) -> Path:
    """The script of a chapter that is named by its number or its file.

    Raises:
        UserError: there is no such chapter.
    """
    from groundup.course import clone, naming

    folder = clone.root() / "chapters"
    chapters = {path.name[:2]: path for path in sorted(folder.glob("[0-9][0-9]_*.py"))}
    path = chapters.get(f"{naming.chapter_number(text) or 0:02d}")
    if path is None:
        known = ", ".join(number.lstrip("0") for number in chapters) or "none"
        raise UserError(f"there is no chapter {text} yet; chapters: {known}")
    return path


def command(path: Path) -> list[str]:
    """The call that runs a chapter's script."""
    # As its page is made: on a busy machine a second thread makes minutes of seconds.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return [sys.executable, "-m", "groundup.course.chapters.script", str(path)]


def run_script(path: Path) -> int:
    """Run a chapter's script; 0, 1 if it failed, 130 if it was interrupted."""
    code = subprocess.run(command(path), check=False).returncode
    return code if code in (0, 130) else 1


def main(file: str) -> int:
    """Run a script in this process.

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
