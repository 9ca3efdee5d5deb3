"""The two-digit task: how it is written, what is drawn, and what counts as right."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.scratch.decoder import Decoder, DecoderConfig
from groundup.scratch.language import IGNORE, train
from groundup.scratch.tasks import two_digits
from groundup.scratch.tasks.digits import EOS, OPERATIONS, VOCABULARY
from groundup.scratch.tasks.two_digits import (
    Questions,
    answers,
    digits,
    draw,
    exact_match,
    make_splits,
    prompt,
    read,
)
from groundup.scratch.trainer import TrainConfig

fast = settings(max_examples=30, deadline=None)


@pytest.fixture(scope="module")
def splits():
    return make_splits(np.random.default_rng(0))


def _words(ids):
    return " ".join(VOCABULARY[i] for i in ids)


def _inputs(questions):
    return {tuple(ids) for ids in questions.prompts()}


def test_the_worked_example():
    assert _words(prompt("Max", (53, 9, 70))) == "Max ( 5 3 , 0 9 , 7 0 )"
    assert _words(digits(70)) == "7 0 [EOS]"
    assert _words(digits(9)) == "0 9 [EOS]"


@given(number=st.integers(0, 99))
def test_an_answer_reads_as_it_was_written(number):
    assert read(digits(number)) == number


@pytest.mark.parametrize("text", [[], [EOS], digits(7)[:-1], digits(7)[1:], [2, 1]])
def test_what_is_no_number_reads_as_none(text):
    assert read(text) is None


@fast
@given(data=st.data(), arguments=st.integers(2, 5))
def test_no_two_questions_are_written_alike(data, arguments):
    some = st.tuples(*[st.integers(0, 99)] * arguments)
    one, other = data.draw(some), data.draw(some)
    assert (prompt("Min", one) == prompt("Min", other)) == (one == other)


@fast
@given(arguments=st.integers(2, 5), seed=st.integers(0, 2**32 - 1))
def test_answers_by_an_independent_reading(arguments, seed):
    questions = draw(np.random.default_rng(seed), 40, arguments)
    for ids, right in zip(questions.prompts(), questions.answers, strict=True):
        operation, text = _words(ids).split(" ( ")
        numbers = [int(n.replace(" ", "")) for n in text.removesuffix(" )").split(" , ")]
        assert len(numbers) == arguments
        assert all(0 <= n <= 99 for n in numbers)
        assert (
            len(text.removesuffix(" )").split()) == 3 * arguments - 1
        )  # two digits each, commas between
        in_order = sorted(numbers)
        expected = {"First": numbers[0], "Second": numbers[1], "Last": numbers[-1]}
        expected |= {"Max": in_order[-1], "Min": in_order[0]}
        assert right == expected[operation]


@pytest.mark.parametrize("arguments", [2, 3, 5])
def test_draws_are_balanced(arguments):
    questions = draw(np.random.default_rng(0), 10_000, arguments)
    wide = questions.answers >= 10
    for i in range(len(OPERATIONS)):
        chosen = questions.operations == i
        assert chosen.sum() == 2000
        assert wide[chosen].sum() == 1000
        # Each answer of one digit is as frequent as any other; so is each of two.
        for values, share in ((range(10), 1 / 10), (range(10, 100), 1 / 90)):
            counts = np.bincount(questions.answers[chosen], minlength=100)[list(values)]
            assert np.abs(counts - 1000 * share).max() < 5 * np.sqrt(1000 * share)
        # Max and Min stand at any place.
        where = (questions.numbers[chosen] == questions.answers[chosen, None]).argmax(axis=1)
        expected = {0: [0], 1: [1], 2: [arguments - 1]}.get(i, range(arguments))
        assert set(expected) <= set(where.tolist())


@pytest.mark.parametrize("seed", [0, 1])
def test_no_input_stands_on_two_sides(seed):
    splits = make_splits(np.random.default_rng(seed))
    parts = [_inputs(part) for part in (splits.train, splits.validation, splits.test)]
    assert [len(p) for p in parts] == [8000, 1000, 1000]  # as sets: no question occurs twice
    assert not (parts[0] & parts[1]) | (parts[0] & parts[2]) | (parts[1] & parts[2])


def test_splits_are_balanced(splits):
    parts = (splits.train, splits.validation, splits.test)
    operations = np.concatenate([p.operations for p in parts])
    wide = np.concatenate([p.answers for p in parts]) >= 10
    assert np.bincount(operations).tolist() == [2000] * 5
    for i, name in enumerate(OPERATIONS):
        share = wide[operations == i].mean()
        assert (0.65 < share < 0.75) if name == "Max" else (0.45 < share < 0.55), name


def test_rows_train_on_the_answer_alone(splits):
    some = splits.train.take(np.arange(50))
    rows = some.rows()
    for i, (question, number) in enumerate(zip(some.prompts(), some.answers, strict=True)):
        assert rows.targets[i][rows.targets[i] != IGNORE].tolist() == digits(number)
        assert rows.ids[i][rows.mask[i]].tolist() == [*question, *digits(number)[:-1]]


def test_the_model_of_the_task_has_the_size_its_description_says():
    model = Decoder.create(two_digits.MODEL, np.random.default_rng(0))
    assert sum(p.size for p in model.params.values()) == 27_136
    assert "27,136 parameters" in Path(two_digits.__file__).read_text("utf-8")


def _short(count=60):
    """Questions that a small model learns by heart."""
    return draw(np.random.default_rng(5), count, 2)


def test_exact_match_is_the_share_of_right_answers():
    data = _short()
    config = DecoderConfig(width=32, hidden=64)
    model = Decoder.create(config, np.random.default_rng(0))
    for _ in train(model, data.rows(), TrainConfig(steps=60, batch_size=30, warmup=10, lr=5e-3)):
        pass
    written = answers(model, data, batch_size=7)
    # Read on from each question by itself, with whole passes and no padding.
    for question, text in zip(data.prompts(), written, strict=True):
        ids = list(question)
        while len(ids) < len(question) + 3 and ids[-1] != EOS:
            ids.append(int(model.forward(np.array([ids]))[0][0, -1].argmax()))
        assert text == ids[len(question) :]
    right = np.array([read(w) == a for w, a in zip(written, data.answers, strict=True)])
    scores = exact_match(model, data)
    assert 0.2 < scores["all"] < 1  # some of both, or the shares below would say little
    assert scores["all"] == pytest.approx(right.mean())
    assert set(scores) == {"all", *OPERATIONS, "0 to 9", "10 to 99"}
    for i, name in enumerate(OPERATIONS):
        assert scores[name] == pytest.approx(right[data.operations == i].mean())
    assert scores["0 to 9"] == pytest.approx(right[data.answers < 10].mean())
    only = data.take(np.flatnonzero(data.operations == 1))
    assert {"all", "Second"} == set(exact_match(model, only)) - {"0 to 9", "10 to 99"}


def test_an_answer_that_does_not_end_is_wrong(monkeypatch):
    data = Questions(np.array([3, 3, 4]), np.array([[70, 8], [7, 70], [9, 12]]))
    written = [digits(70), [*digits(70)[:2], digits(5)[0]], digits(9)]
    monkeypatch.setattr(two_digits, "answers", lambda model, data: written)
    scores = exact_match(None, data)
    assert scores == pytest.approx(
        {"all": 2 / 3, "Max": 1 / 2, "Min": 1, "0 to 9": 1, "10 to 99": 1 / 2}
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: digits(100), "0 to 99: got 100"),
        (lambda: prompt("Max", (5, -1)), r"0 to 99: got \[5, -1\]"),
        (lambda: prompt("Median", (5, 1)), "one of First, .*: got 'Median'"),
        (lambda: prompt("7", (5, 1)), "got '7'"),
        (lambda: draw(np.random.default_rng(0), 0), "got 0, 3"),
        (lambda: draw(np.random.default_rng(0), 10, 1), "got 10, 1"),
        (lambda: make_splits(np.random.default_rng(0), 52), "multiple of 5, at least 50: got 52"),
        (lambda: make_splits(np.random.default_rng(0), 90_000, 2), "2 arguments do not give 90000"),
    ],
)
def test_what_cannot_be_asked_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_take_keeps_rows_together():
    data = _short()
    some = data.take(np.array([59, 0]))
    assert isinstance(some, Questions)
    assert some.prompts() == [data.prompts()[59], data.prompts()[0]]
    assert some.answers.tolist() == data.answers[[59, 0]].tolist()
