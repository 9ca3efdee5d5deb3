"""The commands of a learner, and of those who teach: from the machine to the grade."""

import argparse
from pathlib import Path

from groundup.cli import mine
from groundup.cli.parser import Commands, Parser, add

_NAMED = "its number (5.1), its name (adam) or the path of its file"


def add_commands(commands: Commands) -> None:
    """Add them."""
    start = add(commands, "start", _start, "say where to begin, or go on", "groundup start --edit")
    chapter = add(commands, "chapter", _chapter, "run a chapter", "groundup chapter 5")
    chapter.add_argument("chapter", help="its number or its file")
    mine.add_option(chapter)
    check = add(
        commands, "check", _check, "check what you wrote in an exercise", "groundup check 5.1"
    )
    _selection(check, "all that you have begun")
    watch = add(
        commands,
        "watch",
        _watch,
        "check an exercise each time you save it, then go on to the next",
        "groundup watch --edit",
    )
    _selection(watch, "the next one")
    for command in (start, watch):
        command.add_argument(
            "--edit", action="store_true", help="open its file in your editor, $VISUAL or $EDITOR"
        )
    hint = add(commands, "hint", _hint, "give a hint, one more each time", "groundup hint 5.1")
    solution = add(
        commands,
        "solution",
        _solution,
        "show the worked solution; asks first unless it is solved",
        "groundup solution 5.1",
    )
    solution.add_argument("--yes", action="store_true", help="do not ask")
    reset = add(
        commands,
        "reset",
        _reset,
        "put fresh stubs back; yours are kept beside them",
        "groundup reset 5.1 5.2",
    )
    reset.add_argument("exercises", nargs="*", metavar="exercise", help=f"{_NAMED}; several, too")
    reset.add_argument("--all", action="store_true", help="every one that you have changed")
    for command in (hint, solution):
        command.add_argument("exercise", help=_NAMED)
    add(commands, "progress", _progress, "show the map and your points", "groundup progress")
    grade = add(
        commands,
        "grade",
        _grade,
        "for instructors: run every check (exits with 0 whatever the points)",
        "groundup grade 5 --json --submission handed-in/ada --checks my-checks",
    )
    _selection(grade, "all")
    grade.add_argument("--json", action="store_true", help="one JSON document on stdout")
    grade.add_argument(
        "--checks",
        type=Path,
        metavar="DIR",
        help="your own checks, run in addition, in files named as ours (test_5_1_adam.py)",
    )
    grade.add_argument(
        "--submission",
        type=Path,
        metavar="DIR",
        help="a folder with the ex_….py files to grade, instead of those of this clone",
    )
    doctor = add(
        commands,
        "doctor",
        _doctor,
        "run what the course needs, and say what to mend",
        "groundup doctor --json",
    )
    doctor.add_argument("--json", action="store_true", help="print one JSON object")


def _selection(command: Parser, default: str) -> None:
    command.add_argument(
        "selection",
        nargs="?",
        metavar="exercise",
        help=f"{_NAMED}; or a chapter (5); default: {default}",
    )


def _start(options: argparse.Namespace) -> int:
    from groundup.course.learn import guide

    return guide.start(options.edit)


def _chapter(options: argparse.Namespace) -> int:
    from groundup.course.chapters import script

    path = script.find_chapter_script(options.chapter)
    if options.mine is None:
        return script.run_script(path)
    from groundup.course.mine import launcher, reference

    return launcher.run(script.command(path), options.mine, reference.of_chapter(path))


def _check(options: argparse.Namespace) -> int:
    from groundup.course.learn.check import check

    return check(options.selection)


def _watch(options: argparse.Namespace) -> int:
    from groundup.course.learn.watch import watch

    return watch(options.selection, options.edit)


def _hint(options: argparse.Namespace) -> int:
    from groundup.course.learn import hints

    return hints.hint(options.exercise)


def _solution(options: argparse.Namespace) -> int:
    from groundup.course.learn import hints

    return hints.solution(options.exercise, options.yes)


def _reset(options: argparse.Namespace) -> int:
    from groundup.course.learn import hints

    return hints.reset(*options.exercises, everything=options.all)


def _progress(_: argparse.Namespace) -> int:
    from groundup.course.learn import guide

    return guide.show_progress()


def _grade(options: argparse.Namespace) -> int:
    from groundup.course.learn.grade import grade

    return grade(
        options.selection,
        as_json=options.json,
        checks=options.checks,
        submission=options.submission,
    )


def _doctor(options: argparse.Namespace) -> int:
    from groundup.doctor.report import doctor

    return doctor(options.json)
