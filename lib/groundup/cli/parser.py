"""What every command is made with: a parser whose errors are one line, and its types."""

import argparse
import re
import sys
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, NoReturn, TypeAlias

from groundup.lab.errors import UserError

Command = Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line.

    Attributes:
        add_options: adds options that need an import, when this command is the one that is called.
    """

    add_options: "Callable[[Parser], None] | None" = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """See the base class. Options that were put off are added first."""
        if self.add_options:
            add_options, self.add_options = self.add_options, None
            add_options(self)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print the error in a line and exit."""
        choice = re.search(r"invalid choice: '(.*?)' \(choose from (.+)\)", message)
        near = choice and get_close_matches(choice[1], re.findall(r"[\w-]+", choice[2]), n=1)
        if choice and near:
            message = f"there is no {choice[1]!r}; did you mean {near[0]}?"
        print(f"error: {message}; see {self.prog} --help", file=sys.stderr)
        sys.exit(UserError.exit_code)


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


class PartsFormatter(argparse.HelpFormatter):
    """Help that puts a title above the first command of each part.

    Args:
        titles: by the name of that command.
        prog: see the base class.
    """

    def __init__(self, titles: dict[str, str], prog: str) -> None:
        super().__init__(prog)
        self._titles = titles

    def _format_action(self, action: argparse.Action) -> str:
        text = super()._format_action(action)
        title = self._titles.get(str(action.metavar))
        return f"\n  {title}:\n{text}" if title else text


def add(commands: Commands, name: str, action: Command, about: str, example: str) -> Parser:
    """Add a command.

    Args:
        commands: where it belongs.
        name: what it is called.
        action: does the work and returns the exit code.
        about: one line, in lower case, for the list of commands.
        example: a whole call, for its help.
    """
    command = commands.add_parser(
        name,
        help=about,
        description=f"{about[0].upper()}{about[1:]}.",
        epilog=f"Example: {example}",
    )
    command.set_defaults(action=action, parser=command)
    return command


def add_group(commands: Commands, name: str, about: str) -> Commands:
    """Add a command that has commands of its own."""
    group = commands.add_parser(name, help=about)

    def needs_more(_: argparse.Namespace) -> int:
        group.error("a command is missing")

    group.set_defaults(action=needs_more, parser=group)
    return group.add_subparsers(metavar="command", parser_class=Parser)


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, at least 1: got {text}")
    return int(text)


def natural(text: str) -> int:
    """A whole number of at least 0."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0: got {number}")
    return number


def port(text: str) -> int:
    """A TCP port."""
    if not text.strip().isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 65535: got {text}")
    return int(text)
