"""Paths in what is printed, as links (OSC 8) that a terminal opens with a click."""

import os
import re
from pathlib import Path

from rich.style import Style
from rich.text import Text

from groundup.lab.console import console

_PATH = (
    r"(?<![\w/.~-])(?P<path>{root}~?/?(?:[\w.-]+/)+[\w.-]+|(?:ex|test)_\d+_\d+_\w+\.py)"
    r"(?:(?:, line |:)(?P<line>\d+))?"
)


def link_paths(text: Text, root: Path | None = None) -> Text:
    """The text with each path of a file that exists as a link, with the line named behind it.

    In a pipe, and in a terminal that knows no links, rich leaves them out; the text is the same.

    Args:
        text: changed in place.
        root: the clone. A path is looked for from here, and from there.
    """
    if console.is_terminal and os.environ.get("TERM") != "linux":  # that console shows them as text
        # The clone's own path may hold a space, which would end any other.
        within = f"(?:{re.escape(str(root))}(?=/))?" if root else ""
        for found in re.finditer(_PATH.replace("{root}", within), text.plain):
            if file := _file(found["path"], root):
                line = f"#{found['line']}" if found["line"] else ""
                text.stylize(Style(link=f"{file.as_uri()}{line}"), *found.span())
    return text


def _file(path: str, root: Path | None) -> Path | None:
    """The file that a printed path means, or None."""
    places = [Path.cwd() / path]
    if root is not None:
        places.append(root / path)
        if "/" not in path:  # an exercise's file, as errors name it
            places += sorted(root.glob(f"exercises/*/{path}"))
    return next((place for place in places if place.is_file()), None)
