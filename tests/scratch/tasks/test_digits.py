"""The digit task: its answers, its splits, its questions in words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.scratch.tasks.digits import (
    EOS,
    OPERATIONS,
    PAD,
    VOCABULARY,
    all_examples,
    answer,
    make_splits,
    pad,
    parse,
    steps,
    tokenize,
)


def _rows(examples):
    return {tuple(row) for row in examples.ids.tolist()}


def test_5000_distinct_inputs():
    examples = all_examples()
    assert len(examples) == len(_rows(examples)) == 5000
    assert examples.mask.all()
    assert np.bincount(examples.operations).tolist() == [1000] * 5


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_no_input_stands_on_two_sides(seed):
    splits = make_splits(np.random.default_rng(seed))
    train, validation, test = (_rows(s) for s in (splits.train, splits.validation, splits.test))
    assert (len(train), len(validation), len(test)) == (4000, 500, 500)
    assert not (train & validation) | (train & test) | (validation & test)
    assert train | validation | test == _rows(all_examples())
    for part, each in ((splits.train, 800), (splits.validation, 100), (splits.test, 100)):
        assert np.bincount(part.operations).tolist() == [each] * 5


def test_answers_by_an_independent_reading():
    examples = all_examples()
    for ids, right, operation in zip(
        examples.ids, examples.answers, examples.operations, strict=True
    ):
        words = [VOCABULARY[i] for i in ids]
        digits = sorted(int(w) for w in words if w.isdigit())
        expected = {"First": int(words[2]), "Second": int(words[3]), "Last": int(words[-3])}
        expected |= {"Max": digits[-1], "Min": digits[0]}
        assert words[0] == OPERATIONS[operation]
        assert right == expected[words[0]]


@pytest.mark.parametrize("arguments", [2, 4])
def test_the_rows_are_the_questions_as_they_are_tokenized(arguments):
    examples = all_examples(arguments)
    assert len(examples) == 5 * 10**arguments
    for row in range(0, len(examples), 97):
        operation = OPERATIONS[examples.operations[row]]
        numbers = [int(d) for d in f"{row % 10**arguments:0{arguments}d}"]
        assert examples.ids[row].tolist() == tokenize(f"{operation}({' '.join(map(str, numbers))})")
        assert examples.answers[row] == answer(operation, numbers)


@pytest.mark.parametrize(("size", "expected"), [("small", 93), ("medium", 468), ("large", 2343)])
def test_an_epoch_is_a_number_of_draws(size, expected):
    assert steps(size, 3, 64) == expected


def test_the_worked_example():
    assert answer("Max", (5, 3, 9)) == 9
    assert [VOCABULARY[i] for i in tokenize("Max ( 5 3 9 )")] == [
        *("Max", "(", "5", "3", "9", ")", "[EOS]")
    ]


@given(
    operation=st.sampled_from(OPERATIONS),
    digits=st.lists(st.integers(0, 9), min_size=3, max_size=3),
    upper=st.sampled_from([str.upper, str.lower, str.title]),
)
def test_spaces_and_case_do_not_matter(operation, digits, upper):
    a, b, c = digits
    assert parse(f"{upper(operation)}({a} {b} {c})") == parse(f"{operation} ( {a} {b} {c} )")


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "empty"), ("   ", "empty"), ("Median ( 1 2 3 )", "'Median' is not"), ("Max 12", "'12'")],
)
def test_bad_words_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        tokenize(text)


@pytest.mark.parametrize("text", ["Max ( 1 2 )", "Max 1 2 3", "( 1 2 3 ) Max", "Max Max ( 1 2 3"])
def test_another_form_is_refused(text):
    with pytest.raises(ValueError, match="operation on three digits"):
        parse(text)


def test_a_question_has_as_many_digits_as_the_model_knows():
    assert parse("Last(1 2)", arguments=2) == tokenize("Last(1 2)")
    with pytest.raises(ValueError, match=r"on 4 digits, as in \"Max \( 5 3 9 4 \)\": got"):
        parse("Max(1 2 3)", arguments=4)


@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_padding_is_on_the_right_and_masked(lengths):
    ids, mask = pad([[EOS] * n for n in lengths])
    assert ids.shape == mask.shape == (len(lengths), max(lengths))
    assert mask.sum(axis=1).tolist() == lengths
    for row, real, n in zip(ids, mask, lengths, strict=True):
        assert real[:n].all()
        assert (row[n:] == PAD).all()


def test_sizes_that_make_no_sense_are_named():
    with pytest.raises(ValueError, match="none"):
        pad([])
    with pytest.raises(ValueError, match="got 1"):
        all_examples(arguments=1)
    with pytest.raises(ValueError, match="2 to 5 digits: got 6"):
        all_examples(arguments=6)
    with pytest.raises(ValueError, match="size must be small, medium, large: got 'huge'"):
        steps("huge", 1, 64)
    with pytest.raises(ValueError, match="1 epochs of 2000 draws do not fill a batch of 2001"):
        steps("small", 1, 2001)


def test_take_keeps_rows_together():
    examples = all_examples()
    some = examples.take(np.array([4999, 0, 17]))
    assert len(some) == 3
    assert some.answers.tolist() == examples.answers[[4999, 0, 17]].tolist()
    np.testing.assert_array_equal(some.ids[1], examples.ids[0])


@pytest.mark.parametrize(("operation", "digits"), [("Median", (1, 2, 3)), ("Second", (1,))])
def test_what_the_task_does_not_ask_is_named(operation, digits):
    with pytest.raises(ValueError, match=f"at least two digits: got '{operation}' of"):
        answer(operation, digits)
