"""Questions in the forms in which people type them, and what is said of others."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.apps.digits.questions import Question, read_question
from groundup.lab.errors import UserError
from groundup.scratch.tasks.digits import OPERATIONS

SPACE = st.sampled_from(["", " ", "   ", "\t"])


@given(st.data())
def test_case_spaces_brackets_and_commas_do_not_matter(data: st.DataObject) -> None:
    operation = data.draw(st.sampled_from(OPERATIONS))
    numbers = data.draw(st.lists(st.integers(0, 99), min_size=1, max_size=5))
    word = "".join(data.draw(st.sampled_from([c.lower(), c.upper()])) for c in operation)
    open_, close = data.draw(st.sampled_from(["()", "[]", "{}", "  "]))
    text = f"{data.draw(SPACE)}{word}{data.draw(SPACE)}{open_}"
    for place, number in enumerate(numbers):
        between = data.draw(st.sampled_from([" ", ",", ", ", " , ", ";", "  "])) if place else ""
        text += between + str(number)
    text += data.draw(SPACE) + close + data.draw(st.sampled_from(["", " ", "?", " = ?", "."]))
    assert read_question(text) == Question(operation, tuple(numbers))


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("max(5,3,9)", "Max ( 5 3 9 )"),
        ("MAX ( 5 3 9 )", "Max ( 5 3 9 )"),
        ("second 4 7 1", "Second ( 4 7 1 )"),
        ("Min: 53, 09, 70", "Min ( 53 9 70 )"),
        ("Ｍａｘ（５，３，９）", "Max ( 5 3 9 )"),
        ("last\n1\n2\n3\n", "Last ( 1 2 3 )"),
        ("max539", "Max ( 539 )"),
    ],
)
def test_forms(text: str, form: str) -> None:
    if form == "Max ( 539 )":
        with pytest.raises(UserError, match="0 to 99, with spaces or commas between: got 539"):
            read_question(text)
    else:
        assert str(read_question(text)) == form


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("  \t", "empty"),
        ("5 3 9", "begins with First, Second, Last, Max, Min"),
        ("( 5 3 9 )", "begins with First"),
        ("Maximum ( 4 7 1 )", "'Maximum' is not an operation.*did you mean Max"),
        ("third 4 7 1", "'third' is not an operation"),
        ("what is the max of 5 3 9", "'what' is not an operation"),
        ("max", "numbers are missing"),
        ("max()", "numbers are missing"),
        ("max(5,,9)", "a number is missing beside a comma"),
        ("max(5,3,)", "a number is missing beside a comma"),
        ("max(5 3 9", "'\\(5' is not a number"),
        ("max 5 3 9)", "'9\\)' is not a number"),
        ("max(5 3 9]", "'\\(5' is not a number"),
        ("max(-5 3 9)", "'-5' is not a number"),
        ("max(5.5 3 9)", "'5.5' is not a number"),
        ("max(five 3 9)", "'five' is not a number"),
        ("max(100 3 9)", "0 to 99.*got 100"),
        ("max(٣ 3 9)", "'٣' is not a number"),
        ("max(\x00)", "is not a number"),
    ],
)
def test_what_can_not_be_read_is_said_in_a_line(text: str, words: str) -> None:
    with pytest.raises(UserError) as error:
        read_question(text)
    assert re.search(words, str(error.value))
    assert "\n" not in str(error.value)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    refusal = ""
    try:
        assert all(0 <= number <= 99 for number in read_question(text).numbers)
    except UserError as error:
        refusal = str(error)
    assert len(refusal.splitlines()) <= 1
