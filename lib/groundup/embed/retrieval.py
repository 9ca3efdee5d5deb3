"""Retrieval on the reader's own documentation: mteb's evaluator, BM25 beside it, intervals."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundup.data.strings import check_pairs
from groundup.embed.encoder import SentenceEncoder
from groundup.lab.errors import UserError
from groundup.lab.ranges import require_whole

Scores = NDArray[np.float32]

_CAMEL_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORD = r"[a-z]+|\d+"


@dataclass(frozen=True)
class RetrievalResult:
    """What one system scored.

    Attributes:
        ndcg: nDCG@10, the mean over queries.
        recall: recall@10, likewise.
        per_query: (N,) nDCG@10 of each query, for intervals.
    """

    ndcg: float
    recall: float
    per_query: NDArray[np.float64]


@dataclass(frozen=True)
class RetrievalTask:
    """Query i is answered by document i, and by no other."""

    queries: list[str]
    documents: list[str]

    @classmethod
    def from_pairs(cls, pairs: Sequence[tuple[str, str]]) -> "RetrievalTask":
        """A task from (query, document) pairs.

        Raises:
            UserError: there is no pair.
            ValueError: a text of a pair is not a string.
        """
        if not pairs:
            raise UserError("a retrieval task needs at least one pair; the corpus split has none")
        return cls(*check_pairs(pairs))


def retrieval_metrics(scores: Scores) -> RetrievalResult:
    r"""nDCG@10 and recall@10 where document i is the one right answer to query i.

    With one right answer at rank r (from 1), the ideal gain is 1 and
    :math:`\mathrm{nDCG@10} = [r \le 10] / \log_2(1 + r)` (Järvelin and Kekäläinen, 2002).

    Args:
        scores: (N, M), query by document, M ≥ N; higher is better. Ties count against the right
            document, so a constant score earns nothing, and neither does NaN.
    """
    right = scores[np.arange(len(scores)), np.arange(len(scores))]
    ranks = (~(scores < right[:, None])).sum(1)
    per_query = np.where(ranks <= 10, 1 / np.log2(1 + ranks), 0.0)
    return RetrievalResult(float(per_query.mean()), float((ranks <= 10).mean()), per_query)


def bm25(task: RetrievalTask) -> RetrievalResult:
    """BM25 (Robertson and Zaragoza, 2009) from the bm25s library, on whole documents.

    Lucene's form with k1 = 1.5 and b = 0.75, lower-cased words, English stop words left out, and
    identifiers cut at underscores and capitals: the strongest setting of those we tried.
    """
    import bm25s

    def words(texts: list[str]) -> list[list[str]]:
        cut = [_CAMEL_CASE.sub(" ", text) for text in texts]
        tokens: list[list[str]] = bm25s.tokenize(
            cut, token_pattern=_WORD, stopwords="en", show_progress=False, return_ids=False
        )
        return tokens

    retriever = bm25s.BM25()
    retriever.index(words(task.documents), show_progress=False)
    known = retriever.vocab_dict
    rows = [
        retriever.get_scores(found)
        if (found := [w for w in query if w in known])
        else np.zeros(len(task.documents))
        for query in words(task.queries)
    ]
    return retrieval_metrics(np.stack(rows).astype(np.float32))


def evaluate_retrieval(
    encoder: SentenceEncoder, task: RetrievalTask, max_length: int | None = None
) -> RetrievalResult:
    """Run a task through mteb.

    Args:
        encoder: what is evaluated.
        task: queries and documents.
        max_length: tokens read of each text. None: the encoder's own number.

    Returns:
        mteb's nDCG@10 and recall@10, with the nDCG@10 of each query from the same vectors.
    """
    import mteb

    model = _MtebEncoder(encoder, max_length)
    result = mteb.evaluate(
        model, _mteb_task(task), cache=None, co2_tracker=False, show_progress_bar=False
    )
    scores = result.task_results[0].scores["test"][0]
    ours = retrieval_metrics(model.vectors(task.queries) @ model.vectors(task.documents).T)
    return RetrievalResult(scores["ndcg_at_10"], scores["recall_at_10"], ours.per_query)


def paired_bootstrap(
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    rng: np.random.Generator,
    draws: int = 10_000,
    confidence: float = 0.95,
) -> tuple[float, float, float]:
    """How sure is a difference of two systems on the same queries?

    Queries are drawn with replacement, both systems' scores together (Efron, 1979).

    Args:
        ours: (N,) scores of one system.
        theirs: (N,) scores of the other, the same queries in the same order.
        rng: draws the samples.
        draws: how many.
        confidence: of the interval.

    Returns:
        The mean difference, and the ends of its interval.

    Raises:
        ValueError: the two do not have the same length, or are empty; there is no draw, or the
            confidence is outside (0, 1).
    """
    require_whole(draws=draws)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be above 0 and below 1: got {confidence}")
    if ours.shape != theirs.shape or not ours.size:
        raise ValueError(f"need the same queries for both: got {ours.shape} and {theirs.shape}")
    difference = ours - theirs
    rows = rng.integers(len(difference), size=(draws, len(difference)))
    means = difference[rows].mean(1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(difference.mean()), float(low), float(high)


class _MtebEncoder:
    """A :class:`SentenceEncoder` in the shape mteb expects; each text is encoded once."""

    def __init__(self, encoder: SentenceEncoder, max_length: int | None) -> None:
        from mteb.models import ModelMeta

        self.mteb_model_meta = ModelMeta.create_empty(
            overwrites={"name": "groundup/local", "revision": "local"}
        )
        self._encoder = encoder
        self._max_length = max_length
        self._known: dict[str, Scores] = {}

    def vectors(self, texts: Sequence[str]) -> Scores:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            vectors = self._encoder.encode(new, self._max_length)
            self._known |= dict(zip(new, vectors, strict=True))
        return np.stack([self._known[text] for text in texts])

    def encode(self, inputs: Any, **_: Any) -> Scores:
        return self.vectors([text for batch in inputs for text in batch["text"]])

    def similarity(self, a: Any, b: Any) -> Any:
        import torch

        return torch.as_tensor(a) @ torch.as_tensor(b).T

    def similarity_pairwise(self, a: Any, b: Any) -> Any:
        import torch

        return (torch.as_tensor(a) * torch.as_tensor(b)).sum(-1)


def _mteb_task(task: RetrievalTask) -> Any:
    from datasets import Dataset
    from mteb.abstasks import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    class Documentation(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="DocumentationRetrieval",
            description="Find the documentation of a symbol from its one-line summary.",
            dataset={"path": "local", "revision": "local"},
            type="Retrieval",
            category="t2t",
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="ndcg_at_10",
        )

        def load_data(self, num_proc: int | None = None, **_: Any) -> None:
            documents = [
                {"id": f"d{i}", "title": "", "text": text} for i, text in enumerate(task.documents)
            ]
            queries = [{"id": f"q{i}", "text": text} for i, text in enumerate(task.queries)]
            split: Any = {
                "corpus": Dataset.from_list(documents),
                "queries": Dataset.from_list(queries),
                "relevant_docs": {f"q{i}": {f"d{i}": 1} for i in range(len(queries))},
                "top_ranked": None,
            }
            self.dataset = {"default": {"test": split}}
            self.data_loaded = True

    return Documentation()
