"""No text comes twice in a batch, whatever the pairs share, and none is left out for good."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.embed.batches import PairBatches
from groundup.embed.objective import ContrastiveConfig, ContrastiveObjective
from groundup.lab.errors import UserError
from groundup.train.config import LoopConfig


def plain(text: str) -> str:
    return " ".join(text.lower().split())


def repeated(batch: list[tuple[str, str]]) -> set[str]:
    """Texts that two pairs of a batch share, on whichever side."""
    seen: set[str] = set()
    twice: set[str] = set()
    for pair in batch:
        texts = {plain(text) for text in pair}
        twice |= texts & seen
        seen |= texts
    return twice


# Two questions for each document, written in different ways, and one question with two answers.
SHARED = [
    *((f"question {i}", f"Document {i // 2} of  many") for i in range(40)),
    *((f"QUESTION {i}", f"another document {i}") for i in range(0, 40, 4)),
    *((f"document {i} of many", f"a third document {i}") for i in range(5)),
]


@pytest.mark.parametrize("neighbours", [0.0, 0.5, 1.0])
def test_no_text_comes_twice_and_every_pair_comes(neighbours):
    batches = PairBatches(SHARED, [], 12, neighbours)
    seen: set[tuple[str, str]] = set()
    for index in range(1000):
        batch = batches.batch(index)
        assert len(batch) == 12
        assert not repeated(batch)
        seen |= set(batch)
    assert seen == set(SHARED)


@settings(max_examples=60, deadline=None)
@given(
    data=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=30),
    neighbours=st.sampled_from([0.0, 0.4, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_pairs_make_full_batches_or_are_refused(data, neighbours, seed):
    pairs = [(f"text {a}", f"text {b}") for a, b in data]
    size = 1
    while True:
        try:
            batches = PairBatches(pairs, [], size, neighbours, seed=seed)
        except UserError:
            break
        for index in range(6):
            batch = batches.batch(index)
            assert len(batch) == size
            assert not repeated(batch)
            assert batches.batch(index) == batch
        size += 1
    assert size > 1  # one pair always makes a batch


def test_a_first_choice_that_shuts_out_the_others_is_given_up():
    # A batch of two must leave out the pair in the middle, which shares a text with both others.
    chain = [("a", "b"), ("b", "c"), ("c", "d")]
    for seed in range(20):
        batch = PairBatches(chain, [], 2, seed=seed).batch(0)
        assert set(batch) == {("a", "b"), ("c", "d")}


def test_too_few_texts_are_named():
    pairs = [(f"question {i}", f"document {i % 3}") for i in range(9)]
    with pytest.raises(UserError, match=r"3 pairs \(6 more share a text with them\) do not fill"):
        PairBatches(pairs, [], 4)


LONG = [" ".join(f"word{i} of text {n}" for i in range(8)) for n in range(30)]


@pytest.mark.parametrize("share", [0.3, 1.0])
@pytest.mark.parametrize("count", [3, 30])
def test_no_two_passages_of_a_text(share, count):
    """Texts are also the pairs' documents, and some are there twice: spaced in another way."""
    pairs = [(f"question {n}", text) for n, text in enumerate(LONG)]
    texts = [*LONG[:count], *(text.upper().replace(" ", "  ") for text in LONG[:count])]
    batches = PairBatches(pairs, texts, 8, cloze=share)
    passages = 0
    for index in range(30):
        origins = []
        for query, document in batches.batch(index):
            (number,) = {word for word in plain(document).split() if word.isdigit()}
            origins.append(number)
            passages += not query.startswith("question")
        assert len(set(origins)) == 8, origins
    assert passages > 0
    if count == 30:
        deviation = (share * (1 - share) / (30 * 8)) ** 0.5
        assert abs(passages / (30 * 8) - share) <= 4 * deviation


def test_processes_share_one_batch(encoder):
    config = ContrastiveConfig("", "", "", LoopConfig(steps=1), batch_size=12, document_length=60)
    objective = ContrastiveObjective(SHARED, encoder, replace(config, cloze=0.4), LONG)
    for index in range(10):
        texts = [
            plain(encoder.tokenizer.decode(ids, skip_special_tokens=True))
            for rank in range(3)
            for ids in objective.batch(index, rank, 3)[1]["input_ids"]
        ]
        assert len(texts) == len(set(texts)) == 12


def test_an_epoch_of_pairs_without_a_common_text_is_a_permutation():
    pairs = [(f"q{i}", f"d{i}") for i in range(23)]
    batches = PairBatches(pairs, [], 5)
    for epoch in range(3):
        rows = np.concatenate([batches.rows(4 * epoch + i) for i in range(4)])
        assert len(set(rows.tolist())) == 20
