"""The notebook a reader downloads: the executed chapter in Markdown that any viewer knows."""

import re
from pathlib import Path
from typing import Any

from groundup.course.chapters.source import expand_source

_REFERENCE = re.compile(r"\[(?P<text>[^\]\n]+)\]\[(?P<target>groundup[\w.]*)?\]")
_ADMONITION = re.compile(
    r'^(?:!!!|\?\?\?\+?) (?P<kind>\w+)(?: "(?P<title>[^"\n]*)")?\n(?P<body>(?:\n|(?: {4}).*\n?)*)',
    re.MULTILINE,
)


def for_download(notebook: Any, library: Path) -> bytes:
    """The bytes of an ``.ipynb`` file, the same for the same chapter and outputs.

    Admonitions become quotations, references to the library's pages become plain names, and
    ``::: source`` lines become code.

    Args:
        notebook: an executed ``nbformat`` notebook; it is not changed.
        library: the directory that holds ``groundup``.
    """
    import nbformat

    copy = nbformat.from_dict(notebook)
    copy.nbformat, copy.nbformat_minor = 4, 5
    copy.metadata = nbformat.from_dict(
        {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    )
    for index, cell in enumerate(copy.cells):
        cell.id = f"cell-{index}"
        if cell.cell_type == "markdown":
            cell.source = _plain(expand_source(cell.source, library, for_notebook=True))
    nbformat.validate(copy)
    text: str = nbformat.writes(copy)
    return text.encode()


def _plain(markdown: str) -> str:
    text = _REFERENCE.sub(lambda found: found["text"], markdown)
    return _ADMONITION.sub(_quotation, text + "\n").rstrip("\n")


def _quotation(found: re.Match[str]) -> str:
    title = found["title"] if found["title"] is not None else found["kind"].capitalize()
    body = [line[4:] for line in found["body"].rstrip("\n").split("\n")]
    head = [f"**{title}**", ""] if title else []
    lines = "\n".join(
        f"> {line}".rstrip() for line in [*head, *"\n".join(body).strip().split("\n")]
    )
    blank = "\n" * (len(found["body"]) - len(found["body"].rstrip("\n")))
    return lines + blank
