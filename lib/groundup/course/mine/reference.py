"""The same run on the library's own functions, whose losses the learner's are compared with."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import groundup
from groundup.course import clone
from groundup.course.chapters.dependencies import fingerprint, named_files
from groundup.course.mine.environment_variables import NONE, REPORT, SELECTION
from groundup.course.mine.losses import LossCurve
from groundup.course.mine.process_records import read_run
from groundup.lab.errors import WorkError
from groundup.lab.files import read_json, write_json


@dataclass(frozen=True)
class ReferenceRun:
    """How to run a command on the library's own functions.

    Attributes:
        key: changes with everything that the run depends on.
        command: leaves nothing behind but what it writes below ``GROUNDUP_RUNS``.
    """

    key: str
    command: tuple[str, ...]

    @property
    def file(self) -> Path:
        """Where its losses are kept."""
        return clone.root() / ".cache" / "mine" / f"{self.key}.json"


@dataclass(frozen=True)
class ReferenceLosses:
    """The losses of a run on the library's own functions.

    Attributes:
        when: it was made, in words.
        curves: of its trainings, in the order in which they began.
    """

    when: str
    curves: list[LossCurve]


def of_chapter(path: Path) -> ReferenceRun:
    """Of a chapter of the clone."""
    source = path.read_text(encoding="utf-8")
    library = _library()
    key = fingerprint(source, library, named_files(source, library.parent))
    return ReferenceRun(f"{path.stem}-{key}", (sys.executable, str(path)))


def of_command(module: str, arguments: list[str]) -> ReferenceRun:
    """Of a command of ``groundup``.

    Args:
        module: what does its work, such as ``groundup.apps.digits.digit_model``.
        arguments: all of them.
    """
    key = sha256(f"{arguments} {fingerprint(f'import {module}', _library())}".encode())
    command = (sys.executable, "-m", "groundup", *arguments)
    return ReferenceRun(f"{arguments[0]}-{key.hexdigest()[:20]}", command)


def kept(reference: ReferenceRun) -> ReferenceLosses | None:
    """The losses as they were recorded before, or None."""
    content: dict[str, Any] = read_json(reference.file) or {}
    if "curves" not in content:
        return None
    return ReferenceLosses(content["when"], [LossCurve(**each) for each in content["curves"]])


def record_run(reference: ReferenceRun) -> ReferenceLosses:
    """Make the run, and keep its losses in the clone's ``.cache``.

    Raises:
        WorkError: it failed. The message holds the last line of what it wrote.
    """
    with tempfile.TemporaryDirectory(prefix="groundup-mine-") as scratch:
        report = Path(scratch, "report")
        report.mkdir()
        runs = str(Path(scratch, "runs"))
        done = subprocess.run(
            reference.command,
            env=os.environ | {SELECTION: NONE, REPORT: str(report), "GROUNDUP_RUNS": runs},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise WorkError(f"the library's own run failed: {last}")
        curves = read_run(report).curves
    when = f"{datetime.now():%Y-%m-%d %H:%M}"
    write_json(reference.file, {"when": when, "curves": [vars(curve) for curve in curves]})
    return ReferenceLosses(when, curves)


def _library() -> Path:
    return Path(groundup.__file__).resolve().parents[1]
