"""The contrastive objective: its batches, their shares in processes, and its loss."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from groundup.data.pairs import cloze
from groundup.embed.objective import ContrastiveObjective
from groundup.lab.errors import UserError
from groundup.train.loop import fit


def test_an_epoch_shows_every_pair_once(encoder, pairs, config):
    objective = ContrastiveObjective(pairs, encoder, config)
    first, second = ([objective.rows(3 * epoch + i) for i in range(3)] for epoch in (0, 1))
    assert sorted(np.concatenate(first)) == list(range(24))
    assert sorted(np.concatenate(second)) == list(range(24))
    assert [x.tolist() for x in first] != [x.tolist() for x in second]
    again = ContrastiveObjective(pairs, encoder, config)
    assert again.rows(4).tolist() == second[1].tolist()  # the position alone decides


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_neighbours_are_a_run_and_no_pair_comes_twice(encoder, pairs, config, share):
    objective = ContrastiveObjective(pairs, encoder, replace(config, neighbours=share))
    for index in range(40):
        rows = objective.rows(index).tolist()
        assert len(set(rows)) == len(rows) == 8
        spread, near = set(rows[: 8 - int(8 * share)]), rows[8 - int(8 * share) :]
        step = near[0]
        for row in near:  # consecutive, but for pairs the batch has already
            while step % 24 in spread:
                step += 1
            assert row == step % 24
            step += 1


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_the_shares_make_up_the_batch(encoder, pairs, config, processes):
    objective = ContrastiveObjective(pairs, encoder, config)
    queries, documents = objective.batch(1, 0, 1)
    shares = [objective.batch(1, rank, processes) for rank in range(processes)]
    assert [objective.count(share) for share in shares] == [8 // processes] * processes

    def texts(batch):
        return [encoder.tokenizer.decode(i, skip_special_tokens=True) for i in batch["input_ids"]]

    assert [text for q, _ in shares for text in texts(q)] == texts(queries)
    assert [text for _, d in shares for text in texts(d)] == texts(documents)


def test_the_loss_is_both_directions_summed(encoder, pairs, config):
    objective = ContrastiveObjective(pairs, encoder, config)
    batch = objective.batch(0, 0, 1)
    q, d = (F.normalize(v, dim=-1) for v in encoder(*batch))
    logits, labels = q @ d.T / 0.1, torch.arange(8)
    expected = sum(F.cross_entropy(x, labels, reduction="sum") for x in (logits, logits.T)) / 2
    torch.testing.assert_close(objective.loss(encoder, batch), expected)


def test_lengths_are_cut(encoder, pairs, config):
    cut = ContrastiveObjective(pairs, encoder, replace(config, query_length=5, document_length=7))
    queries, documents = cut.batch(0, 0, 1)
    assert queries["input_ids"].shape == (8, 5)
    assert documents["input_ids"].shape == (8, 7)


def test_too_few_pairs_and_unequal_shares_are_named(encoder, pairs, config):
    with pytest.raises(UserError, match="24 pairs do not fill a batch of 25"):
        ContrastiveObjective(pairs, encoder, replace(config, batch_size=25))
    with pytest.raises(UserError, match="3 processes cannot share a batch of 8"):
        ContrastiveObjective(pairs, encoder, config).batch(0, 0, 3)


def test_the_loop_trains_it(encoder, pairs, config):
    objective = ContrastiveObjective(pairs, encoder, config)
    losses = []
    fit(encoder, objective, replace(config.loop, steps=30), lambda step: losses.append(step.loss))
    assert np.mean(losses[-3:]) < 0.5 * np.mean(losses[:3])


def test_the_loop_refuses_to_accumulate_it(encoder, pairs, config):
    with pytest.raises(ValueError, match=r"ContrastiveObjective couples the rows.*got 2"):
        fit(
            encoder,
            ContrastiveObjective(pairs, encoder, config),
            replace(config.loop, accumulate=2),
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((n, v) for n in ("batch_size", "query_length", "document_length") for v in (0, -1, 1.5)),
        *(("temperature", v) for v in (0, -0.1, float("nan"), float("inf"))),
        *((n, v) for n in ("neighbours", "cloze") for v in (-0.1, 1.1, float("nan"))),
        ("seed", -1),
    ],
)
def test_what_cannot_be_is_refused_where_the_recipe_is_made(config, name, value):
    with pytest.raises(ValueError, match=rf"{name} must .*got {value}"):
        replace(config, **{name: value})


def test_cloze_passages_come_from_the_texts_alike_in_every_process(encoder, pairs, config):
    texts = [" ".join(f"word{i} in text {n}" for i in range(20)) for n in range(3)]
    objective = ContrastiveObjective(
        pairs, encoder, replace(config, cloze=1.0, document_length=500), texts
    )
    whole = objective.batch(3, 0, 1)
    shares = [objective.batch(3, rank, 2) for rank in range(2)]
    for side in (0, 1):
        rows = [row for share in shares for row in share[side]["input_ids"].tolist()]
        for ours, full in zip(rows, whole[side]["input_ids"].tolist(), strict=True):
            ends = ours.index(encoder.tokenizer.sep_token_id)
            assert ours[:ends] == full[:ends]
    passage, rest = cloze(texts[0], np.random.default_rng(0))
    words = texts[0].split()
    assert len(passage.split()) + len(rest.split()) == len(words)
    at = next(
        i
        for i in range(len(words))
        if words[:i] + words[i + len(passage.split()) :] == rest.split()
    )
    assert words[at : at + len(passage.split())] == passage.split()
    with pytest.raises(UserError, match="no text is long enough"):
        ContrastiveObjective(pairs, encoder, replace(config, cloze=0.5), ["too short"])
