"""The checks of exercise 6.3, confusion matrix."""

from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

ANSWERS, PREDICTIONS = np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 0, 2])


@check(Layer.SHAPES)
def test_shape(own: Any) -> None:
    """a (C, C) array of whole numbers comes back"""
    received = own.confusion(ANSWERS.copy(), PREDICTIONS.copy(), 4)
    expect.array(
        received,
        like=np.zeros(1, int),
        shape=(4, 4),
        what="The matrix",
        probably="There is a row and a column for each class, also for one that never occurs.",
    )


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """answers and predictions are left as they were"""
    answers, predictions = ANSWERS.copy(), PREDICTIONS.copy()
    with expect.unchanged(answers=answers, predictions=predictions):
        own.confusion(answers, predictions, 3)


@check(Layer.EXAMPLE, points=2)
def test_by_hand(own: Any) -> None:
    """five questions, three classes"""
    expect.close(
        own.confusion(ANSWERS.copy(), PREDICTIONS.copy(), 3),
        np.array([[1, 1, 0], [0, 1, 0], [1, 0, 1]]),
        what="The matrix",
        given={"answers": ANSWERS, "predictions": PREDICTIONS, "classes": 3},
        probably="The row is the right answer, the column the one that was given. If you have 0 at "
        "[0, 1], rows and columns have changed places. If you have 0 at [0, 0], what was right is "
        "left out. If you have 0.5 at [0, 0], the counts are divided by their row's sum.",
    )


@check(Layer.EXAMPLE, points=2)
def test_the_same_mistake_again(own: Any) -> None:
    """a pair that occurs three times counts three times"""
    answers, predictions = np.array([1, 1, 1, 1, 0]), np.array([0, 0, 0, 1, 0])
    expect.close(
        own.confusion(answers.copy(), predictions.copy(), 2),
        np.array([[1, 0], [3, 1]]),
        what="The matrix",
        given={"answers": answers, "predictions": predictions, "classes": 2},
        probably="Class 0 was answered three times where 1 is right. If you have 1 at [1, 0], the "
        "pair was counted once: counts[rows, columns] += 1 adds one to each cell that is named, "
        "however often it is.",
    )


@check(Layer.EXAMPLE)
def test_small_types(own: Any) -> None:
    """classes of any integer type, in a matrix of 400 cells"""
    for one, other in (("uint8",) * 2, ("int8",) * 2, ("uint64",) * 2, ("uint16", "int64")):
        answers, predictions = np.array([0, 17, 17], one), np.array([1, 16, 16], other)
        received = own.confusion(answers.copy(), predictions.copy(), 20)
        expect.array(received, like=np.zeros(1, int), shape=(20, 20), what="The matrix")
        expect.close(
            received[[5, 0, 17], [0, 1, 16]],
            np.array([0, 1, 2]),
            what="What is in the cells (5, 0), (0, 1) and (17, 16)",
            given={"answers": answers, "predictions": predictions, "types": f"{one}, {other}"},
            probably="If you have 2 at [0], the number of a cell, 17 * 20 + 16 = 356, was computed "
            "in 8 bits, where it is 100: take the classes as int first.",
        )


@check(Layer.EXAMPLE)
def test_many_questions(own: Any) -> None:
    """300 questions of one kind count 300"""
    answers = np.ones(300, int)
    expect.close(
        own.confusion(answers.copy(), answers.copy(), 2),
        np.array([[0, 0], [0, 300]]),
        what="The matrix",
        given={"answers": "300 ones", "predictions": "300 ones", "classes": 2},
        probably="A count may be as large as N. If you have 44 at [1, 1], it is kept in 8 bits.",
    )


@check(Layer.EXAMPLE)
def test_refuses_what_is_no_class(own: Any) -> None:
    """what is no class is refused"""
    fine = np.array([0, 1])
    for wrong in (3, -1):
        with expect.raises(ValueError, f"a prediction is {wrong} and there are 3 classes"):
            own.confusion(fine.copy(), np.array([0, wrong]), 3)
        with expect.raises(ValueError, f"an answer is {wrong} and there are 3 classes"):
            own.confusion(np.array([wrong, 1]), fine.copy(), 3)


@check(Layer.EXAMPLE)
def test_refuses_what_has_no_partner(own: Any) -> None:
    """answers and predictions are two arrays (N,), or refused"""
    with expect.raises(ValueError, "there are three answers and one prediction"):
        own.confusion(np.array([0, 1, 1]), np.array([0]), 2)
    with expect.raises(ValueError, "there is one answer and there are three predictions"):
        own.confusion(np.array([1]), np.array([0, 1, 0]), 2)
    with expect.raises(ValueError, "the answers are of shape (2,) and the predictions (2, 1)"):
        own.confusion(np.array([0, 1]), np.array([[0], [1]]), 2)
    with expect.raises(ValueError, "both are of shape (2, 2)"):
        own.confusion(np.array([[0, 1], [1, 1]]), np.array([[0, 1], [1, 0]]), 2)


@check(Layer.RANDOM, points=2)
def test_random(own: Any) -> None:
    """random answers, counted one at a time; none at all, too"""
    rng = np.random.default_rng(63)
    for count, classes in ((0, 2), (3, 2), (12, 3), (30, 10)):
        answers, predictions = rng.integers(classes, size=(2, count))
        expected = np.zeros((classes, classes), int)
        for right, said in zip(answers, predictions, strict=True):
            expected[right, said] += 1
        expect.close(
            own.confusion(answers.copy(), predictions.copy(), classes),
            expected,
            what="The matrix",
            given={"answers": answers, "predictions": predictions, "classes": classes},
            probably="The entry [i, j] is the number of questions whose right answer is i and "
            "whose given answer is j, for all i and j below C.",
        )
