"""Pairs of texts, a tokenizer for them, encoders, and the configuration of a short run."""

import numpy as np
import pytest
import torch
from tiny_models import tiny_llama, tiny_neobert
from transformers import PreTrainedTokenizerBase

from groundup.data.tokenizer import train_tokenizer
from groundup.embed.encoder import SentenceEncoder
from groundup.embed.objective import ContrastiveConfig
from groundup.neobert.modeling import NeoBERTModel
from groundup.train.config import LoopConfig

_WORDS = [
    *("open", "read", "write", "close", "file", "path", "socket", "queue"),
    *("thread", "lock", "date", "time", "parse", "print", "sort"),
]


@pytest.fixture(scope="session")
def pairs() -> list[tuple[str, str]]:
    """24 pairs that share a word: (query, document), no two texts alike."""
    rng = np.random.default_rng(0)
    result = []
    for i in range(24):
        a, b, c = rng.choice(_WORDS, 3, replace=False)
        result.append((f"{a} the {b} number {i}", f"how to {a} a {b} with {c} in case {i} of many"))
    return result


@pytest.fixture(scope="session")
def tokenizer(pairs: list[tuple[str, str]]) -> PreTrainedTokenizerBase:
    return train_tokenizer([text for pair in pairs for text in pair], vocab_size=320)


@pytest.fixture
def neobert(tokenizer: PreTrainedTokenizerBase) -> NeoBERTModel:
    return tiny_neobert(tokenizer)


@pytest.fixture
def encoder(neobert: NeoBERTModel, tokenizer: PreTrainedTokenizerBase) -> SentenceEncoder:
    weights = torch.linspace(0.5, 2, len(tokenizer))
    return SentenceEncoder(neobert, tokenizer, "weighted", weights)


@pytest.fixture
def causal(tokenizer: PreTrainedTokenizerBase) -> SentenceEncoder:
    model = tiny_llama(tokenizer, pad_token_id=tokenizer.pad_token_id)
    return SentenceEncoder(model, tokenizer, "last")


@pytest.fixture
def config() -> ContrastiveConfig:
    loop = LoopConfig(steps=4, lr=1e-2, lr_scale={"token_weights": 2.0}, no_decay=("a", "b"))
    return ContrastiveConfig("model", "pairs", "output", loop, batch_size=8, temperature=0.1)
