"""The checks of exercise 1.1, text to token ids."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check
from groundup.scratch.tasks.digits import TOKEN_IDS, VOCABULARY

EXAMPLE = "Max ( 5 3 9 )"
IDS = [5, 7, 15, 13, 19, 8, 1]  # by hand, from the table of the chapter


def ids_of(own: Any, text: str) -> Any:
    """What the learner's function returns, as an array to compare."""
    result = own.tokenize(text)
    if not isinstance(result, list):
        kind = type(result).__name__
        expect.fail(f"The result is of type {kind}, not list.", given={"text": text})
    for each in result:
        if not isinstance(each, int | np.integer):
            says = f"The list holds {each!r}, and should hold ids, which are whole numbers."
            expect.fail(says, given={"text": text})
    return np.array(result, dtype=int)


def same(own: Any, text: str, ids: list[int], probably: str) -> None:
    """The ids of a text are these."""
    received, given = ids_of(own, text), {"text": text}
    if len(received) != len(ids):
        says = f"There are {len(received)} ids, not {len(ids)}."
        general = expect.relevant(probably, np.zeros(0), ())
        expect.fail(says, f"received {received.tolist()}\nexpected {ids}", given, general)
    expect.close(received, np.array(ids), what="The list", given=given, probably=probably)


@contextmanager
def kept_vocabulary() -> Iterator[dict[str, int]]:
    """What the block does to the vocabulary is undone. Yields it as it was."""
    before = dict(TOKEN_IDS)
    try:
        yield before
    finally:
        TOKEN_IDS.clear()
        TOKEN_IDS.update(before)


@check(Layer.SHAPES)
def test_a_list_of_ids(own: Any) -> None:
    """a list of seven whole numbers comes back"""
    received = ids_of(own, EXAMPLE)
    if len(received) != 7:
        expect.fail(
            f"The list has {len(received)} ids, not 7.",
            f"received {received.tolist()}",
            {"text": EXAMPLE},
            "The text has six words; a bracket is a word like any other. [EOS] follows the last, "
            "and nothing comes before the first.",
        )


@check(Layer.INPUTS)
def test_vocabulary_unchanged(own: Any) -> None:
    """the vocabulary is left as it was"""
    with kept_vocabulary() as before:
        with suppress(ValueError, KeyError):
            own.tokenize("Median ( 5 3 9 )")
        added = sorted(TOKEN_IDS.keys() - before.keys())
    if added:
        expect.fail(
            f"{', '.join(map(repr, added))} is added to the vocabulary.",
            given={"text": "Median ( 5 3 9 )"},
            probably="A network has one row of weights for each token, fixed before training. An "
            "unknown word has none, so it is refused.",
        )


@check(Layer.EXAMPLE, points=2)
def test_the_example(own: Any) -> None:
    """the question of the chapter, id by id"""
    same(
        own,
        EXAMPLE,
        IDS,
        "Max is 5, the brackets are 7 and 8, the digits 5, 3 and 9 are 15, 13 and 19, and [EOS] is "
        "1. If you have 5 at [2], a digit is taken for its own id. If you have 6 at [0], you count "
        "the vocabulary from 1. If you have 1 at [0], [EOS] comes first.",
    )


@check(Layer.EXAMPLE)
def test_without_spaces(own: Any) -> None:
    """spaces around brackets may be left out"""
    for text in ("Max(5 3 9)", "Max (5 3 9)", "Max( 5 3 9 )"):
        same(
            own,
            text,
            IDS,
            "Max(5 is three words: a bracket is a word of its own, with or without spaces.",
        )


@check(Layer.EXAMPLE)
def test_commas(own: Any) -> None:
    """a comma is a word of its own, with or without spaces"""
    for text in ("Max ( 5 , 3 )", "Max(5,3)", "Max (5, 3)"):
        same(
            own,
            text,
            [5, 7, 15, 9, 13, 8, 1],
            "A comma is in the vocabulary, and its id is 9. The spaces around it may be left out, "
            "as those around brackets.",
        )


ANY_WORDS = (
    ("9 3", [19, 13, 1]),
    (") Min (", [8, 6, 7, 1]),
    ("First", [2, 1]),
    ("3 Max Max", [13, 5, 5, 1]),
)


@check(Layer.EXAMPLE)
def test_any_words(own: Any) -> None:
    """known words in any order, whether or not they ask something"""
    for text, ids in ANY_WORDS:
        same(
            own,
            text,
            ids,
            "Each word has its id, and [EOS] follows. Only a text without words, or with an "
            "unknown one, is refused.",
        )


@check(Layer.EXAMPLE)
def test_many_spaces(own: Any) -> None:
    """more spaces than one are no words"""
    for text in ("Max  ( 5   3 9 )", "  Max(5   3 9)  "):
        same(
            own,
            text,
            IDS,
            'text.split(" ") cuts at every single space, and leaves empty words between two. '
            "split() without an argument takes any number of spaces together.",
        )


@check(Layer.EXAMPLE)
def test_any_case(own: Any) -> None:
    """operations are accepted in any case"""
    for text in ("max ( 5 3 9 )", "MAX ( 5 3 9 )", "mAx ( 5 3 9 )", "max(5 3 9)"):
        same(
            own,
            text,
            IDS,
            "max, MAX and mAx are the word Max. capitalize() makes the first letter large and all "
            "others small.",
        )
    for text, number in (("first ( 3 )", 2), ("SECOND ( 3 )", 3), ("lAST ( 3 )", 4)):
        same(
            own,
            text,
            [number, 7, 13, 8, 1],
            "The ids of First, Second and Last are 2, 3 and 4, in any case.",
        )
    same(
        own,
        "( 3 mIN",
        [7, 13, 6, 1],
        "An operation may be in any case wherever it is, not as the first word alone.",
    )


@check(Layer.EXAMPLE)
def test_refuses_unknown_words(own: Any) -> None:
    """a word that is not in the vocabulary raises ValueError"""
    for word in ("Median", "Maximum", "Ma", "Max."):
        text = f"{word} ( 5 3 9 )"
        with (
            kept_vocabulary(),
            expect.raises(ValueError, f"{word} is not in the vocabulary", {"text": text}),
        ):
            own.tokenize(text)
    for word in ("x", "-5", "5.0", "03", "٣"):
        text = f"Max ( 5 {word} 9 )"
        with (
            kept_vocabulary(),
            expect.raises(ValueError, f"{word} is not in the vocabulary", {"text": text}),
        ):
            own.tokenize(text)


@check(Layer.EXAMPLE)
def test_refuses_longer_numbers(own: Any) -> None:
    """12 is one word, not the digits 1 and 2, and raises ValueError"""
    text = "Max ( 12 3 9 )"
    with (
        kept_vocabulary(),
        expect.raises(ValueError, "a word is 12, which is not in the vocabulary", {"text": text}),
    ):
        own.tokenize(text)


@check(Layer.EXAMPLE)
def test_refuses_nothing(own: Any) -> None:
    """a text without words raises ValueError"""
    for text in ("", "   "):
        with expect.raises(ValueError, "the text holds no word", {"text": text}):
            own.tokenize(text)


@check(Layer.RANDOM, points=2)
def test_random(own: Any) -> None:
    """random questions: each token has its id of the vocabulary"""
    rng = np.random.default_rng(11)
    for count in (1, 2, 3, 5, 8, 40):
        operation = VOCABULARY[rng.integers(2, 7)]
        digits = rng.integers(10, size=count).astype(str).tolist()
        words = [operation, "(", *digits, ")"]
        inside = " ".join(digits)
        for text in (" ".join(words), f"{operation}({inside})"):
            ids = [VOCABULARY.index(word) for word in [*words, "[EOS]"]]
            same(
                own,
                text,
                ids,
                "The id of a word is its place in VOCABULARY, counted from 0, and [EOS] comes "
                "last. There may be one digit or many.",
            )
