"""The checks of exercise 7.1, rows and what comes next."""

from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

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
    """the stories are left as they were, and so is an earlier result"""
    texts = [[5, 6], [7]]
    own.story_rows(texts, END)
    own.story_rows([[8, 9], [4]], END)
    if texts != [[5, 6], [7]]:
        expect.fail(
            f"The stories are changed: [[5, 6], [7]] has become {texts}.",
            probably="append and += write into the caller's list. Make a new one: [*story, end].",
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
        probably="Under each token is the one that comes after it, and under the last is end, so "
        "that stopping is learned. If you have 5 at [0, 1], each token is its own target, and "
        "copying is all that can be learned. If you have 0 at [0, 1], the targets are moved the "
        "wrong way. If you have 7 at [0, 1], they are moved by two.",
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
        probably="The rows are as long as the longest story needs. The filling is on the right, "
        "and it is end, since an embedding has no row -100.",
    )
    expect.close(
        targets,
        np.array([[5, 9, IGNORE, IGNORE], [6, 7, 8, 9]]),
        what="targets",
        given=given,
        probably="The story's last token is followed by end; after that nothing is asked. If you "
        "have 9 at [0, 2], the model is taught that end follows end.",
    )


@check(Layer.EXAMPLE)
def test_refuses_nothing(own: Any) -> None:
    """no story, or an empty one, raises ValueError"""
    with expect.raises(ValueError, "there is no story"):
        own.story_rows([], END)
    for texts, which in (([[5], []], "second"), ([[], [5]], "first"), ([[]], "only")):
        with expect.raises(ValueError, f"the {which} story is empty"):
            own.story_rows(texts, END)


@check(Layer.EXAMPLE)
def test_tuples_and_large_ids(own: Any) -> None:
    """stories as tuples, of ids above 65,536"""
    result = own.story_rows(((70_000, 5), (40_000,)), 50_000)
    expect.parts(result, ("ids", "targets"))
    given = {"texts": "((70000, 5), (40000,))", "end": 50_000}
    expect.close(
        result[0],
        np.array([[50_000, 70_000, 5], [50_000, 40_000, 50_000]]),
        what="ids",
        given=given,
        probably="The shapes and the order are as in the example of two stories. A small type of "
        "integer has no room for 70000.",
    )
    expect.close(
        result[1],
        np.array([[70_000, 5, 50_000], [40_000, 50_000, IGNORE]]),
        what="targets",
        given=given,
    )


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
        for name, each, right in zip(("ids", "targets"), received, (ids, targets), strict=True):
            expect.array(each, like=WHOLE, shape=(len(texts), wide), what=name)
            expect.close(each, np.array(right), what=name, given=given)
