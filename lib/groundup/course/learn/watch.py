"""``groundup watch``: check a file each time it is saved, and go on to the next exercise.

Each file's time, size and inode are read ten times a second. watchfiles was measured beside this.
It tells of a save 0.05 s earlier (0.06 s, not 0.11 s), but it told of a burst of saves four times
and of a half-written file at once, and it brings three packages. On a network mount, where the
system sends no events, it has to poll too, and took 0.30 s.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from groundup.course import clone
from groundup.course.catalogue import Exercise, catalogue
from groundup.course.exercises import progress
from groundup.course.exercises.judge import preload
from groundup.course.learn import hints
from groundup.course.learn.check import verdict, what_next
from groundup.course.learn.editor import Editor
from groundup.course.learn.guide import introduce
from groundup.course.learn.keys import END, Keyboard
from groundup.course.learn.output import print_line
from groundup.course.learn.state import ExerciseState, exercise_states, missing_file, next_exercise
from groundup.course.naming import select
from groundup.lab.console import console
from groundup.lab.errors import GroundUpError

INTERRUPTED = 130
_KEYS = "h hint   s solution   n next exercise   e editor   q quit   ? help"
_HELP = """  h  a hint, one more each time
  s  the worked solution; asks first unless it is solved
  n  go to the next exercise that is not solved
  e  open the file in your editor ($VISUAL or $EDITOR)
  c  check the file as it is
  q  quit, as Ctrl-C and Ctrl-D do"""
_PAUSE = 0.1  # seconds between two readings of the files

Stamp = tuple[int, int, int]


class Watcher:
    """Tells which exercises' files were saved since it was last asked.

    A file counts once it is the same twice: some editors write in two steps. A file that is
    replaced under its name, as others save, has a new inode and counts too.
    """

    def __init__(self, exercises: Sequence[Exercise]) -> None:
        self._exercises = list(exercises)
        self._told = {each.id: _stamp(each.file) for each in exercises}
        self._last = dict(self._told)

    def add(self, exercise: Exercise) -> None:
        """Watch one more."""
        if exercise.id not in self._told:
            self._exercises.append(exercise)
            self._told[exercise.id] = self._last[exercise.id] = _stamp(exercise.file)

    def saved(self) -> list[Exercise]:
        """Read every file's time, size and inode once."""
        found = []
        for exercise in self._exercises:
            stamp, last = _stamp(exercise.file), self._last[exercise.id]
            self._last[exercise.id] = stamp
            if stamp is not None and stamp == last and stamp != self._told[exercise.id]:
                self._told[exercise.id] = stamp
                found.append(exercise)
        return found


def watch(selection: str | None = None, edit: bool = False) -> int:
    """Check each exercise when its file is saved, and go on to the next one when it is solved.

    In a terminal, keys give hints, the solution, the next exercise.

    Args:
        selection: an exercise, a chapter, or None for the one that is next. A single one is checked
            at once.
        edit: open the file in the learner's editor too.

    Returns:
        0 if it was left by a key or everything is solved, 130 if it was interrupted.

    Raises:
        UserError: outside a clone, an unknown selection, or there is no editor.
    """
    root = clone.root()
    editor = Editor.of_learner() if edit else None
    try:
        with Keyboard() as keyboard:
            return _Watch(root, selection, keyboard, editor).run()
    except KeyboardInterrupt:
        print_line("\nNo longer watching.")
        return INTERRUPTED


class _Watch:
    """One run of the command: the files that are watched, and the exercise that the keys act on."""

    def __init__(
        self, root: Path, selection: str | None, keyboard: Keyboard, editor: Editor | None
    ) -> None:
        self.root, self.keyboard, self.editor = root, keyboard, editor
        now = exercise_states(root)
        chosen = [] if selection is None else select(catalogue(root), selection)
        self.chapter = {each.id for each in chosen} if len(chosen) > 1 else None
        following = next_exercise(now, self.chapter)
        if not chosen and following:
            chosen = [following.exercise]
        self.chosen = chosen
        self.watcher = Watcher(chosen)
        single = chosen[0] if len(chosen) == 1 else None
        self.current = single or (following.exercise if following else next(iter(chosen), None))

    def run(self) -> int:
        """Watch files and keys until it ends."""
        if self.current is None:
            print_line("Every exercise of the course is solved.", "bold green")
            return 0
        print_line(f"Watching {_what(self.chosen)}. Save, and it is checked. Ctrl-C ends.")
        self._edit()
        preload(each for each in self.chosen if each is self.current or progress.is_begun(each))
        if len(self.chosen) == 1:
            self._check(self.current)
        else:
            self._offer()
        while self.current is not None:
            for exercise in self.watcher.saved():
                self._check(exercise)
            if (key := self.keyboard.key(_PAUSE)) and not self._obey(key.lower()):
                break
        return 0

    def _check(self, exercise: Exercise) -> None:
        self.current = exercise
        line = f"{datetime.now():%H:%M:%S} {exercise.id} {exercise.title}"
        if console.is_terminal:
            console.rule(line, align="left")
        else:
            print_line(line)
        result = verdict(exercise)
        if not result.solved:
            self._offer()
            return
        what_next([result], watching=True)
        now = exercise_states(self.root)
        following = next_exercise(now, self.chapter) or next_exercise(now)
        if following is not None:
            self._go_to(following)
        else:
            self.current = None

    def _offer(self) -> None:
        """Say what can be done about the exercise as it is."""
        assert self.current is not None
        if self.keyboard.is_there:
            print_line(_KEYS, "dim")
        else:
            hints.offer(self.current)

    def _go_to(self, following: ExerciseState) -> None:
        """Make another exercise the one that is watched; those before it stay watched."""
        self.current = following.exercise
        self.watcher.add(self.current)
        print_line()
        introduce(following)
        preload([self.current])
        if self.editor is not None and not self.editor.in_terminal:
            self._edit()
        if following.begun:
            self._check(self.current)
        else:
            self._offer()

    def _edit(self) -> None:
        """Open the exercise's file, if an editor was asked for and the file is there."""
        assert self.current is not None
        if self.editor is None or missing_file(self.current):
            return
        try:
            if self.editor.in_terminal:
                with self.keyboard.lent():
                    self.editor.open(self.current.file)
            else:
                self.editor.open_beside(self.current.file)
        except (GroundUpError, OSError) as error:
            print_line(f"error: {error}")

    def _obey(self, key: str) -> bool:
        """Do what a key says; whether to go on."""
        assert self.current is not None
        if key in ("q", END):
            print_line("No longer watching.")
            return False
        try:
            if key == "h":
                hints.hint(self.current.id)
            elif key == "s":
                with self.keyboard.lent():
                    hints.solution(self.current.id)
            elif key == "n":
                self._skip()
            elif key == "e":
                self.editor = self.editor or Editor.of_learner()
                self._edit()
            elif key == "c":
                self._check(self.current)
            elif key == "?":
                print_line(_HELP)
        except GroundUpError as error:
            print_line(f"error: {error}")
        return True

    def _skip(self) -> None:
        """Go to the next exercise in the course's order that is not solved, round its end."""
        assert self.current is not None
        now = exercise_states(self.root)
        place = next(i for i, each in enumerate(now) if each.exercise.id == self.current.id)
        others = [each for each in (*now[place + 1 :], *now[:place]) if not each.solved]
        if others:
            self._go_to(others[0])
        else:
            print_line("No other exercise is unsolved.")


def _what(chosen: Sequence[Exercise]) -> str:
    if len(chosen) == 1:
        return str(chosen[0].file.relative_to(chosen[0].root))
    return f"the {len(chosen)} exercises in exercises/{chosen[0].folder}"


def _stamp(file: Path) -> Stamp | None:
    try:
        status = file.stat()
    except OSError:  # an editor may take it away for a moment
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
