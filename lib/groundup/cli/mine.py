"""The option ``--mine``: a command's work in a process of its own, with the learner's functions."""

import argparse
import sys


def add_option(command: argparse.ArgumentParser) -> None:
    """Add it to a command."""
    command.add_argument(
        "--mine",
        nargs="?",
        const="all",
        metavar="IDS",
        help="use what you wrote: exercises (5.1,5.2), a chapter (5), or nothing for all",
    )


def itself(options: argparse.Namespace, *arguments: object) -> list[str]:
    """The call of a command of ``groundup`` in a process of its own, without ``--mine``."""
    debug = ["--debug"] if options.debug else []
    return [sys.executable, "-m", "groundup", *debug, *map(str, arguments)]
