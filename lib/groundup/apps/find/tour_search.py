"""The command ``groundup search``: a question answered from the model and index of a tour."""

from pathlib import Path

from rich.table import Table
from rich.text import Text

from groundup.lab.console import console
from groundup.lab.errors import UserError
from groundup.lab.records import runs_directory


def newest_tour(run: str | None = None) -> Path:
    """The directory of a tour that has a search index.

    Raises:
        UserError: there is none, or not under that name.
    """
    runs = runs_directory()
    if run is not None:
        if not (runs / run / "index").is_dir():
            raise UserError(f"{runs / run} is not a finished tour; groundup runs lists them")
        return runs / run
    found = sorted(path.parent for path in runs.glob("tour-*/index"))
    if not found:
        raise UserError(f"no finished tour in {runs}/: run groundup tour first")
    return found[-1]


def search_tour(question: str, top: int, run: str | None) -> None:
    """Answer a question from a tour's model and index."""
    directory = newest_tour(run)
    from groundup.embed.encoder import SentenceEncoder
    from groundup.embed.search import SearchIndex

    index = SearchIndex.load(directory / "index")
    encoder = SentenceEncoder.load(directory / "strong")
    table = Table(box=None, pad_edge=False)
    table.add_column("cosine", justify="right")
    table.add_column("symbol", overflow="fold")
    table.add_column("summary")
    for hit in index.search(encoder, question, top):
        table.add_row(f"{hit.score:.3f}", Text(hit.name), Text(hit.summary))
    console.print(table)
