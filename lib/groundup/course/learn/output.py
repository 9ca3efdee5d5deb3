"""Lines for the learner: wrapped and coloured in a terminal, plain and whole in a pipe."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

from groundup.course import clone
from groundup.lab.console import console
from groundup.lab.hyperlinks import link_paths

_COLOURS = {
    r"\A.*": "bold",
    r"(?m)^  passed\b": "green",
    r"(?m)^  failed\b": "bold red",
    r"(?m)^  to write\b": "yellow",
    r"Your results are those of a known mistake:": "bold",
}


def print_line(text: str = "", style: str = "") -> None:
    """Print a line of prose."""
    line = link_paths(Text(text, style), clone.root())
    console.print(line, soft_wrap=not console.is_terminal or bool(line.spans))  # a path stays whole


def print_command(command: str, about: str, width: int = 24) -> None:
    """Print a command and what it does."""
    line = Text("  ").append(f"{command:<{width}}", "cyan").append(f"  {about}".rstrip())
    console.print(line, soft_wrap=True)


def print_section(section: str) -> None:
    """Print what the checks say of an exercise. Its lines are never folded: they hold arrays."""
    text = Text(section)
    for pattern, style in _COLOURS.items():
        text.highlight_regex(pattern, style)
    console.print(link_paths(text, clone.root()), soft_wrap=True)


@contextmanager
def busy(text: str) -> Iterator[None]:
    """Say in a terminal what is being done, and erase it when it is done.

    Not rich's spinner: that is a thread, and checks are forked from this process meanwhile.
    """
    if not console.is_terminal or console.is_dumb_terminal:
        yield
        return
    # In one line, however narrow the terminal: only that is wiped out.
    console.print(Text(text, "dim"), end="\r", no_wrap=True, overflow="ellipsis")
    try:
        yield
    finally:
        console.control(Control((ControlType.ERASE_IN_LINE, 2), ControlType.CARRIAGE_RETURN))
