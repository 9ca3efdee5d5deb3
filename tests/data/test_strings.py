"""Texts that a caller hands over: what is not a string is named with its place."""

import pytest

from groundup.data.strings import check_texts, lone_surrogate


@pytest.mark.parametrize("wrong", [None, float("nan"), 5, b"bytes", ["a list"]])
def test_what_is_not_a_string_is_named(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"queries\[1\] is .*not a string"):
        list(check_texts(["a", wrong], "queries"))


def test_one_string_is_not_many() -> None:
    for one in ("a text", b"a text"):
        with pytest.raises(ValueError, match="texts are a list of strings, not one"):
            list(check_texts(one))


def test_half_a_character_is_named() -> None:
    assert list(check_texts(["a", "é", "\U0001f600"])) == ["a", "é", "\U0001f600"]
    assert lone_surrogate("x\ud83dy") == r"half a character (\ud83d)"
    with pytest.raises(ValueError, match=r"texts\[1\] holds half a character \(.udce9\)"):
        list(check_texts(["a", "caf\udce9"]))
