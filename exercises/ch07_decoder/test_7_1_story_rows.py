"""The checks of exercise 7.1, rows and what comes next."""

from typing import Any

import numpy as np

from groundup.course import expect
from groundup.course.checks import Layer, check

WHOLE = np.zeros(0, dtype=int)
END, IGNORE = 0, -100


@check(Layer.SHAPES)
def test_two_arrays(own: Any) -> None:
    """ids and targets come back, (N, T) each, whole numbers"""
    result = own.story_rows([[5, 6, 7]], END)
    expect.parts(result, ("ids", "targets"))
    for name, received in zip(("ids", "targets"), result, strict=True):
        expect.array(
            received,
            like=WHOLE,
            shape=(1, 4),
            what=name,
            probably="A story of three tokens gives a row of four: end is read before it, and "
            "predicted after it.",
        )


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """the stories are left as they were"""
    texts = [[5, 6], [7]]
    first = own.story_rows(texts, END)
    again = own.story_rows(texts, END)
    if texts != [[5, 6], [7]]:
        expect.fail(
            f"The stories are changed: [[5, 6], [7]] has become {texts}.",
            probably="append and += write into the caller's list. Make a new one: [*story, end].",
        )
    for which, received in (("first", first), ("second", again)):
        expect.close(
            received[0],
            np.array([[END, 5, 6], [END, 7, END]]),
            what=f"ids of the {which} call",
            given={"texts[0]": np.array([5, 6]), "texts[1]": np.array([7]), "end": END},
        )


@check(Layer.EXAMPLE, points=2)
def test_one_story(own: Any) -> None:
    """one story of three tokens: what is read, and what comes next"""
    ids, targets = own.story_rows([[5, 6, 7]], END)
    given = {"texts": np.array([[5, 6, 7]]), "end": END}
    expect.close(
        ids,
        np.array([[END, 5, 6, 7]]),
        what="ids",
        given=given,
        probably="The row begins with end, as if another story had just ended, and holds the "
        "whole story.",
    )
    expect.close(
        targets,
        np.array([[5, 6, 7, END]]),
        what="targets",
        given=given,
        probably="The target of each token is the one that comes after it, and after the last one "
        "end: so the model learns to stop. If you have 6 at [0, 0], the targets are moved by two.",
    )


@check(Layer.EXAMPLE, points=2)
def test_two_lengths(own: Any) -> None:
    """a shorter story is filled up on the right, without targets there"""
    ids, targets = own.story_rows([[5], [6, 7, 8]], 9)
    given = {"texts[0]": np.array([5]), "texts[1]": np.array([6, 7, 8]), "end": 9}
    expect.close(
        ids,
        np.array([[9, 5, 9, 9], [9, 6, 7, 8]]),
        what="ids",
        given=given,
        probably="The rows are as long as the longest needs. The filling stands on the right and "
        "is end, since an embedding has no row -100.",
    )
    expect.close(
        targets,
        np.array([[5, 9, IGNORE, IGNORE], [6, 7, 8, 9]]),
        what="targets",
        given=given,
        probably="The story's last token is followed by end; after that nothing is asked. If you "
        "have 9 at [0, 2], the model is taught that end follows end, and half of what it learns "
        "is this.",
    )


@check(Layer.EXAMPLE)
def test_refuses_nothing(own: Any) -> None:
    """no story, or an empty one, raises ValueError"""
    with expect.raises(ValueError, "there is no story"):
        own.story_rows([], END)
    with expect.raises(ValueError, "the second story is empty"):
        own.story_rows([[5], []], END)


@check(Layer.RANDOM, points=3)
def test_random(own: Any) -> None:
    """random stories: every token of a row is followed by its target"""
    rng = np.random.default_rng(71)
    for lengths in ([1], [2, 1], [3, 5, 4]):
        texts = [rng.integers(1, 100_000, n).tolist() for n in lengths]
        wide = 1 + max(lengths)
        ids = [[END, *text] + [END] * (wide - 1 - len(text)) for text in texts]
        targets = [[*text, END] + [IGNORE] * (wide - 1 - len(text)) for text in texts]
        given = {f"texts[{i}]": np.array(text) for i, text in enumerate(texts)} | {"end": END}
        received = own.story_rows(texts, END)
        expect.parts(received, ("ids", "targets"))
        expect.close(received[0], np.array(ids), what="ids", given=given)
        expect.close(received[1], np.array(targets), what="targets", given=given)
