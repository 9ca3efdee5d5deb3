"""``groundup hint``, ``solution`` and ``reset``: help with one exercise."""

import re
import sys

from rich.markdown import Markdown
from rich.syntax import Syntax
from rich.table import Table
from rich.theme import Theme

from groundup.course import clone
from groundup.course.authoring.stubs import back_up, stub_text
from groundup.course.catalogue import Exercise, catalogue
from groundup.course.exercises import progress
from groundup.course.exercises.progress import ExerciseProgress
from groundup.course.learn import formula
from groundup.course.learn.output import print_command, print_line
from groundup.course.learn.state import exercise_states, next_exercise, one
from groundup.lab.console import console
from groundup.lab.errors import UserError
from groundup.lab.files import atomic_file

_WIDE = 140  # columns from which code and explanation stand beside each other
_TEXT = 56  # columns that the explanation then has at least
_LINE = 100  # columns of a line that reads well
_THEME = Theme({"markdown.code": "cyan", "markdown.block_quote": "none"})


def hint(selection: str) -> int:
    """Show the hints of an exercise that were given, and one more.

    Raises:
        UserError: outside a clone, or no such exercise.
    """
    exercise = one(clone.root(), selection)
    with progress.changing(exercise.root) as records:
        record = progress.entry(records, exercise)
        before = record.hints
        record.hints = min(before + 1, len(exercise.hints))
    print_line(f"{exercise.id} {exercise.title}", "bold")
    for number, text in enumerate(exercise.hints[: record.hints], 1):
        old = number < record.hints
        print_line()
        print_line(f"Hint {number} of {len(exercise.hints)}", "dim" if old else "bold")
        print_line(text, "dim" if old else "")
    print_line()
    if record.hints < len(exercise.hints):
        print_command(f"groundup check {exercise.id}", "once you have tried it")
        print_command(f"groundup hint {exercise.id}", "one more")
    else:
        last = "That was the last hint." if record.hints > before else "There are no more hints."
        print_line(last)
        print_command(f"groundup solution {exercise.id}", "the answer, with its explanation")
    return 0


def offer(exercise: Exercise) -> None:
    """Name the command that helps with an exercise that is not solved."""
    given = progress.load(exercise.root).get(exercise.id, ExerciseProgress()).hints
    left = len(exercise.hints) - given
    if left > 0:
        about = f"if you are stuck: hint {given + 1} of {len(exercise.hints)}"
        print_command(f"groundup hint {exercise.id}", about)
    else:
        print_command(f"groundup solution {exercise.id}", "shows the answer; all hints are given")


def solution(selection: str, yes: bool = False) -> int:
    """Show the solution beside its worked explanation. Unless it is solved, ask before.

    Args:
        selection: an id.
        yes: do not ask.

    Raises:
        UserError: outside a clone, no such exercise, or it is unsolved and this is not a
            terminal to ask on.
    """
    root = clone.root()
    exercise = one(root, selection)
    if not exercise.solution.is_file():
        where = exercise.solution.relative_to(root)
        raise UserError(f"there is no {where}: run groundup course build to get it")
    record = progress.load(root).get(exercise.id, ExerciseProgress())
    if record.solved is None and not yes and not _agreed(exercise, record):
        print_command(f"groundup hint {exercise.id}", "gives a hint instead")
        return 0
    with progress.changing(root) as records:
        entry = progress.entry(records, exercise)
        entry.solution_seen = entry.solution_seen or progress.now()
    _show(exercise)
    if record.solved is None:
        print_command(f"groundup check {exercise.id}", "when you have written it yourself")
    elif following := next_exercise(exercise_states(root)):
        print_command(
            f"groundup watch {following.exercise.id}", f"next: {following.exercise.title}"
        )
    return 0


def reset(*selections: str, everything: bool = False) -> int:
    """Put the stubs of exercises back, after a copy of what the learner wrote in each.

    Args:
        selections: exercises, one or several.
        everything: every exercise that is no longer as it was given.

    Raises:
        UserError: outside a clone, no such exercise, or nothing or too much is asked for. Nothing
            is changed then.
    """
    root = clone.root()
    if bool(selections) == everything:
        raise UserError("reset takes exercises, such as 5.1, or --all")
    if everything:
        chosen = [each for each in catalogue(root) if not _is_fresh(each)]
        if not chosen:
            print_line("Every exercise is as it was given: there is nothing to reset.")
    else:
        chosen = list({each.id: each for each in (one(root, s) for s in selections)}.values())
    changed = [_put_back(exercise) for exercise in chosen]
    if any(changed):
        print_line("Your points stay.")
    return 0


def _is_fresh(exercise: Exercise) -> bool:
    file = exercise.file
    return file.is_file() and file.read_bytes() == stub_text(exercise).encode()


def _put_back(exercise: Exercise) -> bool:
    """Write a fresh stub; whether there was a need."""
    file = exercise.file
    where = file.relative_to(exercise.root)
    if _is_fresh(exercise):
        print_line(f"{where} is as it was given: there is nothing to reset.")
        return False
    if progress.is_begun(exercise):
        print_line(f"Kept: {where.parent / back_up(file).name}")
    with atomic_file(file) as temporary:
        temporary.write_text(stub_text(exercise), encoding="utf-8")
    print_line(f"Fresh: {where}")
    return True


def _agreed(exercise: Exercise, record: ExerciseProgress) -> bool:
    given = f"{record.hints} of {len(exercise.hints)} hints given"
    if not (sys.stdin.isatty() and console.is_terminal):
        raise UserError(
            f"{exercise.id} is not solved yet ({given}): groundup hint {exercise.id} gives a "
            f"hint, groundup solution {exercise.id} --yes shows the answer all the same"
        )
    try:
        answer = input(f"{exercise.id} is not solved yet ({given}). Show the answer? [y/N] ")
    except EOFError:
        answer = ""
        print_line()
    return answer.strip().lower() in ("y", "yes")


def _show(exercise: Exercise) -> None:
    code = formula.in_code(exercise.solution.read_text(encoding="utf-8"))
    file = exercise.explanation
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    if not console.is_terminal:
        print(f"{code}\n{formula.in_text(text)}")
        return
    heading = re.match(r"# (.+)\n", text)
    console.rule(heading[1] if heading else f"{exercise.id} {exercise.title}", align="left")
    console.push_theme(_THEME)
    shown = Markdown(formula.in_markdown(text[heading.end() :] if heading else text))
    painted = Syntax(code, "python", theme="ansi_dark", background_color="default", word_wrap=True)
    if console.width >= _WIDE:
        room = console.width - _TEXT - 3
        table = Table.grid(padding=(0, 3, 0, 0))
        table.add_column(width=min(room, max(map(len, code.splitlines())) + 2))
        table.add_column(max_width=_LINE)
        table.add_row(painted, shown)
        console.print(table)
    else:
        console.print(painted)
        console.print(shown, width=min(console.width, _LINE))
    console.pop_theme()
    print_line()
