"""Language modelling: what rows and batches hold, the loss against torch, and its units."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.scratch.decoder import Decoder, DecoderConfig
from groundup.scratch.gradcheck import compare, numerical_gradient
from groundup.scratch.language import (
    IGNORE,
    Rows,
    bits_per_byte,
    evaluate,
    loss_and_gradients,
    next_token_loss,
    next_token_loss_backward,
    perplexity,
    question_rows,
    train,
    windows,
)
from groundup.scratch.trainer import TrainConfig

fast = settings(max_examples=30, deadline=None)
TINY = DecoderConfig(vocabulary=5, width=4, heads=2, layers=1, hidden=4, max_length=8)


@fast
@given(length=st.integers(1, 6), extra=st.integers(1, 20))
def test_windows_hold_the_text_once(length, extra):
    text = np.arange(length + extra)
    rows = windows(text, length)
    read = rows.ids.ravel()
    np.testing.assert_array_equal(read, text[: len(read)])
    np.testing.assert_array_equal(rows.targets, rows.ids + 1)  # the text counts up by one
    assert rows.ids.shape == rows.targets.shape == (len(rows), length)
    assert len(text) - 1 - len(read) < length  # what is left over would not fill a row
    assert np.shares_memory(rows.ids, text)
    assert np.shares_memory(rows.targets, text)


@pytest.mark.parametrize(("size", "length"), [(0, 1), (4, 4), (3, 0)])
def test_a_text_that_fills_no_row_is_named(size, length):
    with pytest.raises(ValueError, match=f"rows of {length} tokens need a text"):
        windows(np.arange(size), length)


def test_question_rows_by_hand():
    rows = question_rows([[7, 8, 9], [7]], [[3, 1], [4, 5, 1]])
    assert rows.ids.tolist() == [[7, 8, 9, 3], [7, 4, 5, 0]]
    assert rows.targets.tolist() == [[IGNORE, IGNORE, 3, 1], [4, 5, 1, IGNORE]]
    assert rows.mask.tolist() == [[True] * 4, [True] * 3 + [False]]


@fast
@given(data=st.data())
def test_the_targets_of_question_rows_are_the_answers(data):
    some = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=4)
    questions = data.draw(some)
    answers = data.draw(some.filter(lambda a: len(a) >= len(questions)))[: len(questions)]
    rows = question_rows(questions, answers, pad=11)
    for i, (question, answer) in enumerate(zip(questions, answers, strict=True)):
        counted = rows.targets[i] != IGNORE
        assert rows.targets[i][counted].tolist() == answer
        assert rows.ids[i][rows.mask[i]].tolist() == [*question, *answer[:-1]]
        assert (rows.ids[i][~rows.mask[i]] == 11).all()
        assert not (counted & ~rows.mask[i]).any()
        assert rows.ids[i][counted][0] == question[-1]


@pytest.mark.parametrize(("questions", "answers"), [([], []), ([[1]], []), ([[1]], [[]])])
def test_questions_without_answers_are_named(questions, answers):
    with pytest.raises(ValueError, match="at least one question and an answer to each"):
        question_rows(questions, answers)


@fast
@given(
    batch=st.integers(1, 3),
    length=st.integers(1, 4),
    ignore=st.sampled_from([IGNORE, 0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_loss_and_gradient_equal_torch(assert_gradients, batch, length, ignore, seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (batch, length, 5))
    targets = np.where(rng.random((batch, length)) < 0.4, ignore, rng.integers(1, 5, 1))
    targets[0, 0] = 3
    loss, cache = next_token_loss(logits, targets, ignore)
    leaf = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        leaf.reshape(-1, 5), torch.tensor(targets).reshape(-1), ignore_index=ignore
    )
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    dlogits = next_token_loss_backward(cache)
    np.testing.assert_allclose(dlogits, leaf.grad.numpy(), rtol=1e-11, atol=1e-14)
    numerical = numerical_gradient(lambda: next_token_loss(logits, targets, ignore)[0], logits)
    assert compare("logits", dlogits, numerical).relative < 1e-7


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.zeros((2, 2), int), r"logits \(B, T, V\) and targets \(B, T\): got \(2, 3, 4\)"),
        (np.full((2, 3), IGNORE), "all 6 are -100"),
        (np.full((2, 3), 4), r"\[0, 4\): got 4 to 4"),
        (np.full((2, 3), -1), r"\[0, 4\): got -1 to -1"),
    ],
)
def test_bad_targets_are_named(targets, message):
    with pytest.raises(ValueError, match=message):
        next_token_loss(np.zeros((2, 3, 4)), targets)


def test_perplexity_and_bits_of_a_coin():
    loss, _ = next_token_loss(np.zeros((1, 4, 2)), np.array([[0, 1, 1, 0]]))
    assert perplexity(loss) == pytest.approx(2)
    # A fair coin costs one bit; four of them for two bytes are two bits a byte.
    assert bits_per_byte(loss, tokens=4, size=2) == pytest.approx(2)
    with pytest.raises(ValueError, match="at least one byte of text: got 0"):
        bits_per_byte(loss, 4, 0)


def _model(seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    model = Decoder.create(TINY, rng, dtype)
    for value in model.params.values():
        value += 0.3 * rng.normal(size=value.shape).astype(dtype)
    return model


def test_the_gradient_of_the_loss():
    model = _model()
    rows = question_rows([[1, 2], [3]], [[4, 0], [2, 2, 0]])
    _, grads = loss_and_gradients(model, rows)
    for name, value in model.params.items():
        expected = numerical_gradient(lambda: loss_and_gradients(model, rows)[0], value)
        assert compare(name, grads[name], expected).relative < 1e-7, name


def test_evaluate_counts_each_token_alike():
    model = _model()
    rows = question_rows([[1, 2], [3], [1]], [[4], [2, 2, 0], [1, 0]])
    whole, _ = next_token_loss(model.forward(rows.ids, rows.mask)[0], rows.targets)
    for size in (1, 2, 5):  # the parts hold 1, 3 and 2 tokens: a mean of means would be off
        loss, tokens = evaluate(model, rows, size)
        assert loss == pytest.approx(whole, rel=1e-12)
        assert tokens == 6


def test_it_learns_a_text_that_repeats():
    text = np.tile([0, 1, 2, 3, 2, 1], 60)  # what follows 2 depends on what came before it
    rows = windows(text, 8)
    model = Decoder.create(TINY, np.random.default_rng(0))
    steps = list(train(model, rows, TrainConfig(steps=150, batch_size=16, lr=0.02, warmup=10)))
    assert [s.step for s in steps] == list(range(1, 151))
    assert steps[0].loss == pytest.approx(np.log(5), abs=0.1)
    # The first token of a row is unknown only in where it stands; after that all is certain.
    assert evaluate(model, rows)[0] < 0.2


def test_the_same_seed_gives_the_same_run():
    rows = windows(np.arange(200) % 5, 6)
    runs = []
    for seed in (0, 0, 1):
        model = _model(dtype=np.float32)
        runs.append(list(train(model, rows, TrainConfig(steps=4, batch_size=4, seed=seed))))
    assert runs[0] == runs[1] != runs[2]


def test_a_batch_without_a_target_does_not_count():
    model = Decoder.create(
        DecoderConfig(vocabulary=5, hidden=4, width=4, heads=1), np.random.default_rng(0)
    )
    ids = np.array([[1, 2, 3], [3, 2, 1], [4, 4, 4]])
    targets = np.where(np.arange(3)[:, None] == 1, IGNORE, ids)
    alone = evaluate(model, Rows(ids[::2], targets[::2]))
    assert evaluate(model, Rows(ids, targets), batch_size=1) == pytest.approx(alone)
    with pytest.raises(ValueError, match="no target of 3 rows counts"):
        evaluate(model, Rows(ids, np.full((3, 3), IGNORE)))
