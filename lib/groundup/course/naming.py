"""What people call an exercise: its number, its name or the beginning of it, one of its files."""

import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

from groundup.course.catalogue import Exercise
from groundup.lab.errors import UserError

_NUMBER = re.compile(r"0*(\d+)[._]0*(\d+)")
_CHAPTER = re.compile(r"(?:ch(?:apter)?)?[ _]?0*(\d+)", re.IGNORECASE)
_SCRIPT = re.compile(r"0*(\d+)_\w+\.py")
_BEHIND = re.compile(r"(:\d+)+:?$|#L?\d+$|, line \d+.*$")  # a line's number, as it is printed
_BACKUP = re.compile(r"\.bak-[\d-]+$")
_MOST = 6  # exercises that an error names


def find(exercises: Sequence[Exercise], text: str) -> Exercise | None:
    """The one exercise that a text names, or None.

    Args:
        exercises: of the catalogue.
        text: a number (``5.1``), a name (``adam``, ``layer-norm``, a function's name), the only
            beginning of one (``clip``), or the path of the stub, the checks or the solution.

    Raises:
        UserError: it names several, or it is the path of no file of this clone.
    """
    text = text.strip()
    if number := _NUMBER.fullmatch(text):
        wanted = f"{number[1]}.{number[2]}"
        return next((each for each in exercises if each.id == wanted), None)
    if found := _at(exercises, text, _files):
        return found[0]
    return _named(exercises, text)


def find_chapter(exercises: Sequence[Exercise], text: str) -> list[Exercise]:
    """The exercises of the chapter that a text names; empty if it names none.

    Args:
        exercises: of the catalogue.
        text: ``5``, ``ch05``, ``ch05_training``, the path of such a folder or of the chapter.
    """
    text = text.strip()
    if number := chapter_number(text):
        return [each for each in exercises if int(each.id.partition(".")[0]) == number]
    if inside := [each for each in exercises if each.folder == text]:
        return inside
    return _at(exercises, text, lambda each: (each.file.parent, each.solution.parent))


def chapter_number(text: str) -> int | None:
    """The number in ``5``, ``05``, ``ch5``, or the path of a chapter such as ``05_training.py``."""
    found = _CHAPTER.fullmatch(text.strip()) or _SCRIPT.fullmatch(_path(text.strip()).name)
    return int(found[1]) if found else None


def unknown(exercises: Sequence[Exercise], text: str) -> UserError:
    """The error for a text that names nothing: one line, with what comes near."""
    said = f"no exercise or chapter is called {text!r}"
    number = _NUMBER.fullmatch(text.strip())
    if number and (same := find_chapter(exercises, number[1])):
        return UserError(f"{said}. Chapter {number[1]} has {listed(same, len(same))}")
    close = get_close_matches(_plain(text), [each.name for each in exercises], n=3, cutoff=0.6)
    if close:
        near = listed([each for each in exercises if each.name in close])
        return UserError(f"{said}. Did you mean {near}?")
    if not exercises:
        return UserError(f"{said}: this clone has no exercises")
    chapters = _ranges(sorted({int(each.id.partition(".")[0]) for each in exercises}))
    return UserError(
        f"{said}. Give a number, such as {exercises[0].id}, a name, such as {exercises[0].name}, "
        f"or a chapter with exercises: {chapters}"
    )


def select(exercises: Sequence[Exercise], selection: str) -> list[Exercise]:
    """The exercises that a text names: one, or those of a chapter.

    Args:
        exercises: of the catalogue.
        selection: see :func:`find` and :func:`find_chapter`.

    Raises:
        UserError: it names none; the message says what comes near.
    """
    if chosen := find_chapter(exercises, selection):
        return chosen
    exercise = find(exercises, selection)
    if exercise is None:
        raise unknown(exercises, selection)
    return [exercise]


def listed(exercises: Sequence[Exercise], most: int = _MOST) -> str:
    """Exercises in a line: ``5.1 (Adam), 5.2 (Cross-entropy and its gradient)``."""
    names = [f"{each.id} ({each.title})" for each in exercises[:most]]
    more = len(exercises) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def _files(exercise: Exercise) -> tuple[Path, ...]:
    return exercise.file, exercise.checks, exercise.solution, exercise.explanation


def _at(
    exercises: Sequence[Exercise], text: str, places: Callable[[Exercise], Iterable[Path]]
) -> list[Exercise]:
    """The exercises that have one of their places at a path: from here, or from the clone."""
    path = _path(text)
    if not exercises or not (len(path.parts) > 1 or path.suffix in (".py", ".md")):
        return []
    same_name = [(each, p) for each in exercises for p in places(each) if p.name == path.name]
    named = {_real(Path.cwd() / path), _real(exercises[0].root / path)}
    found = [each for each, place in same_name if _real(place) in named]
    if found or not same_name:
        return found
    if len(path.parts) == 1:
        return [same_name[0][0]]
    raise UserError(f"{text} is not of this clone: its file of that name is {same_name[0][1]}")


def _path(text: str) -> Path:
    text = _BACKUP.sub("", _BEHIND.sub("", text))
    return Path(unquote(urlsplit(text).path) if text.startswith("file://") else text)


def _real(path: Path) -> Path:
    # The folder without its links; the file may be a link of the learner's, or be gone.
    return path.parent.resolve() / path.name


def _named(exercises: Sequence[Exercise], text: str) -> Exercise | None:
    word = _plain(text)

    def own(each: Exercise) -> set[str]:
        files = {each.stem, *(file.stem for file in _files(each))}
        return {each.name, _plain(each.title), *files}

    def functions(each: Exercise) -> set[str]:
        return {target.name for target in each.targets}

    def begins(each: Exercise) -> bool:
        return any(name.startswith(word) for name in (each.name, *functions(each)))

    for fits in (lambda each: word in own(each), lambda each: word in functions(each), begins):
        found = [each for each in exercises if word and fits(each)]
        if len(found) > 1:
            raise UserError(f"{text!r} names {len(found)} exercises: {listed(found)}")
        if found:
            return found[0]
    return None


def _plain(text: str) -> str:
    return "_".join(re.findall(r"[a-z0-9]+", text.lower()))


def _ranges(numbers: Sequence[int]) -> str:
    """``1 to 11, 19``."""
    breaks = [i for i, (a, b) in enumerate(pairwise(numbers), 1) if b != a + 1]
    runs = [numbers[a:b] for a, b in pairwise([0, *breaks, len(numbers)])]
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]} to {r[-1]}" for r in runs)
