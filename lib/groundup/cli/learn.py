"""The commands of a learner."""

import argparse

from groundup.cli.parser import Commands, add


def add_commands(commands: Commands) -> None:
    """Add them."""
    check = add(
        commands, "check", _check, "check what you wrote in an exercise", "groundup check 5.1"
    )
    check.add_argument("exercise", nargs="?", help="an exercise (5.1), a chapter (5), or all")


def _check(options: argparse.Namespace) -> int:
    from groundup.course.exercises import check

    return check(options.exercise)
