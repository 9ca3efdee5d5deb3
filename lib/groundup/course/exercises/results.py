"""How an exercise went, and what its learner reads about it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from textwrap import fill

from groundup.course.catalogue import Exercise
from groundup.course.exercises.formatting import WIDTH, indent
from groundup.course.exercises.runner import Outcome, Verdict


@dataclass
class Result:
    """How one exercise went.

    Attributes:
        exercise: of the catalogue.
        outcomes: of the checks that ran, in order.
        unusable: why the file could not be used at all, or empty.
        diagnosis: what is wrong with the known wrong version that gives the same, or empty.
    """

    exercise: Exercise
    outcomes: list[Outcome] = field(default_factory=list)
    unusable: str = ""
    diagnosis: str = ""

    @property
    def stopped(self) -> bool:
        """Whether something is wrong, beyond not being written."""
        failed = any(outcome.verdict is Verdict.FAILED for outcome in self.outcomes)
        return failed or bool(self.unusable)

    @property
    def solved(self) -> bool:
        """Whether every check ran and passed."""
        return bool(self.outcomes) and self.points == self.exercise.points

    @property
    def unwritten(self) -> bool:
        """Whether nothing is written yet."""
        verdicts = {outcome.verdict for outcome in self.outcomes}
        return verdicts == {Verdict.NOT_WRITTEN}

    @property
    def points(self) -> int:
        """What the passed checks are worth."""
        return sum(o.check.points for o in self.outcomes if o.verdict is Verdict.PASSED)


def section(result: Result, which: str = "") -> str:
    """What the report says of one exercise: what passed, and what is wrong.

    Args:
        result: of the run.
        which: the value of ``--impl``; empty for the learner's file.
    """
    exercise = result.exercise
    where = exercise.file.relative_to(exercise.root)
    name = f"{exercise.id} {exercise.title}" + (f" ({which})" if which else "")
    if result.unusable:
        return f"{name}: 0 of {_points(exercise.points)}\n\n{indent(result.unusable, 2)}\n"
    unwritten = [o for o in result.outcomes if o.verdict is Verdict.NOT_WRITTEN]
    if result.unwritten:
        return f"{name}: not written yet. Start at {where.parent}/{_place(unwritten[0])}.\n"
    lines = [f"{name}: {result.points} of {_points(exercise.points)}\n"]
    lines += [_line(outcome) for outcome in result.outcomes]
    for outcome in result.outcomes:
        if outcome.verdict is Verdict.FAILED:
            lines += ["", indent(outcome.message, 2), ""]
            if outcome.printed:
                lines += ["  It printed", indent(outcome.printed, 4), ""]
    if result.diagnosis:
        known = f"Your results are those of a known mistake: {result.diagnosis}"
        lines += [indent(fill(known, WIDTH), 2), ""]
    if result.stopped and not which:
        lines += [f"  Your code: {where}", f"  To read:   {exercise.read}"]
    elif unwritten and not which:
        lines += ["", f"  Right so far. Go on at {where.parent}/{_place(unwritten[0])}."]
    return "\n".join(lines).rstrip() + "\n"


def closing_line(results: Sequence[Result]) -> str:
    """The sum of the points."""
    reached = sum(result.points for result in results)
    return f"Points: {reached} of {sum(result.exercise.points for result in results)}"


def _line(outcome: Outcome) -> str:
    check = outcome.check
    points = _points(check.points)
    return f"  {outcome.verdict.value:<9} {points:<9} {check.layer.title:<20} {check.title}"


def _place(outcome: Outcome) -> str:
    return outcome.message.partition(": ")[0]


def _points(number: int) -> str:
    return f"{number} point" if number == 1 else f"{number} points"
