"""The same run on the library's own functions: what the learner's curves are laid over."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import groundup
from groundup.course import clone
from groundup.course.chapters.dependencies import fingerprint, named_files
from groundup.course.mine.gathered import gather
from groundup.course.mine.losses import Training
from groundup.course.mine.names import NONE, REPORT, SELECTION
from groundup.lab.errors import WorkError
from groundup.lab.files import read_json, write_json
from groundup.lab.records import Record, runs_directory

_MARK = "mine.json"


@dataclass(frozen=True)
class Reference:
    """How to run a command on the library's own functions.

    Attributes:
        key: changes with everything that the run depends on.
        command: leaves nothing behind but what it writes below ``GROUNDUP_RUNS``.
    """

    key: str
    command: tuple[str, ...]


@dataclass
class OwnRun:
    """A run of the library's own functions.

    Attributes:
        computing: processor seconds of all its processes; 0 where it isn't known.
        when: it was made, in words.
        trainings: in the order in which they began.
    """

    computing: float
    when: str
    trainings: list[Training] = field(default_factory=list)


@dataclass
class Toured:
    """A tour that a run made.

    Attributes:
        stages: the names of those that trained.
        own: the newest finished tour of the library's own that has the same plan and seed.
    """

    stages: list[str]
    own: OwnRun | None


def of_chapter(path: Path) -> Reference:
    """Of a chapter of the clone."""
    source = path.read_text(encoding="utf-8")
    library = _library()
    key = fingerprint(source, library, named_files(source, library.parent))
    return Reference(f"{path.stem}-{key}", (sys.executable, str(path)))


def of_command(module: str, arguments: list[str]) -> Reference:
    """Of a command of ``groundup``.

    Args:
        module: what does its work, such as ``groundup.apps.digits.one_digit``.
        arguments: all of them.
    """
    key = sha256(f"{arguments} {fingerprint(f'import {module}', _library())}".encode())
    command = (sys.executable, "-m", "groundup", *arguments)
    return Reference(f"{arguments[0]}-{key.hexdigest()[:20]}", command)


def kept(reference: Reference) -> OwnRun | None:
    """The run as it was recorded before, or None."""
    content: dict[str, Any] | None = read_json(_file(reference))
    if content is None:
        return None
    trainings = [Training(**each) for each in content.pop("trainings")]
    return OwnRun(**content, trainings=trainings)


def record(reference: Reference) -> OwnRun:
    """Make the run, and keep its record in the clone's ``.cache``.

    Raises:
        WorkError: it failed. The message holds the last line of what it wrote.
    """
    with tempfile.TemporaryDirectory(prefix="groundup-mine-") as scratch:
        report = Path(scratch, "report")
        report.mkdir()
        environment = os.environ | {
            SELECTION: NONE,
            REPORT: str(report),
            "GROUNDUP_RUNS": str(Path(scratch, "runs")),
        }
        done = subprocess.run(
            reference.command,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise WorkError(f"the library's own run failed: {last}")
        run = gather(report)
    own = OwnRun(run.computing, f"{datetime.now():%Y-%m-%d %H:%M}", run.trainings)
    write_json(_file(reference), {**vars(own), "trainings": [vars(t) for t in own.trainings]})
    return own


def of_tour(began: float) -> Toured | None:
    """The tour that was made or resumed in this run, beside the library's own.

    It is marked, so that no later report takes it for the library's own.

    Args:
        began: when this run began, in seconds since the epoch.
    """
    tours = sorted(runs_directory().glob("tour-*/run.json"), reverse=True)
    now = next((path for path in tours if path.stat().st_mtime >= began), None)
    if now is None:
        return None
    write_json(now.with_name(_MARK), {"functions": "some were the learner's"})
    wanted: dict[str, Any] = read_json(now) or {}
    own = None
    for path in tours:
        state: dict[str, Any] = read_json(path) or {}
        alike = all(state.get(key) == wanted.get(key) for key in ("plan", "seed", "version"))
        finished = state.get("status") == "finished"
        if alike and finished and not path.with_name(_MARK).exists():
            own = OwnRun(0.0, path.parent.name, list(_trainings(path.parent).values()))
            break
    return Toured(list(_trainings(now.parent)), own)


def _trainings(tour: Path) -> dict[str, Training]:
    """The trainings on a tour's record, by stage."""
    trainings: dict[str, Training] = {}
    for row in Record.open(tour).rows:
        if row["metric"] == "loss":
            training = trainings.setdefault(row["stage"], Training(row["time"]))
            training.steps.append(row["step"])
            training.losses.append(row["value"])
    return trainings


def _library() -> Path:
    return Path(groundup.__file__).resolve().parents[1]


def _file(reference: Reference) -> Path:
    return clone.root() / ".cache" / "mine" / f"{reference.key}.json"
