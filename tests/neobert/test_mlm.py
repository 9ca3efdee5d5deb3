"""What is hidden, which texts share a batch, and the floor a model must beat."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.data.tokenizer import train_tokenizer
from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.losses import IGNORE
from groundup.neobert.mlm import (
    MaskedText,
    init_bias_from_unigrams,
    log_frequencies,
    mask_tokens,
    masked_loss,
    pad_rows,
    tokenize_rows,
    unigram_loss,
)
from groundup.neobert.modeling import NeoBERTForMaskedLM

TEXTS = [" ".join(f"word{(7 * i + j * j) % 23} of" for j in range(3 + i % 11)) for i in range(120)]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, vocab_size=300, max_length=32)


@pytest.fixture(scope="module")
def data(tokenizer) -> MaskedText:
    return MaskedText(tokenize_rows(tokenizer, TEXTS, 32), tokenizer, batch_size=8, seed=3)


@pytest.fixture(scope="module")
def net(tokenizer) -> NeoBERTForMaskedLM:
    torch.manual_seed(0)
    config = NeoBERTConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_length=32,
        initializer_range=0.3,
    )
    return NeoBERTForMaskedLM(config).double()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# mask_tokens


@pytest.mark.parametrize("rate", [0.0, 0.15, 0.2, 0.4, 1.0])
def test_rate_over_100_000_tokens(rate):
    ids = torch.randint(4, 1000, (200, 625), generator=generator())
    maskable = torch.rand(ids.shape, generator=generator(1)) < 0.8
    hidden, labels = mask_tokens(ids, maskable, 3, rate, generator(2))
    assert maskable.sum() >= 99_000
    share = (labels[maskable] != IGNORE).double().mean()
    assert abs(share - rate) <= 0.01
    assert (labels[~maskable] == IGNORE).all()
    assert torch.equal(hidden[~maskable], ids[~maskable])


@settings(max_examples=30, deadline=None)
@given(rate=st.floats(0, 1), seed=st.integers(0, 2**63 - 1))
def test_hidden_tokens_become_mask_and_keep_their_label(rate, seed):
    ids = torch.randint(4, 50, (5, 20), generator=generator(1))
    before = ids.clone()
    maskable = torch.arange(20) % 3 > 0
    hidden, labels = mask_tokens(ids, maskable, 3, rate, generator(seed))
    chosen = labels != IGNORE
    assert torch.equal(ids, before)
    assert (hidden[chosen] == 3).all()
    assert torch.equal(labels[chosen], ids[chosen])
    assert torch.equal(hidden[~chosen], ids[~chosen])
    assert (labels[~chosen] == -100).all()


def test_the_choice_is_repeatable():
    ids, maskable = torch.arange(200).view(4, 50), torch.ones(4, 50, dtype=torch.bool)
    first, again, other = (mask_tokens(ids, maskable, 3, 0.2, generator(s))[0] for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_pad_rows():
    ids, mask = pad_rows([[5, 6, 7], [8]], pad_id=9)
    assert ids.tolist() == [[5, 6, 7], [8, 9, 9]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]


# MaskedText


def test_special_tokens_and_padding_are_never_hidden(data, tokenizer):
    special = torch.tensor(tokenizer.all_special_ids)
    total = 0
    for index in range(60):
        batch = data.batch(index)
        chosen = batch["labels"] != IGNORE
        total += int(chosen.sum())
        assert not torch.isin(batch["labels"][chosen], special).any()
        assert batch["attention_mask"][chosen].all()
        assert (batch["input_ids"][batch["attention_mask"] == 0] == tokenizer.pad_token_id).all()
        assert (batch["input_ids"][:, 0] == tokenizer.cls_token_id).all()
    assert total > 500


def test_labels_restore_the_text(data):
    batch = data.batch(5)
    chosen = batch["labels"] != IGNORE
    whole = torch.where(chosen, batch["labels"], batch["input_ids"])
    rows = [
        row[mask.bool()].tolist() for row, mask in zip(whole, batch["attention_mask"], strict=True)
    ]
    assert all(row in data.rows for row in rows)


def test_batches_are_a_function_of_position(data, tokenizer):
    fresh = MaskedText(data.rows, tokenizer, batch_size=8, seed=3)
    for index in (41, 0, 7):  # in any order, from another object
        once, again = data.batch(index), fresh.batch(index)
        assert once.keys() == again.keys() == {"input_ids", "attention_mask", "labels"}
        assert all(torch.equal(once[name], again[name]) for name in once)
    other = MaskedText(data.rows, tokenizer, batch_size=8, seed=4)
    assert any(
        not torch.equal(a, b)
        for a, b in zip(data.batch(0).values(), other.batch(0).values(), strict=True)
    ) or (data.batch(0)["input_ids"].shape != other.batch(0)["input_ids"].shape)


def test_processes_share_the_batches_of_one(data):
    alone = [data.batch(index) for index in range(12)]
    for index in range(4):
        for rank in range(3):
            shared = data.batch(index, rank, processes=3)
            assert torch.equal(shared["input_ids"], alone[3 * index + rank]["input_ids"])


def _texts(data, batch) -> list[tuple[int, ...]]:
    whole = torch.where(batch["labels"] != IGNORE, batch["labels"], batch["input_ids"])
    pairs = zip(whole, batch["attention_mask"], strict=True)
    return [tuple(row[mask.bool()].tolist()) for row, mask in pairs]


def test_an_epoch_holds_each_text_once_and_masks_it_anew(data):
    batches = len(data.rows) // 8
    epochs = [[data.batch(epoch * batches + i) for i in range(batches)] for epoch in range(2)]
    first, second = (Counter(t for b in epoch for t in _texts(data, b)) for epoch in epochs)
    assert first == second
    assert sum(first.values()) == batches * 8
    assert first <= Counter(map(tuple, data.rows))
    orders = [[tuple(_texts(data, b)[0]) for b in epoch] for epoch in epochs]
    assert orders[0] != orders[1]
    hidden = [
        {
            (text, tuple(labels.tolist()))
            for batch in epoch
            for text, labels in zip(_texts(data, batch), batch["labels"], strict=True)
        }
        for epoch in epochs
    ]
    assert hidden[0] != hidden[1]


@pytest.mark.parametrize("count", [8, 9, 15, 16, 21, 23])
def test_an_epoch_leaves_no_text_out(tokenizer, count):
    """The longest ones neither, whose batch the texts do not fill."""
    rows = tokenize_rows(tokenizer, TEXTS, 32)[:count]
    rows = [[*row[:-1], *[300 + i] * i, row[-1]] for i, row in enumerate(rows)]  # all distinct
    uneven = MaskedText(rows, tokenizer, batch_size=8)
    batches = [uneven.batch(index) for index in range(-(-count // 8))]
    met = Counter(text for batch in batches for text in _texts(uneven, batch))
    assert met == Counter(map(tuple, rows))
    sizes = [len(batch["input_ids"]) for batch in batches]
    assert max(sizes) <= 8
    assert max(sizes) - min(sizes) <= 1


def test_a_batch_hides_at_least_one_token(tokenizer):
    rows = [[tokenizer.cls_token_id, 100 + i, 200 + i, tokenizer.sep_token_id] for i in range(4)]
    tiny = MaskedText(rows, tokenizer, batch_size=1, rate=0.01)
    special = torch.tensor(tokenizer.all_special_ids)
    places = Counter()
    for index in range(100):
        batch = tiny.batch(index)
        chosen = batch["labels"] != IGNORE
        assert tiny.count(batch) >= 1
        assert not torch.isin(batch["labels"][chosen], special).any()
        places += Counter(chosen.nonzero()[:, 1].tolist())
    assert set(places) == {1, 2}  # either word, by chance


def test_masks_of_positions_differ(tokenizer):
    """Seeds that collide would hide the same tokens of one text, epoch after epoch."""
    row = [tokenizer.cls_token_id, *range(100, 128), tokenizer.sep_token_id]
    masks = {
        (seed, index): tuple(
            MaskedText([row], tokenizer, 1, seed=seed).batch(index)["labels"].flatten().tolist()
        )
        for seed in range(10)
        for index in range(20)
    }
    assert len(set(masks.values())) > 190


def test_a_batch_that_comes_again_is_masked_anew(data, tokenizer):
    alone = MaskedText(data.rows[:8], tokenizer, batch_size=8)  # one batch is the whole epoch
    first, second = alone.batch(0), alone.batch(1)
    assert _texts(alone, first) == _texts(alone, second)
    assert not torch.equal(first["labels"], second["labels"])


def test_texts_of_like_length_share_a_batch(data):
    filled = [float(data.batch(i)["attention_mask"].double().mean()) for i in range(10)]
    random_rows = pad_rows(data.rows[:8], 0)[1].double().mean()
    assert np.mean(filled) > max(0.9, random_rows)


def test_rate_reaches_the_batches(data, tokenizer):
    heavy = MaskedText(data.rows, tokenizer, batch_size=8, rate=0.5)
    special = torch.tensor(tokenizer.all_special_ids)
    hidden = maskable = 0
    for index in range(60):
        batch = heavy.batch(index)
        hidden += heavy.count(batch)
        known = torch.where(batch["labels"] != IGNORE, batch["labels"], batch["input_ids"])
        maskable += int((~torch.isin(known, special)).sum())
    assert hidden / maskable == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("batch_size", each) for each in (0, -4, 2.5, float("nan"), True)),
        *(("rate", each) for each in (0, -0.1, 1.1, float("nan"))),
        *(("seed", each) for each in (-1, 0.5)),
    ],
)
def test_what_cannot_be_is_named(tokenizer, name, value):
    with pytest.raises(ValueError, match=rf"{name} must .*got {value}"):
        MaskedText([[1, 2]] * 3, tokenizer, **{"batch_size": 2, name: value})


def test_lengths_that_cannot_be_are_named(tokenizer):
    for wrong in ((0, 1), (8, 0), (4, 8)):
        with pytest.raises(ValueError, match="length"):
            tokenize_rows(tokenizer, TEXTS, *wrong)
    with pytest.raises(ValueError, match="at least one row"):
        pad_rows([], 0)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_small_integer_ids_are_masked_as_large_ones(dtype):
    ids = torch.randint(4, 120, (4, 30), generator=generator()).to(dtype)
    maskable = torch.ones(4, 30, dtype=torch.bool)
    small = mask_tokens(ids, maskable, 3, 0.4, generator(1))
    large = mask_tokens(ids.long(), maskable, 3, 0.4, generator(1))
    for a, b in zip(small, large, strict=True):
        assert a.dtype == torch.int64
        assert torch.equal(a, b)
    with pytest.raises(ValueError, match="maskable must be boolean"):
        mask_tokens(ids, maskable.long(), 3, 0.4, generator(1))


def test_too_few_texts_are_named(tokenizer):
    with pytest.raises(ValueError, match="3 texts do not fill a batch of 4"):
        MaskedText([[1, 2]] * 3, tokenizer, batch_size=4)


# Losses


def test_the_loss_is_a_sum_and_counts_what_it_sums(data, net):
    batch = data.batch(2)
    chosen = batch["labels"] != IGNORE
    with torch.no_grad():
        logits = net(batch["input_ids"], batch["attention_mask"]).logits
        loss = data.loss(net, batch)
    surprise = -logits.log_softmax(-1)[chosen].gather(-1, batch["labels"][chosen][:, None])
    assert data.count(batch) == int(chosen.sum()) > 0
    torch.testing.assert_close(loss, surprise.sum(), rtol=1e-10, atol=0)


def test_accumulated_sums_over_the_joint_count_are_the_mean_of_all(data, net):
    """What the training loop does with this objective, against one mean over both batches."""
    batches = [data.batch(0), data.batch(1)]
    count = sum(map(data.count, batches))
    for batch in batches:
        (data.loss(net, batch) / count).backward()
    received = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    surprises = []
    for batch in batches:
        chosen = batch["labels"] != IGNORE
        shares = net(batch["input_ids"], batch["attention_mask"]).logits.log_softmax(-1)[chosen]
        surprises.append(-shares.gather(-1, batch["labels"][chosen][:, None]))
    torch.cat(surprises).mean().backward()
    for p, gradient in zip(net.parameters(), received, strict=True):
        torch.testing.assert_close(gradient, p.grad, rtol=1e-6, atol=1e-9)
    net.zero_grad()


def test_masked_loss_is_the_mean_over_hidden_tokens(data, net):
    mean, labels = masked_loss(net, data, 3)
    total = sum(float(data.loss(net, data.batch(i)).detach()) for i in range(3))
    count = sum(data.count(data.batch(i)) for i in range(3))
    assert mean == pytest.approx(total / count, rel=1e-9)
    assert int((labels != IGNORE).sum()) == count
    assert labels.dim() == 1


def test_masked_loss_gives_the_modes_back(data, net):
    net.train()
    net.model.transformer_encoder[0].eval()
    before = [module.training for module in net.modules()]
    masked_loss(net, data, 1)
    assert [module.training for module in net.modules()] == before
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "loss", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            masked_loss(net, data, 1)
    assert [module.training for module in net.modules()] == before
    net.train()
    for batches in (0, -1, 1.5):
        with pytest.raises(ValueError, match=rf"batches must .*got {batches}"):
            masked_loss(net, data, batches)


def test_ids_outside_the_vocabulary_are_named():
    frequencies = log_frequencies([[0, 1]], 2)
    for wrong in ([[0, 2]], [[-1, 0]]):
        with pytest.raises(ValueError, match=r"\[0, 2\)"):
            log_frequencies(wrong, 2)
        with pytest.raises(ValueError, match=r"\[0, 2\)"):
            unigram_loss(frequencies, torch.tensor(wrong))
    with pytest.raises(ValueError, match="none of 2 labels"):
        unigram_loss(frequencies, torch.tensor([-100, -100]))
    small = unigram_loss(log_frequencies([range(200)], 200), torch.tensor([156], dtype=torch.uint8))
    assert small == pytest.approx(np.log(200), rel=1e-6)


def test_unigram_loss_in_closed_form():
    # Counts plus one: 3, 2, 1, 1 of 7. Tokens 0, 1 and 3 are hidden.
    labels = torch.tensor([[0, -100], [1, 3]])
    expected = -(np.log(3 / 7) + np.log(2 / 7) + np.log(1 / 7)) / 3
    frequencies = log_frequencies([[0, 0], [1]], 4)
    assert unigram_loss(frequencies, labels) == pytest.approx(expected, rel=1e-6)


def test_unigram_loss_of_its_own_text_is_near_its_entropy():
    rng = np.random.default_rng(0)
    shares = np.array([0.5, 0.25, 0.125, 0.125])
    tokens = rng.choice(4, size=200_000, p=shares)
    loss = unigram_loss(log_frequencies([tokens], 4), torch.from_numpy(tokens))
    assert loss == pytest.approx(-(shares * np.log(shares)).sum(), abs=0.01)


def test_a_decoder_that_begins_at_frequencies_scores_the_unigram_loss(tokenizer, data):
    torch.manual_seed(0)
    config = NeoBERTConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
    )
    model = NeoBERTForMaskedLM(config)
    frequencies = log_frequencies(data.rows, len(tokenizer))
    init_bias_from_unigrams(model.decoder, frequencies)
    loss, labels = masked_loss(model, data, 3)
    assert loss == pytest.approx(unigram_loss(frequencies, labels), rel=1e-5)


def test_rows_are_cut_and_short_ones_left_out(tokenizer):
    rows = tokenize_rows(tokenizer, ["a", "one two three four five six seven", "x " * 99], 16)
    assert [len(row) <= 16 for row in rows] == [True, True]
    assert len(rows[1]) == 16
    for row in rows:
        assert (row[0], row[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
