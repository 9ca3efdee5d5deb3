"""``groundup start`` and ``groundup progress``: where to begin, how far you are, the map."""

from collections.abc import Sequence
from itertools import groupby
from shutil import which

from rich.text import Text

from groundup.course import clone
from groundup.course.catalogue import HINTS
from groundup.course.chapters.navigation import PARTS
from groundup.course.exercises.runner import missing_packages
from groundup.course.learn.editor import Editor
from groundup.course.learn.output import print_command, print_line
from groundup.course.learn.state import (
    ExerciseState,
    chapter_of,
    chapter_title,
    exercise_states,
    missing_file,
    next_exercise,
    reading,
)
from groundup.lab.console import console

_BAR = 20


def start(edit: bool = False) -> int:
    """Say what the course is, how far the learner is, and what to do now.

    Args:
        edit: open the file in the learner's editor too.

    Raises:
        UserError: outside a clone, or there is no editor.
    """
    editor = Editor.of_learner() if edit else None
    now = exercise_states(clone.root())
    following = next_exercise(now)
    if not any(each.begun or each.record.attempts for each in now):
        print_line(
            "Ground Up is a course that is also a library: a transformer in NumPy, then NeoBERT"
        )
        print_line(
            "in PyTorch, then sentence embeddings. You write its functions, one after another, and"
        )
        print_line("checks tell you what is still wrong.")
    else:
        print_line(_sum(now), "bold")
    if following is None:
        print_line("Every exercise is solved. groundup tour runs the whole ladder.")
        return 0
    exercise = following.exercise
    print_line()
    introduce(following)
    print_line()
    print_command(f"groundup watch {exercise.id}", "checks it each time you save")
    left = HINTS - following.record.hints
    if left:
        print_command(f"groundup hint {exercise.id}", f"a hint, one more each time ({left} left)")
    else:
        print_command(f"groundup solution {exercise.id}", "the answer; all hints are given")
    print_command("groundup progress", "the map of the course")
    print_line()
    if lacking := missing_packages(exercise.checks):
        print_line(lacking, "bold red")
    else:
        print_line("All packages that it needs are installed.")
    if which("groundup") is None:
        print_line("If your shell does not know groundup: source .venv/bin/activate", "dim")
    if editor is not None and exercise.file.is_file():
        editor.open(exercise.file)
    return 0


def introduce(each: ExerciseState) -> None:
    """Say what an exercise is, what to read for it, and which file to open."""
    exercise = each.exercise
    names = " and ".join(target.name for target in exercise.targets)
    head = f"{exercise.id} {exercise.title}, {exercise.points} points"
    print_line(f"{'Go on with' if each.begun else 'Now'}: {head}", "bold")
    print_line(f"  read  {reading(exercise)}")
    where = exercise.file.relative_to(exercise.root)
    print_line(f"  open  {where}, and write the body of {names}")
    if advice := missing_file(exercise):
        print_line(advice, "bold red")


def show_progress() -> int:
    """Print the map: parts, chapters, exercises, points.

    The exercises of a chapter are listed once one of them is begun or next.

    Raises:
        UserError: outside a clone.
    """
    now = exercise_states(clone.root())
    following = next_exercise(now)
    parts = [(part.heading, part.first, part.last) for part in PARTS]
    for heading, first, last in [*parts, ("More chapters", PARTS[-1].last + 1, 99)]:
        inside = [each for each in now if first <= chapter_of(each.exercise) <= last]
        if not inside:
            continue
        _row("", heading, inside, "bold")
        for number, group in groupby(inside, key=lambda each: chapter_of(each.exercise)):
            chapter = list(group)
            title = chapter_title(chapter[0].exercise.root, chapter[0].exercise)
            _row(f"{number:>4}", title, chapter)
            if any(each.begun or each.record.attempts or each is following for each in chapter):
                for each in chapter:
                    _exercise(each, each is following)
        print_line()
    print_line(_sum(now), "bold")
    if following:
        exercise = following.exercise
        print_command(f"groundup watch {exercise.id}", f"next: {exercise.title}")
    return 0


def _row(number: str, title: str, inside: Sequence[ExerciseState], style: str = "") -> None:
    reached = sum(each.points for each in inside)
    total = sum(each.exercise.points for each in inside)
    name = f"{number}  {title}" if number else title
    line = Text(f"{name:<58}", style).append(f"{reached:>5} of {total:<4}", "")
    if console.is_terminal:
        bar = max(0, min(_BAR, console.width - line.cell_len - 1))
        full = round(bar * reached / total)
        line.append("━" * full, "green").append("━" * (bar - full), "dim")
    line.rstrip()
    console.print(line, soft_wrap=True)


def _exercise(each: ExerciseState, is_next: bool) -> None:
    exercise, record = each.exercise, each.record
    state = "solved" if each.solved else "begun" if each.begun else ""
    mark = ">" if is_next else " "
    name = f"    {mark} {exercise.id:<6}{exercise.title}"
    line = Text(f"{name:<50}", "bold" if is_next else "")
    line.append(f"{state:<8}", "green" if each.solved else "yellow")
    line.append(f"{each.points:>5} of {exercise.points:<4}")
    notes = []
    if record.hints:
        notes.append("1 hint" if record.hints == 1 else f"{record.hints} hints")
    if record.helped:
        notes.append("solution seen")
    if missing_file(exercise):
        notes.append("file missing")
    elif each.changed:
        notes.append("changed since")
    line.append(", ".join(notes), "dim")
    line.rstrip()
    console.print(line, soft_wrap=True)


def _sum(now: Sequence[ExerciseState]) -> str:
    reached = sum(each.points for each in now)
    total = sum(each.exercise.points for each in now)
    solved = sum(each.solved for each in now)
    return f"{solved} of {len(now)} exercises solved, {reached} of {total} points"
