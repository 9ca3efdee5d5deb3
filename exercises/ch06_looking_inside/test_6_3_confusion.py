"""The checks of exercise 6.3, confusion matrix."""

from typing import Any

import numpy as np

from groundup.course import expect
from groundup.course.checks import Layer, check

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
    answers, predictions = np.array([1, 1, 1, 0]), np.array([0, 0, 0, 0])
    expect.close(
        own.confusion(answers.copy(), predictions.copy(), 2),
        np.array([[1, 0], [3, 0]]),
        what="The matrix",
        given={"answers": answers, "predictions": predictions, "classes": 2},
        probably="Three questions have the answer 1 and the prediction 0. In NumPy, "
        "counts[rows, columns] += 1 adds one to each cell that is named, however often it is.",
    )
    often = np.ones(300, int)
    expect.close(
        own.confusion(often.copy(), often.copy(), 2),
        np.array([[0, 0], [0, 300]]),
        what="The matrix of 300 equal pairs",
        given={"answers": often, "predictions": often, "classes": 2},
        probably="Count in a type that holds large numbers: uint8 ends at 255.",
    )


@check(Layer.EXAMPLE)
def test_small_types(own: Any) -> None:
    """classes of type uint8 in a matrix of 400 cells"""
    answers, predictions = np.array([0, 17, 17], np.uint8), np.array([1, 16, 16], np.uint8)
    received = own.confusion(answers.copy(), predictions.copy(), 20)
    expect.array(received, like=np.zeros(1, int), shape=(20, 20), what="The matrix")
    expect.close(
        received[[5, 0, 17], [0, 1, 16]],
        np.array([0, 1, 2]),
        what="What is in the cells (5, 0), (0, 1) and (17, 16)",
        given={"answers": answers, "predictions": predictions, "classes": 20},
        probably="If you have 2 at [0], the number of a cell, 17 * 20 + 16 = 356, was computed in "
        "uint8, which begins again at 256: take the classes as int first.",
    )


@check(Layer.EXAMPLE)
def test_refuses_what_is_no_class(own: Any) -> None:
    """what is no class is refused"""
    with expect.raises(ValueError, "a prediction is 3 and there are 3 classes"):
        own.confusion(np.array([0, 1]), np.array([0, 3]), 3)
    with expect.raises(ValueError, "an answer is -1 (NumPy would take the last row)"):
        own.confusion(np.array([-1, 1]), np.array([0, 1]), 3)


@check(Layer.EXAMPLE)
def test_refuses_what_has_no_partner(own: Any) -> None:
    """answers and predictions of different numbers are refused"""
    with expect.raises(ValueError, "there are three answers and one prediction"):
        own.confusion(np.array([0, 1, 1]), np.array([0]), 2)
    with expect.raises(ValueError, "answers and predictions have two axes"):
        own.confusion(np.array([[0, 1]]), np.array([[0, 1]]), 2)


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
            probably="Each question adds one to the cell of its answer and its prediction.",
        )
