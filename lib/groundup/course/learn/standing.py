"""Where the learner stands in each exercise, what comes next, and where to read about it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from groundup.course import progress
from groundup.course.exercises import Exercise, catalogue, select
from groundup.course.progress import Record
from groundup.lab.errors import UserError


@dataclass(frozen=True)
class Standing:
    """An exercise and how far the learner is with it.

    Attributes:
        exercise: of the catalogue.
        record: what is kept of it; a blank one if nothing is.
        begun: whether the file is something else than the stub.
        changed: whether the file is another version than the one the points are of.
    """

    exercise: Exercise
    record: Record
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


def standings(root: Path) -> list[Standing]:
    """Every exercise of a clone, in the order of the course."""
    records = progress.read(root)
    return [_standing(each, records.get(each.id, Record())) for each in catalogue(root)]


def _standing(exercise: Exercise, record: Record) -> Standing:
    changed = record.points > 0 and progress.file_hash(exercise) != record.best
    return Standing(exercise, record, progress.is_begun(exercise), changed)


def next_up(all_of_them: Sequence[Standing]) -> Standing | None:
    """What to do next: unsolved, what it requires solved, begun ones first. None: all is solved."""
    solved = {each.exercise.id for each in all_of_them if each.solved}
    open_ones = [each for each in all_of_them if not each.solved]
    ready = [each for each in open_ones if solved.issuperset(each.exercise.requires)]
    return min(ready or open_ones, key=lambda each: not each.begun, default=None)


def one(root: Path, selection: str) -> Exercise:
    """The exercise with this id.

    Raises:
        UserError: there is none, or it is a chapter.
    """
    exercises = catalogue(root)
    chosen = select(exercises, selection)
    if chosen[0].id != selection:
        names = ", ".join(f"{each.id} ({each.title})" for each in chosen)
        raise UserError(f"{selection} is a chapter: name one of its exercises: {names}")
    return chosen[0]


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
    """What to read before an exercise, with the line in the chapter's file if it stands there."""
    name, _, heading = exercise.read.partition(": ")
    file = exercise.root / name
    if heading and file.is_file():
        lines = file.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            if re.fullmatch(rf"# #+ {re.escape(heading)}\s*", line):
                return f"{name}, line {number}: {heading}"
    return exercise.read
