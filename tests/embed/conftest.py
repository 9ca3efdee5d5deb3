"""A tokenizer and encoders small enough for float64 and for seconds."""

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerBase

from groundup.data.tokenizer import train_tokenizer
from groundup.embed.encoder import SentenceEncoder
from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.modeling import NeoBERTModel

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
    torch.manual_seed(0)
    config = NeoBERTConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        initializer_range=0.2,
        max_length=64,
        pad_token_id=tokenizer.pad_token_id,
    )
    return NeoBERTModel(config).eval()


@pytest.fixture
def encoder(neobert: NeoBERTModel, tokenizer: PreTrainedTokenizerBase) -> SentenceEncoder:
    weights = torch.linspace(0.5, 2, len(tokenizer))
    return SentenceEncoder(neobert, tokenizer, "weighted", weights)


@pytest.fixture
def causal(tokenizer: PreTrainedTokenizerBase) -> SentenceEncoder:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        initializer_range=0.2,
        pad_token_id=tokenizer.pad_token_id,
    )
    return SentenceEncoder(LlamaModel(config).eval(), tokenizer, "last")
