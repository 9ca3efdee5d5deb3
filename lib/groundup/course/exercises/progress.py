"""What a learner has reached: ``exercises/progress.json``, which is never lost.

It is read, changed and written under a lock, so two terminals lose nothing; it is written
atomically; and a damaged one is set aside, not read over.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

from groundup.course.authoring.stubs import is_edited
from groundup.course.catalogue import Exercise
from groundup.course.exercises.results import Result
from groundup.course.exercises.runner import Verdict
from groundup.lab.files import write_json

try:
    import fcntl
except ImportError:  # Windows has no flock: two commands at the same moment could lose a record
    fcntl = None  # type: ignore[assignment]

VERSION = 1


@dataclass
class ExerciseProgress:
    """How far one exercise has come. Points and what belongs to them are of the best version.

    Attributes:
        points: that the best version reached.
        of: how many there were to reach then.
        passed: the names of the checks that it passed.
        best: the hash of that version.
        checked: the hash of the version that was checked last.
        attempts: how many versions were checked.
        solved: when all checks passed for the first time, in ISO format.
        hints: how many were given.
        solution_seen: when the solution was first shown, in ISO format.
    """

    points: int = 0
    of: int = 0
    passed: list[str] = field(default_factory=list)
    best: str = ""
    checked: str = ""
    attempts: int = 0
    solved: str | None = None
    hints: int = 0
    solution_seen: str | None = None

    @property
    def helped(self) -> bool:
        """Whether the solution was shown before the exercise was solved."""
        seen = self.solution_seen
        return seen is not None and (self.solved is None or seen < self.solved)


Say = Callable[[str], None]


def path(root: Path) -> Path:
    """Where the progress of a clone is kept."""
    return root / "exercises" / "progress.json"


def warn(text: str) -> None:
    """Say something beside a command's output."""
    print(text, file=sys.stderr)


def load(root: Path, say: Say = warn) -> dict[str, ExerciseProgress]:
    """The records, by the exercise's id.

    Args:
        root: the clone.
        say: is told, in a line, of a damaged file that was set aside.
    """
    if not path(root).exists():
        return {}
    with _locked(root):
        try:
            return _read_under_lock(root, say)
        except OSError as error:
            say(f"progress can't be read: {path(root)}: {error.strerror}")
            return {}


@contextmanager
def changing(root: Path, say: Say = warn) -> Iterator[dict[str, ExerciseProgress]]:
    """Give the records to change; they are written at the end, unless an error is raised.

    Other commands that change them wait so long. A place that can't be written to is said, and no
    error: what the command is for does not depend on it.

    Args:
        root: the clone.
        say: is told, in a line, what is wrong with the progress file.
    """
    with _locked(root):
        try:
            records = _read_under_lock(root, say)
        except OSError as error:
            say(f"progress is not kept: {path(root)}: {error.strerror}")
            yield {}
            return
        before = _data(records)
        yield records
        if _data(records) != before:
            try:
                write_json(path(root), _data(records))
            except OSError as error:
                say(f"progress is not kept: {path(root)}: {error.strerror}")


def entry(records: dict[str, ExerciseProgress], exercise: Exercise) -> ExerciseProgress:
    """The record of an exercise, made if there is none."""
    return records.setdefault(exercise.id, ExerciseProgress(of=exercise.points))


def record(results: Iterable[Result], say: Say = warn) -> None:
    """Keep what checks have found. The best result of an exercise stays.

    A file that is still the stub is left out: there is nothing to keep of it.

    Args:
        results: of the learner's own files.
        say: is told, in a line, what is wrong with the progress file.
    """
    found = [result for result in results if is_begun(result.exercise)]
    if not found:
        return
    with changing(found[0].exercise.root, say) as records:
        for result in found:
            _update(entry(records, result.exercise), result)


def is_begun(exercise: Exercise) -> bool:
    """Whether the learner's file is there and something else than the stub."""
    try:
        return is_edited(exercise.file)
    except FileNotFoundError:
        return False


def file_hash(exercise: Exercise) -> str:
    """A hash of the learner's file as it is now; empty if there is none."""
    try:
        return hashlib.sha256(exercise.file.read_bytes()).hexdigest()[:16]
    except FileNotFoundError:
        return ""


def now() -> str:
    """The time in UTC, as records keep it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _update(kept: ExerciseProgress, result: Result) -> None:
    version = file_hash(result.exercise)
    kept.attempts += version != kept.checked
    kept.checked = version
    if result.points >= kept.points:
        kept.points, kept.of, kept.best = result.points, result.exercise.points, version
        kept.passed = [o.check.name for o in result.outcomes if o.verdict is Verdict.PASSED]
    if result.solved and kept.solved is None:
        kept.solved = now()


def _data(records: dict[str, ExerciseProgress]) -> dict[str, object]:
    return {"version": VERSION, "exercises": {name: asdict(each) for name, each in records.items()}}


def _read_under_lock(root: Path, say: Say) -> dict[str, ExerciseProgress]:
    """Read the file under the lock."""
    file = path(root)
    try:
        return _parse(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        aside = file.with_name(f"progress.damaged-{datetime.now():%Y%m%d-%H%M%S-%f}.json")
        try:
            os.replace(file, aside)
        except OSError as error:
            say(f"{file} is damaged and can't be moved aside: {error.strerror}")
            return {}
        kept = aside.relative_to(root)
        say(
            f"exercises/progress.json could not be read: kept as {kept}, and begun anew. "
            "groundup check counts your points again"
        )
        return {}


def _parse(content: bytes) -> dict[str, ExerciseProgress]:
    data = json.loads(content)
    if data["version"] != VERSION:
        raise ValueError(f"version {data['version']}")
    records = {str(name): ExerciseProgress(**entry) for name, entry in data["exercises"].items()}
    blank = ExerciseProgress()
    for entry in records.values():
        for each in fields(ExerciseProgress):
            value, default = getattr(entry, each.name), getattr(blank, each.name)
            if not isinstance(value, (str, type(None)) if default is None else type(default)):
                raise TypeError(f"{each.name}: {value!r}")
    return records


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    # The lock is a file of its own: the progress file itself is replaced at each write. Where none
    # can be made, nothing can be written either.
    with ExitStack() as stack:
        with suppress(OSError):
            lock = stack.enter_context(path(root).with_name(".progress.lock").open("a"))
            if fcntl is not None:
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield
