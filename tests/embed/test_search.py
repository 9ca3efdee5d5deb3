"""The search index against brute force over the encoder's own vectors."""

from pathlib import Path

import numpy as np
import pytest
import torch

from groundup.data.docstrings import Entry
from groundup.data.tokenizer import train_tokenizer
from groundup.embed.encoder import SentenceEncoder
from groundup.embed.search import SearchIndex
from groundup.lab.errors import UserError
from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.modeling import NeoBERTModel

ENTRIES = [
    Entry("os.path.join", "os.path", "Join two or more path components.", "Insert a slash."),
    Entry("json.dumps", "json", "Serialize an object to a string.", "The result is JSON."),
    Entry("math.sqrt", "math", "Return the square root.", "Of a number that is not negative."),
]


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    texts = [f"{entry.name} {entry.summary} {entry.body}" for entry in ENTRIES]
    tokenizer = train_tokenizer(texts, vocab_size=400, min_frequency=1)
    torch.manual_seed(0)
    config = NeoBERTConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        embedding_std=1.0,
        zero_residual=True,
    )
    return SentenceEncoder(NeoBERTModel(config), tokenizer)


def test_finds_and_round_trips(encoder: SentenceEncoder, tmp_path: Path) -> None:
    index = SearchIndex.build(encoder, ENTRIES)
    np.testing.assert_allclose(np.linalg.norm(index.vectors, axis=1), 1, rtol=1e-5)
    for entry in ENTRIES:
        text = f"{entry.name} {entry.summary}"
        assert index.search(encoder, text, top=1)[0].name == entry.name
    hits = index.search(encoder, "join a path", top=3)
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert hits[0].name == "os.path.join"
    index.save(tmp_path / "index")
    again = SearchIndex.load(tmp_path / "index")
    assert again.names == index.names
    np.testing.assert_array_equal(again.vectors, index.vectors)


def test_errors(encoder: SentenceEncoder, tmp_path: Path) -> None:
    index = SearchIndex.build(encoder, ENTRIES)
    with pytest.raises(UserError, match="question is empty"):
        index.search(encoder, "  ")
    with pytest.raises(UserError, match="at least 1"):
        index.search(encoder, "x", top=0)
    with pytest.raises(UserError, match=r"the question holds half a character"):
        index.search(encoder, "caf\udce9")
    with pytest.raises(UserError, match="corpus is empty"):
        SearchIndex.build(encoder, [])
    with pytest.raises(UserError, match="no search index"):
        SearchIndex.load(tmp_path)
    index.save(tmp_path / "index")
    (tmp_path / "index" / "vectors.safetensors").write_bytes(b"cut")
    with pytest.raises(UserError, match=r"is damaged.*groundup tour"):
        SearchIndex.load(tmp_path / "index")
    (tmp_path / "index" / "vectors.safetensors").unlink()
    with pytest.raises(UserError, match=r"is damaged.*groundup tour"):
        SearchIndex.load(tmp_path / "index")
