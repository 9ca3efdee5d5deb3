"""Run a command with the learner's functions and report: what ``--mine`` does."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from groundup.course.mine.environment_variables import REPORT, SELECTION
from groundup.course.mine.reference import ReferenceRun
from groundup.course.mine.report import report
from groundup.course.mine.selection import resolve
from groundup.course.mine.session import Session
from groundup.lab.errors import UserError


def run(command: Sequence[str], selection: str, again: ReferenceRun | None = None) -> int:
    """Run a command in a process of its own, with functions of the learner in it.

    Args:
        command: what to run, in this terminal.
        selection: ids and chapters with commas between, or ``all``.
        again: how to run the same on the library's own functions.

    Returns:
        The command's exit code.

    Raises:
        UserError: the selection is wrong; nothing was run.
        WorkError: the command succeeded, and a function was never called.
        KeyboardInterrupt: as it came, after the report on what had run by then.
    """
    if Session.current is not None:
        Session.current.cancel()
    chosen = resolve(selection)
    folder = Path(tempfile.mkdtemp(prefix="groundup-mine-"))
    environment = os.environ | {SELECTION: selection, REPORT: str(folder)}
    child = subprocess.Popen(command, env=environment)
    try:
        code = _code(child.wait())
    except KeyboardInterrupt:
        _end(child)
        report(folder, chosen, finished=False)
        raise
    if code == UserError.exit_code:
        shutil.rmtree(folder)  # the command has said what was wrong, and did nothing
    else:
        report(folder, chosen, finished=code == 0, again=again)
    return code


def _code(status: int) -> int:
    if status == -signal.SIGINT:
        return 130
    return status if status in (0, UserError.exit_code, 130) else 1


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Wait for a run that a Ctrl-C has reached too; one that it has not reached is interrupted."""
    for patience, number in ((5, signal.SIGINT), (20, signal.SIGKILL)):
        try:
            child.wait(timeout=patience)
            return
        except subprocess.TimeoutExpired:
            child.send_signal(number)
    child.wait()
