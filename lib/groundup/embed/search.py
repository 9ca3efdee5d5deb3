"""Search by meaning over the documentation of the reader's own packages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from groundup.data.docstrings import Entry
from groundup.data.strings import lone_surrogate
from groundup.embed.encoder import SentenceEncoder
from groundup.lab.errors import UserError
from groundup.lab.files import atomic_directory, read_json, write_json


@dataclass(frozen=True)
class SearchHit:
    """One answer: a symbol, its one-line summary, and the cosine to the question."""

    name: str
    summary: str
    score: float


@dataclass(frozen=True)
class SearchIndex:
    """Unit vectors of documents, with what to show for each.

    Attributes:
        names: N symbols.
        summaries: N lines.
        vectors: (N, D) float32.
        max_length: tokens read of a question.
    """

    names: list[str]
    summaries: list[str]
    vectors: NDArray[np.float32]
    max_length: int

    @classmethod
    def build(
        cls,
        encoder: SentenceEncoder,
        entries: Sequence[Entry],
        max_length: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> "SearchIndex":
        """Encode entries by name and summary: what a question resembles most.

        Args:
            encoder: of the entries and, later, of the questions.
            entries: what is searched.
            max_length: tokens read of each. None: the encoder's own number.
            progress: called with (texts done, all).

        Raises:
            UserError: there is nothing to index.
        """
        if not entries:
            raise UserError("nothing to search in: the corpus is empty")
        texts = [f"{entry.name} {entry.summary}" for entry in entries]
        length = encoder.max_length if max_length is None else max_length
        vectors = encoder.encode(texts, length, progress=progress)
        names, summaries = [e.name for e in entries], [e.summary for e in entries]
        return cls(names, summaries, vectors, length)

    def search(self, encoder: SentenceEncoder, question: str, top: int = 5) -> list[SearchHit]:
        """The nearest entries, best first.

        Raises:
            UserError: the question is empty or not text, or asks for fewer than one answer.
        """
        if not question.strip():
            raise UserError('the question is empty; ask for example "how do I join two paths"')
        if half := lone_surrogate(question):
            raise UserError(f"the question holds {half}: the terminal's encoding is not UTF-8")
        if top < 1:
            raise UserError(f"top must be at least 1: got {top}")
        scores = self.vectors @ encoder.encode([question], self.max_length)[0]
        best = np.argsort(-scores, kind="stable")[:top]
        return [SearchHit(self.names[i], self.summaries[i], float(scores[i])) for i in best]

    def save(self, directory: Path) -> None:
        """Write the index, atomically."""
        with atomic_directory(directory) as temporary:
            save_file({"vectors": self.vectors}, temporary / "vectors.safetensors")
            content = {"names": self.names, "summaries": self.summaries}
            write_json(temporary / "entries.json", {**content, "max_length": self.max_length})

    @classmethod
    def load(cls, directory: Path) -> "SearchIndex":
        """Read what :meth:`save` wrote.

        Raises:
            UserError: there is no index there, or it is damaged.
        """
        content = read_json(directory / "entries.json")
        if content is None:
            raise UserError(f"no search index in {directory}")
        try:
            vectors = load_file(directory / "vectors.safetensors")["vectors"]
            return cls(content["names"], content["summaries"], vectors, content["max_length"])
        except (OSError, KeyError, TypeError, SafetensorError) as error:
            raise UserError(
                f"the search index in {directory} is damaged ({error}); run groundup tour again"
            ) from error
