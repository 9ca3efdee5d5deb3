"""The state of each exercise, what comes next, and where to read about it."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundup.course import naming
from groundup.course.catalogue import Exercise, catalogue
from groundup.course.exercises import progress
from groundup.course.exercises.progress import ExerciseProgress
from groundup.lab.errors import UserError


@dataclass(frozen=True)
class ExerciseState:
    """An exercise and how far the learner is with it.

    Attributes:
        exercise: of the catalogue.
        record: what is kept of it; a blank one if nothing is.
        begun: whether the file differs from the stub.
        changed: whether the file is another version than the one the points are of.
    """

    exercise: Exercise
    record: ExerciseProgress
    begun: bool
    changed: bool

    @property
    def solved(self) -> bool:
        """Whether all its checks have passed once."""
        return self.record.solved is not None

    @property
    def points(self) -> int:
        """Points reached, at most what there are now."""
        return min(self.record.points, self.exercise.points)


def exercise_states(root: Path) -> list[ExerciseState]:
    """Every exercise of a clone, in the order of the course."""
    records = progress.load(root)
    return [_state(each, records.get(each.id, ExerciseProgress())) for each in catalogue(root)]


def _state(exercise: Exercise, record: ExerciseProgress) -> ExerciseState:
    changed = record.points > 0 and progress.file_hash(exercise) != record.best
    return ExerciseState(exercise, record, progress.is_begun(exercise), changed)


def next_exercise(
    all_of_them: Sequence[ExerciseState], among: Collection[str] | None = None
) -> ExerciseState | None:
    """What to do next: unsolved, what it requires solved, begun ones first. None: all is solved.

    Args:
        all_of_them: of the clone.
        among: the ids that are asked for. None: any.
    """
    solved = {each.exercise.id for each in all_of_them if each.solved}
    asked = [each for each in all_of_them if among is None or each.exercise.id in among]
    open_ones = [each for each in asked if not each.solved]
    ready = [each for each in open_ones if solved.issuperset(each.exercise.requires)]
    return min(ready or open_ones, key=lambda each: not each.begun, default=None)


def one(root: Path, selection: str) -> Exercise:
    """The exercise that a text names; see :func:`groundup.course.naming.find`.

    Raises:
        UserError: it names none, several, or a chapter.
    """
    exercises = catalogue(root)
    if chapter := naming.find_chapter(exercises, selection):
        names = naming.listed(chapter, len(chapter))
        raise UserError(f"{selection} is a chapter: name one of its exercises: {names}")
    exercise = naming.find(exercises, selection)
    if exercise is None:
        raise naming.unknown(exercises, selection)
    return exercise


def missing_file(exercise: Exercise) -> str:
    """What to do about a stub that is gone; empty if it is there."""
    if exercise.file.is_file():
        return ""
    where = exercise.file.relative_to(exercise.root)
    return f"There is no {where}. Run groundup reset {exercise.id} to get it back."


def chapter_of(exercise: Exercise) -> int:
    """The number of its chapter."""
    return int(exercise.id.partition(".")[0])


def chapter_file(root: Path, number: int) -> Path | None:
    """The file of a chapter, or None if it is not there yet."""
    return next(iter(sorted(root.glob(f"chapters/{number:02d}_*.py"))), None)


def chapter_title(root: Path, exercise: Exercise) -> str:
    """The title of an exercise's chapter: its first heading, else the words of the folder."""
    file = chapter_file(root, chapter_of(exercise))
    heading = re.search(r"^# # (.+)$", file.read_text(encoding="utf-8"), re.M) if file else None
    if heading:
        return heading[1].strip()
    return exercise.folder.partition("_")[2].replace("_", " ").capitalize()


def reading(exercise: Exercise) -> str:
    """What to read before an exercise, with the line in the chapter's file if it is there."""
    name, _, heading = exercise.read.partition(": ")
    file = exercise.root / name
    if heading and file.is_file():
        lines = file.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            if re.fullmatch(rf"# #+ {re.escape(heading)}\s*", line):
                return f"{name}, line {number}: {heading}"
    return exercise.read
