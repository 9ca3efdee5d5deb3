"""``groundup check``: check what is written, keep the result, say what comes next."""

from collections.abc import Sequence

from groundup.course import clone
from groundup.course.catalogue import Exercise, catalogue
from groundup.course.exercises import progress
from groundup.course.exercises.judge import judge
from groundup.course.exercises.progress import ExerciseProgress
from groundup.course.exercises.results import Result, section
from groundup.course.learn import hints
from groundup.course.learn.output import busy, print_command, print_line, print_section
from groundup.course.learn.state import (
    chapter_file,
    chapter_of,
    exercise_states,
    missing_file,
    next_exercise,
)
from groundup.course.naming import select


def check(selection: str | None = None) -> int:
    """Check the learner's files and print what there is to say of each, as it comes.

    Args:
        selection: an id (``5.1``), a chapter (``5``, ``ch05_training``), or None for all that is
            begun.

    Returns:
        The exit code: 0 if every check passed, 1 if not.

    Raises:
        UserError: outside a clone, or an unknown selection.
    """
    exercises = catalogue(clone.root())
    chosen = exercises if selection is None else select(exercises, selection)
    blank = [each for each in chosen if selection is None and not progress.is_begun(each)]
    begun = [each for each in chosen if each not in blank]
    for each in filter(missing_file, blank):
        print_line(missing_file(each), "bold red")
    if not begun:
        print_line("Nothing is written yet. groundup start says where to begin.")
        return 1
    results = [verdict(exercise) for exercise in begun]
    if blank:
        print_line(f"Not written yet: {', '.join(each.id for each in blank)}.")
    _sum([*begun, *blank], results)
    what_next(results)
    return 0 if not blank and all(result.solved for result in results) else 1


def verdict(exercise: Exercise) -> Result:
    """Check one exercise, keep the result and print it."""
    with busy(f"checking {exercise.id} {exercise.title} …"):
        result = judge(exercise)
    progress.record([result])
    text = section(result)
    print_section(text.rstrip("\n") if result.unwritten else text)
    kept = min(
        progress.load(exercise.root).get(exercise.id, ExerciseProgress()).points, exercise.points
    )
    if kept > result.points:
        print_line(
            f"An earlier version reached {kept} of {exercise.points} points: they stay yours."
        )
        print_line()
    return result


def _sum(exercises: Sequence[Exercise], results: Sequence[Result]) -> None:
    """Say the points: those that are kept, which another version may have reached."""
    now = {each.exercise.id: each.points for each in exercise_states(exercises[0].root)}
    found = {result.exercise.id: result.points for result in results}
    reached = sum(max(now[each.id], found.get(each.id, 0)) for each in exercises)
    print_line(f"Points: {reached} of {sum(each.points for each in exercises)}", "bold")


def what_next(results: Sequence[Result], watching: bool = False) -> None:
    """Say what to do after these results.

    Args:
        results: of at least one exercise.
        watching: whether the caller goes on to the next exercise itself.
    """
    now = exercise_states(results[0].exercise.root)
    if len(results) == 1 and not results[0].solved:
        hints.offer(results[0].exercise)
        return
    if len(results) == 1:
        _see(results[0].exercise)
    following = next_exercise(now)
    if following is None:
        print_line("Every exercise of the course is solved.", "bold green")
    elif not watching and all(result.solved for result in results):
        exercise = following.exercise
        print_command(f"groundup watch {exercise.id}", f"next: {exercise.title}", 31)


def _see(exercise: Exercise) -> None:
    """Offer to run what was solved, and to compare it."""
    number = chapter_of(exercise)
    print_line(f"{exercise.id} is solved.", "bold green")
    if chapter_file(exercise.root, number):
        print_command(f"groundup chapter {number} --mine {exercise.id}", "see it run", 31)
    print_command(f"groundup solution {exercise.id}", "compare", 31)
