"""The trained tokenizer: deterministic, complete over bytes, and one token for one word."""

import random
import re
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from groundup.data.tokenizer import SPECIAL_TOKENS, train_tokenizer

WORDS = [
    "join",
    "paths",
    "read",
    "a",
    "file",
    "and",
    "return",
    "the",
    "first",
    "line",
    "of",
    "text",
    "server",
    "http",
    "Ökonomie",
]


def texts() -> list[str]:
    rng = random.Random(0)
    return [" ".join(rng.choices(WORDS, k=8)) + "." for _ in range(200)]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(texts(), vocab_size=400, max_length=32)


def test_training_is_deterministic(tokenizer: PreTrainedTokenizerFast) -> None:
    again = train_tokenizer(iter(texts()), vocab_size=400, max_length=32)
    assert again.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()


def test_special_tokens_come_first_and_wrap(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenizer.convert_ids_to_tokens([0, 1, 2, 3]) == list(SPECIAL_TOKENS)
    ids = tokenizer("join paths")["input_ids"]
    assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
    assert tokenizer("a [MASK] b")["input_ids"][2] == tokenizer.mask_token_id


@pytest.mark.parametrize(
    "written", ["to join", "os.path.join", "(join)", "join_paths", "joinPaths", "HTTPJoin", "JOIN"]
)
def test_a_word_is_one_token_wherever_it_stands(
    tokenizer: PreTrainedTokenizerFast, written: str
) -> None:
    (join,) = tokenizer("join", add_special_tokens=False)["input_ids"]
    assert join in tokenizer(written)["input_ids"]


@settings(max_examples=100, deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=40))
def test_decoding_gives_the_words_back(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assume(not any(special in text for special in SPECIAL_TOKENS))
    encoding = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)
    decoded = tokenizer.backend_tokenizer.decode(encoding.ids)
    normal = tokenizer.backend_tokenizer.normalizer.normalize_str(text)
    assert re.sub(r"\s", "", decoded) == re.sub(r"[\s_]", "", normal)


def test_a_saved_directory_loads_with_transformers(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = "Read the first line, joinPaths and 12345 日本."
    assert loaded(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert loaded.model_max_length == 32
    batch = loaded(["join", "join paths"], padding=True)
    assert batch["input_ids"][0][-1] == loaded.pad_token_id
    assert set(batch) == {"input_ids", "attention_mask"}


def test_a_vocabulary_without_room_for_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 260: got 100"):
        train_tokenizer(["text"], vocab_size=100)
