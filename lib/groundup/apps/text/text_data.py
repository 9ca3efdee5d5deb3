"""Text to train on: stories from a grammar, a file, or a data set, with a part held out."""

from collections.abc import Sequence
from dataclasses import dataclass

from groundup.data.lossless_tokenizer import DOCUMENT_END
from groundup.data.notices import Notice, issue_warning
from groundup.data.texts import read_documents
from groundup.scratch.tasks.stories import stories

STORIES = "stories"
COUNT = 10_000  # stories of the default text: 2.8 million characters
HELD_OUT = 0.1


@dataclass(frozen=True)
class Text:
    """A text in two parts; documents end in an empty line.

    Attributes:
        train: the beginning.
        held_out: the end, a tenth, cut between documents where there are any.
    """

    train: str
    held_out: str


def read_text(
    source: str,
    megabytes: int,
    column: str | None = None,
    encoding: str | None = None,
    notice: Notice = issue_warning,
) -> Text:
    """Read a text and hold out its end.

    Args:
        source: :data:`STORIES`; or a file, a folder or a data set of the Hub, as
            :func:`groundup.data.texts.read_documents` takes them.
        megabytes: read at most so many million characters.
        column: of a table, the one that holds the text. None: "text", or the only one of text.
        encoding: of files that have no byte order mark and are not UTF-8, such as ``cp1252``.
        notice: told in a line what was left out.

    Raises:
        UserError: there is no such source, no text in it, or something in it can't be read.
        WorkError: the Hub can't be reached.
    """
    most = megabytes * 1_000_000
    if source == STORIES:
        return _split(stories(COUNT, seed=0)[:most])
    documents = read_documents(
        source, column=column, encoding=encoding, limit=most, also=[STORIES], notice=notice
    )
    return _split(join(documents))


def join(documents: Sequence[str]) -> str:
    """One text of many documents, :data:`DOCUMENT_END` after each but the last."""
    if not documents:
        return ""
    *before, last = documents
    return "".join(text.rstrip("\n") + DOCUMENT_END for text in before) + last


def _split(text: str) -> Text:
    """Cut a tenth off the end, between documents if there is an end of one close by."""
    cut = int(len(text) * (1 - HELD_OUT))
    near = text.find(DOCUMENT_END, cut, cut + int(len(text) * HELD_OUT / 2))
    if near >= 0:
        cut = near + len(DOCUMENT_END)
    return Text(text[:cut], text[cut:])
