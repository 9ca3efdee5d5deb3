"""``groundup watch``: check a file each time it is saved."""

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from groundup.course import clone, progress
from groundup.course.exercises import Exercise, catalogue, select
from groundup.course.judge import warm
from groundup.course.learn.check import verdict, what_next
from groundup.course.learn.page import say
from groundup.course.learn.standing import next_up, standings
from groundup.course.terminal import console

INTERRUPTED = 130
_PAUSE = 0.1  # seconds between two looks at the files

Stamp = tuple[int, int, int]


class Watcher:
    """Tells which exercises' files were saved since the last look.

    A file counts once it looks the same twice: some editors write in two steps. A file that is
    replaced under its name, as others save, has a new inode and counts too.
    """

    def __init__(self, exercises: Sequence[Exercise]) -> None:
        self._exercises = exercises
        self._told = {each.id: _stamp(each.file) for each in exercises}
        self._last = dict(self._told)

    def saved(self) -> list[Exercise]:
        """Look once."""
        found = []
        for exercise in self._exercises:
            stamp, last = _stamp(exercise.file), self._last[exercise.id]
            self._last[exercise.id] = stamp
            if stamp is not None and stamp == last and stamp != self._told[exercise.id]:
                self._told[exercise.id] = stamp
                found.append(exercise)
        return found


def watch(selection: str | None = None) -> int:
    """Check each exercise when its file is saved, until Ctrl-C.

    Args:
        selection: an id, a chapter, or None for every exercise. A single one is checked at once.

    Returns:
        130: it ends only by being interrupted.

    Raises:
        UserError: outside a clone, or an unknown selection.
    """
    root = clone.root()
    exercises = catalogue(root)
    chosen = exercises if selection is None else select(exercises, selection)
    try:
        watcher = Watcher(chosen)
        say(f"Watching {_what(chosen)}. Save, and it is checked. Ctrl-C ends.")
        following = next_up(standings(root))
        likely = [following.exercise] if following else []
        warm(each for each in chosen if each in likely or progress.is_begun(each))
        if len(chosen) == 1:
            _show(chosen[0])
        while True:
            for exercise in watcher.saved():
                _show(exercise)
            time.sleep(_PAUSE)
    except KeyboardInterrupt:
        say("\nNo longer watching.")
        return INTERRUPTED


def _what(chosen: Sequence[Exercise]) -> str:
    if len(chosen) == 1:
        return str(chosen[0].file.relative_to(chosen[0].root))
    folders = {each.folder for each in chosen}
    where = f"exercises/{folders.pop()}" if len(folders) == 1 else "exercises"
    return f"the {len(chosen)} exercises in {where}"


def _show(exercise: Exercise) -> None:
    line = f"{datetime.now():%H:%M:%S} {exercise.id} {exercise.title}"
    if console.is_terminal:
        console.rule(line, align="left")
    else:
        say(line)
    what_next([verdict(exercise)])


def _stamp(file: Path) -> Stamp | None:
    try:
        status = file.stat()
    except OSError:  # an editor may take it away for a moment
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
