"""Stories: what the grammar promises, and whether the check of consistency can tell."""

import math
import re
from collections import Counter

import numpy as np
import pytest

from groundup.scratch.language import IGNORE
from groundup.scratch.tasks.stories import (
    END,
    consistent,
    mistakes,
    stories,
    story,
    story_bits,
    story_rows,
    words,
)

GOOD = (
    "Mia was a shy girl. She had a red kite and took it everywhere. One day it was gone, so she "
    'ran to the park and asked a wise fox. "I saw it in the grass," said the fox. '
    "Soon she found the red kite again. Mia thanked the fox and carried the kite home."
)


def test_a_text_is_its_stories_in_order() -> None:
    rng = np.random.default_rng(5)
    assert stories(3, seed=5) == "".join(story(rng) + END for _ in range(3))


def test_every_story_of_the_grammar_is_consistent() -> None:
    for text in stories(500, seed=0).split(END)[:-1]:
        assert not mistakes(text), text


def test_stories_are_six_sentences_of_plain_text() -> None:
    for text in stories(300, seed=1).split(END)[:-1]:
        assert not re.search(r"[\[\]{}|\n]|  ", text), text
        assert not re.search(r"\ba [aeiou]", text), text
        assert len(re.findall(r'(?<![,?])[.?]"?(?= [A-Z"]|$)', text)) == 6, text
        assert text[0].isupper()


def test_other_seeds_give_other_stories() -> None:
    one, other = (set(stories(300, seed).split(END)[:-1]) for seed in (1, 2))
    assert len(one) == len(other) == 300
    assert not one & other


def test_bits_are_of_the_same_story_and_are_choices() -> None:
    one, bits = story_bits(np.random.default_rng(3))
    assert one == story(np.random.default_rng(3))
    assert bits > math.log2(1e6)  # millions of stories


def test_every_name_is_equally_likely() -> None:
    """The entropy of what can be counted is the logarithm of how many there are."""
    names = Counter(
        next(word for word in re.findall(r"[A-Z]\w+", text) if word in _NAMES)
        for text in stories(4000, seed=4).split(END)[:-1]
    )
    shares = np.array(list(names.values())) / 4000
    assert -(shares * np.log2(shares)).sum() == pytest.approx(math.log2(len(_NAMES)), abs=0.01)


_NAMES = {
    *("Anna", "Clara", "Ella", "Greta", "Ida", "Lily", "Mia", "Nora"),
    *("Adam", "Ben", "Emil", "Finn", "Hugo", "Leo", "Otto", "Tom"),
}


def test_no_story_is_no_text() -> None:
    with pytest.raises(ValueError, match="count=0"):
        stories(0, seed=0)


def test_a_good_story_has_no_mistakes() -> None:
    assert consistent(GOOD)
    assert mistakes(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("Mia thanked", "Tom thanked", ["name: Mia, Tom", "pronoun: girl, she"]),
        ("the kite home", "the drum home", ["thing: drum, kite"]),
        ("the red kite", "the blue kite", ["colour: blue, red"]),
        ("the red kite", "the kite", ["colour: red only once"]),
        ("the park", "the bridge", ["place: none"]),
        ("thanked the fox", "thanked the bear", ["animal: bear, fox"]),
        ("Soon she", "Soon he", ["pronoun: girl, she, he"]),
        ("shy girl", "shy boy", ["pronoun: she, boy"]),
        (" home.", " home", ["end: no full stop"]),
        ("Mia thanked", "She thanked", ["name: Mia only once"]),
    ],
)
def test_each_contradiction_is_named(old: str, new: str, found: list[str]) -> None:
    assert old in GOOD
    assert mistakes(GOOD.replace(old, new)) == found


def test_nothing_and_noise_are_not_consistent() -> None:
    assert not consistent("")
    assert not consistent("Mia Mia fox fox kite kite red red park")
    assert not consistent("Mia Mia fox fox kite kite red red park.")  # no pronoun


def test_words_lose_nothing() -> None:
    text = stories(50, seed=6)
    assert "".join(words(text)) == text
    assert words('Mia ran. "Wait," said') == ["Mia", " ran", ".", ' "', "Wait", ",", '"', " said"]
    odd = "a  b\tc\n\n\n d_e 1.5 é\n"
    assert "".join(words(odd)) == odd
    assert words(f"x.{END}y") == ["x", ".", END, "y"]


def test_rows_of_two_stories() -> None:
    ids, targets = story_rows([[5], [6, 7, 8]], end=9)
    assert ids.tolist() == [[9, 5, 9, 9], [9, 6, 7, 8]]
    assert targets.tolist() == [[5, 9, IGNORE, IGNORE], [6, 7, 8, 9]]


@pytest.mark.parametrize("texts", [[], [[1], []]])
def test_rows_refuse_what_is_no_story(texts: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="at least one token"):
        story_rows(texts, end=0)
