"""Every function that takes texts from a caller refuses what is not one, and says which."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from groundup.data.tokenizer import train_tokenizer
from groundup.embed.encoder import SentenceEncoder
from groundup.embed.objective import ContrastiveConfig, ContrastiveObjective
from groundup.embed.retrieval import RetrievalTask
from groundup.neobert.generation import generate_text
from groundup.neobert.mlm import tokenize_rows
from groundup.neobert.modeling import NeoBERTForMaskedLM
from groundup.neobert.perplexity import PerplexityEvaluator
from groundup.train.config import LoopConfig

Take = Callable[[SentenceEncoder, list[Any]], object]


def _evaluate(encoder: SentenceEncoder, texts: list[Any]) -> object:
    model = NeoBERTForMaskedLM(encoder.backbone.config)
    return PerplexityEvaluator(model, encoder.tokenizer).evaluate(texts)


def _contrast(encoder: SentenceEncoder, pairs: list[tuple[Any, Any]], **more: Any) -> object:
    config = ContrastiveConfig("model", "pairs", "output", LoopConfig(steps=1), batch_size=1)
    return ContrastiveObjective(pairs, encoder, replace(config, cloze=0.0), **more)


TAKERS: dict[str, Take] = {
    "train_tokenizer": lambda _, texts: train_tokenizer(texts),
    "tokenize_rows": lambda encoder, texts: tokenize_rows(encoder.tokenizer, texts, 8),
    "evaluate": _evaluate,
    "write": lambda encoder, texts: generate_text(encoder.backbone, encoder.tokenizer, texts),
    "queries": lambda _, texts: RetrievalTask.from_pairs([(text, "d") for text in texts]),
    "documents": lambda _, texts: RetrievalTask.from_pairs([("q", text) for text in texts]),
    "pairs": lambda encoder, texts: _contrast(encoder, [(text, "d") for text in texts]),
    "cloze": lambda encoder, texts: _contrast(encoder, [("q", "d")], texts=texts),
}


@pytest.mark.parametrize("wrong", [None, float("nan"), b"bytes", "half \ud83d"])
@pytest.mark.parametrize("taker", TAKERS)
def test_the_text_is_named(encoder: SentenceEncoder, taker: str, wrong: object) -> None:
    with pytest.raises(ValueError, match=r"\w+\[1\] (is|holds) "):
        TAKERS[taker](encoder, ["one text of some words", wrong])


@pytest.mark.parametrize(
    "taker", ["train_tokenizer", "tokenize_rows", "evaluate", "write", "cloze"]
)
def test_one_string_is_not_a_list_of_its_letters(encoder: SentenceEncoder, taker: str) -> None:
    with pytest.raises(ValueError, match="are a list of strings, not one"):
        TAKERS[taker](encoder, "one text")  # type: ignore[arg-type]
