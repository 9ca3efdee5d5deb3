"""The contrastive objective: batches of text pairs, and InfoNCE over the rows of every process."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor, nn

from groundup.data.strings import check_pairs, check_texts
from groundup.embed.batches import PairBatches
from groundup.embed.distributed import all_gather, row_offset
from groundup.embed.encoder import SentenceEncoder
from groundup.embed.lora import LoraSettings
from groundup.embed.losses import info_nce
from groundup.lab.errors import UserError
from groundup.lab.fingerprint import digest
from groundup.lab.ranges import require_positive, require_share, require_whole
from groundup.train.config import LoopConfig


@dataclass(frozen=True)
class ContrastiveConfig:
    """One contrastive run.

    Attributes:
        model: directory of the encoder to start from.
        pairs: a table, a folder of tables or a data set of the Hub, as
            :func:`groundup.data.texts.read_pairs` takes them; such as a JSON list of
            [query, document].
        output: directory for the trained encoder; its record is written beside it as .json.
        loop: how to train.
        batch_size: pairs a step over all processes, each of which takes an equal share.
        temperature: of InfoNCE.
        query_length: tokens read of a query.
        document_length: tokens read of a document.
        neighbours: share of a batch drawn as runs of neighbouring pairs in the file. Neighbours
            come from one module, so they are harder negatives than a random draw.
        columns: the two of ``pairs`` that make a pair, see there.
        encoding: of files of ``pairs`` and ``texts`` that are not UTF-8, see there.
        texts: texts for ``cloze``, as :func:`groundup.data.texts.read_documents` takes them. None:
            the documents of the pairs.
        cloze: share of the pairs that are replaced by a passage of a text and the rest of that
            text (the inverse cloze task, Lee et al., 2019, arXiv 1906.00300). Fewer are where the
            batch has used up the texts: no text is in a batch twice.
        lora: adapters on a frozen encoder. None: every weight is trained.
        merge: add the adapters to the weights before saving. Otherwise they are saved as PEFT's
            adapters, which need the directory ``model``.
        seed: of the batches.

    Raises:
        ValueError: a value that cannot be, with its name and what is allowed.
    """

    model: str
    pairs: str
    output: str
    loop: LoopConfig
    batch_size: int = 256
    temperature: float = 0.05
    query_length: int = 32
    document_length: int = 96
    neighbours: float = 0.0
    columns: tuple[str, str] | None = None
    encoding: str | None = None
    texts: str | None = None
    cloze: float = 0.0
    lora: LoraSettings | None = None
    merge: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        require_whole(
            batch_size=self.batch_size,
            query_length=self.query_length,
            document_length=self.document_length,
        )
        require_positive(temperature=self.temperature)
        require_share(neighbours=self.neighbours, cloze=self.cloze)
        require_whole(0, seed=self.seed)


@dataclass
class ContrastiveObjective:
    """The objective: each query finds its document among the batch's, and the other way round.

    No two pairs of a batch, over all processes, share a text: the second would be a false negative
    of the first.

    Attributes:
        pairs: (query, document) texts.
        texts: what ``config.cloze`` takes its passages from.
        encoder: its tokenizer cuts the texts.
        config: batch size, lengths, temperature.
        collect: brings in the rows of the other processes.
    """

    pairs: list[tuple[str, str]]
    encoder: SentenceEncoder
    config: ContrastiveConfig
    texts: list[str] = field(default_factory=list)
    collect: Callable[[Tensor], Tensor] = all_gather
    coupled: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        check_pairs(self.pairs)
        texts = list(check_texts(self.texts))
        config = self.config
        self._batches = PairBatches(
            self.pairs, texts, config.batch_size, config.neighbours, config.cloze, config.seed
        )

    def rows(self, index: int) -> np.ndarray:
        """The pairs of global batch ``index``, a seeded function of the position."""
        return np.array(self._batches.rows(index))

    def batch(self, index: int, rank: int, processes: int) -> tuple[dict[str, Tensor], ...]:
        """This process's share of batch ``index``: tokenized queries and documents.

        Raises:
            UserError: the processes can't have equal shares, which :func:`all_gather` needs.
        """
        if self.config.batch_size % processes:
            raise UserError(
                f"{processes} processes cannot share a batch of {self.config.batch_size} equally"
            )
        pairs = self._batches.batch(index)
        share = len(pairs) // processes
        queries, documents = zip(*pairs[rank * share : (rank + 1) * share], strict=True)
        return (
            self.encoder.tokenize(queries, self.config.query_length),
            self.encoder.tokenize(documents, self.config.document_length),
        )

    def description(self) -> dict[str, Any]:
        """What the batches depend on, see :class:`~groundup.train.objective.DescribedObjective`."""
        names = ("batch_size", "query_length", "document_length", "neighbours", "cloze", "seed")
        return {
            **{name: getattr(self.config, name) for name in names},
            "temperature": self.config.temperature,
            "pairs": len(self.pairs),
            "content": digest([self.pairs, self._batches.texts if self.config.cloze else []]),
        }

    def count(self, batch: tuple[dict[str, Tensor], ...]) -> int:
        """The pairs of this process."""
        return len(batch[0]["input_ids"])

    def loss(self, model: nn.Module, batch: tuple[dict[str, Tensor], ...]) -> Tensor:
        """InfoNCE in both directions, averaged, summed over this process's pairs."""
        device = next(model.parameters()).device
        moved = [{name: value.to(device) for name, value in part.items()} for part in batch]
        queries, documents = model(*moved)
        all_queries, all_documents = self.collect(queries), self.collect(documents)
        first = row_offset(len(queries)) if len(all_queries) > len(queries) else 0
        forward = info_nce(queries, all_documents, self.config.temperature, first)
        back = info_nce(documents, all_queries, self.config.temperature, first)
        return (forward + back) / 2 * len(queries)
