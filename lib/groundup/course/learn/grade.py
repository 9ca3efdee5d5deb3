"""``groundup grade``: every check on somebody's files, for those who teach with the course."""

import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rich.text import Text

from groundup.course import clone
from groundup.course.catalogue import Exercise, catalogue
from groundup.course.exercises.judge import judge, preload
from groundup.course.exercises.results import Result
from groundup.course.exercises.runner import load_checks, missing_packages
from groundup.course.learn.output import busy
from groundup.course.naming import select
from groundup.lab.console import console
from groundup.lab.errors import UserError

VERSION = 1
_NOT_RUN = "not run"


def grade(
    selection: str | None = None,
    *,
    as_json: bool = False,
    checks: Path | None = None,
    submission: Path | None = None,
) -> int:
    """Run every check of the exercises without stopping, and print the points.

    The learner's progress file is neither read nor written.

    Args:
        selection: an id, a chapter, or None for all.
        as_json: print one JSON document instead of a table.
        checks: a folder of the instructor's own checks, in files named as ours are
            (``test_5_1_adam.py``). They run in addition, and are counted apart.
        submission: a folder that holds ``ex_….py`` files, graded instead of the clone's.

    Returns:
        0: the grading is done, whatever the points.

    Raises:
        UserError: outside a clone, an unknown selection, a folder that does not fit, or a missing
            package.
    """
    root = clone.root()
    exercises = catalogue(root)
    chosen = exercises if selection is None else select(exercises, selection)
    own = _own_checks(checks, exercises) if checks else {}
    handed_in = _handed_in(submission, exercises) if submission else None
    for exercise in chosen:
        # A mark must not depend on the grader's machine.
        if lacking := missing_packages(exercise.checks):
            raise UserError(f"exercise {exercise.id} can't be graded. {lacking}")
    preload(chosen)
    graded = []
    for exercise in chosen:
        with nullcontext() if as_json else busy(f"grading {exercise.id} {exercise.title} …"):
            file = exercise.file if handed_in is None else handed_in.get(exercise.file.name)
            graded.append(_grade(exercise, file, own.get(exercise.checks.name)))
    document = {
        "version": VERSION,
        "exercises": graded,
        **{
            key: sum(each[key] for each in graded)
            for key in ("points", "of", "instructor_points", "instructor_of")
        },
    }
    if as_json:
        print(json.dumps(document, indent=2))  # in ASCII: any stream carries it unchanged
    else:
        _table(document, bool(own))
    return 0


def _grade(exercise: Exercise, file: Path | None, own: Path | None) -> dict[str, Any]:
    """What the document says of one exercise."""
    nothing = Result(exercise, unusable=f"{exercise.file.name} was not handed in.")
    result = judge(exercise, stop=False, file=file) if file else nothing
    extra = nothing
    if own and file:
        extra = judge(exercise, stop=False, file=file, checks=own)
    ours = _rows(exercise, result)
    theirs = _rows(exercise, extra, own) if own else []
    return {
        "id": exercise.id,
        "title": exercise.title,
        "points": result.points,
        "of": exercise.points,
        "checks": ours,
        "instructor": theirs,
        "instructor_points": extra.points,
        "instructor_of": sum(row["points"] for row in theirs),
        "diagnosis": result.diagnosis,
        "error": result.unusable,
    }


def _rows(exercise: Exercise, result: Result, file: Path | None = None) -> list[dict[str, Any]]:
    """Every check with its verdict; those that a crash kept from running too."""
    found = {outcome.check.name: outcome for outcome in result.outcomes}
    rows = []
    for check in load_checks(exercise, file):
        outcome = found.get(check.name)
        rows.append(
            {
                "name": check.name,
                "title": check.title,
                "layer": check.layer.title,
                "points": check.points,
                "verdict": outcome.verdict.value if outcome else _NOT_RUN,
                "message": outcome.message if outcome else "",
            }
        )
    return rows


def _own_checks(folder: Path, exercises: Sequence[Exercise]) -> dict[str, Path]:
    """The instructor's files of checks, by name."""
    known = [each.checks.name for each in exercises]
    found = _by_name(folder, "*.py")
    if unknown := sorted(found.keys() - set(known)):
        raise UserError(
            f"{folder}: {', '.join(unknown)} is named as none of our checks. "
            f"A file of checks is called {known[0]}, after the exercise; there are: "
            f"{', '.join(known)}"
        )
    if not found:
        raise UserError(f"{folder} holds no file of checks, such as {known[0]}")
    return found


def _handed_in(folder: Path, exercises: Sequence[Exercise]) -> dict[str, Path]:
    """The learner's files, by name. Those that are of no exercise are named on stderr."""
    known = {each.file.name for each in exercises}
    found = _by_name(folder, "ex_*.py")
    if not found.keys() & known:
        raise UserError(f"{folder} holds no file of an exercise, such as {min(known)}")
    for name in sorted(found.keys() - known):
        print(f"not graded: {found[name]} is of no exercise", file=sys.stderr)
    return found


def _by_name(folder: Path, pattern: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob(pattern)):
        if path.name in found:
            raise UserError(f"{path.name} is there twice: {found[path.name]} and {path}")
        found[path.name] = path
    return found


def _table(document: dict[str, Any], own: bool) -> None:
    """One line for each exercise, whole however long it is."""

    def points(each: dict[str, Any], whose: str = "") -> str:
        return f"{each[f'{whose}points']:>4} of {each[f'{whose}of']:<4}"

    def line(name: str, title: str, each: dict[str, Any], wrong: str) -> None:
        theirs = f"  {points(each, 'instructor_'):<12}" if own else ""
        text = f"{name:<6}{title:<42}{points(each)}{theirs}  {wrong}".rstrip()
        console.print(Text(text), soft_wrap=True)

    if own:
        console.print(Text(f"{'':<48}{'points':>10}    instructor"), soft_wrap=True)
    for each in document["exercises"]:
        line(each["id"], each["title"], each, _wrong(each))
    line("", "all", document, "")


def _wrong(graded: dict[str, Any]) -> str:
    """One line on what keeps an exercise from its points."""
    if graded["error"] or graded["diagnosis"]:
        return " ".join((graded["error"] or graded["diagnosis"]).split())
    verdicts = {row["verdict"] for row in graded["checks"]}
    if verdicts == {"to write"}:
        return "not written"
    failed = [row["title"] for row in graded["checks"] if row["verdict"] != "passed"]
    return f"first: {failed[0]}" if failed else ""
