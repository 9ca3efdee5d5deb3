"""The checks of exercise 6.4, a linear probe."""

from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

# Two vectors of one number; everything can be worked out on paper.
X, LABELS = np.array([[0.0], [2.0]]), np.array([0, 1])
GIVEN = {"x": X, "labels": LABELS, "classes": 2, "penalty": 6.0}


def fit(own: Any) -> Any:
    result = own.fit_probe(X.copy(), LABELS.copy(), 2, 6.0)
    expect.parts(result, ("weights", "bias"))
    return result


@check(Layer.SHAPES)
def test_parts(own: Any) -> None:
    """weights (D, C) and bias (C,) come back, in the dtype of x"""
    x = np.array([[0, 1, 2], [2, 0, 1], [1, 1, 0], [0, 3, 1]], np.float32)
    result = own.fit_probe(x, np.array([0, 1, 1, 0]), 2, 1.0)
    expect.parts(result, ("weights", "bias"))
    expect.array(result[0], like=x, shape=(3, 2), what="weights")
    expect.array(result[1], like=x, shape=(2,), what="bias")


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """x and labels are left as they were"""
    x, labels = X.copy(), LABELS.copy()
    with expect.unchanged(x=x, labels=labels):
        own.fit_probe(x, labels, 2, 2.0)


@check(Layer.EXAMPLE, points=2)
def test_weights_by_hand(own: Any) -> None:
    """two vectors: the weights, worked by hand"""
    expect.close(
        fit(own)[0],
        np.array([[-0.125, 0.125]]),
        what="weights",
        given=GIVEN,
        probably="From their means, x is -1, 1 and the column of class 1 is -1/2, 1/2. So the "
        "weight is (1/2 + 1/2) / (1 + 1 + 6). If you have -0.5 at [0, 0], the penalty is missing. "
        "If you have -0.25 at [0, 0], the labels are -1 and 1. If you have -0.07143 at [0, 0], the "
        "penalty is multiplied by the number of rows.",
    )


@check(Layer.EXAMPLE, points=2)
def test_bias_by_hand(own: Any) -> None:
    """two vectors: the bias, worked by hand"""
    expect.close(
        fit(own)[1],
        np.array([0.625, 0.375]),
        what="bias",
        given=GIVEN,
        probably="It is mean(y) - mean(x) W = 1/2 - 1·(1/8) for class 1. If you have 0.5 at [1], "
        "mean(x) W is missing. If you have 0.625 at [1], its sign is turned. If you have 0.3 at "
        "[1], the weights are those of x that is not centred.",
    )


@check(Layer.EXAMPLE)
def test_a_class_without_rows(own: Any) -> None:
    """a class that no row has gets a column all the same"""
    weights, bias = own.fit_probe(X.copy(), LABELS.copy(), 3, 6.0)
    expect.close(
        np.vstack([weights, bias]),
        np.array([[-0.125, 0.125, 0.0], [0.625, 0.375, 0.0]]),
        what="The matrix of weights above bias",
        given=GIVEN | {"classes": 3},
        probably="Class 2 has no row here, but one may come when the probe is asked.",
    )
    weights, bias = own.fit_probe(X.copy(), np.array([0, 2]), 3, 6.0)
    expect.close(
        np.vstack([weights, bias]),
        np.array([[-0.125, 0.0, 0.125], [0.625, 0.0, 0.375]]),
        what="The matrix of weights above bias",
        given={"x": X, "labels": np.array([0, 2]), "classes": 3, "penalty": 6.0},
        probably="Class 1 has no row here, and its column is zero; class 2 keeps its place.",
    )


@check(Layer.EXAMPLE)
def test_the_default_and_small_labels(own: Any) -> None:
    """without a penalty it is 1; labels are of any integer type"""
    for dtype in (np.int64, np.uint8, np.int8, np.uint64):
        weights, bias = own.fit_probe(X.copy(), LABELS.astype(dtype), 2)
        expect.close(
            np.vstack([weights, bias]),
            np.array([[-1 / 3, 1 / 3], [5 / 6, 1 / 6]]),
            what="The matrix of weights above bias",
            given={"x": X, "labels": LABELS, "classes": 2, "type of the labels": dtype.__name__},
            probably="The weight of class 1 is (1/2 + 1/2) / (1 + 1 + 1).",
        )


@check(Layer.EXAMPLE)
def test_refuses_no_penalty(own: Any) -> None:
    """a penalty of zero or below is refused"""
    with expect.raises(ValueError, "the penalty is 0"):
        own.fit_probe(X.copy(), LABELS.copy(), 2, 0.0)
    with expect.raises(ValueError, "the penalty is -1"):
        own.fit_probe(X.copy(), LABELS.copy(), 2, -1.0)
    with expect.raises(ValueError, "the penalty is not a number"):
        own.fit_probe(X.copy(), LABELS.copy(), 2, float("nan"))


@check(Layer.EXAMPLE)
def test_refuses_what_is_no_class(own: Any) -> None:
    """a label that is no class is refused"""
    with expect.raises(ValueError, "a label is -1 (NumPy would take the last class)"):
        own.fit_probe(X.copy(), np.array([-1, 1]), 2, 1.0)
    with expect.raises(ValueError, "a label is 2 and there are 2 classes"):
        own.fit_probe(X.copy(), np.array([0, 2]), 2, 1.0)


@check(Layer.RANDOM, points=3)
def test_random(own: Any) -> None:
    """random vectors: the least squares of a larger system"""
    rng = np.random.default_rng(64)
    cases = ((1, 2, 3, 1.0), (3, 1, 2, 1.0), (5, 2, 3, 0.5), (2, 5, 2, 2.0), (12, 4, 3, 3.0))
    for rows, width, classes, penalty in cases:
        x, labels = rng.normal(size=(rows, width)).round(1) + 2, rng.integers(classes, size=rows)
        # Ridge is least squares with a row of its own for each weight: sqrt(penalty) * w = 0.
        system = np.zeros((rows + width, width + 1))
        system[:rows, :width], system[:rows, width] = x, 1
        system[rows:, :width] = np.sqrt(penalty) * np.eye(width)
        wanted = np.zeros((rows + width, classes))
        wanted[np.arange(rows), labels] = 1
        expected = np.linalg.lstsq(system, wanted, rcond=None)[0]
        weights, bias = own.fit_probe(x.copy(), labels.copy(), classes, penalty)
        expect.close(
            np.vstack([weights, bias]),
            expected,
            what="The matrix of weights above bias",
            given={"x": x, "labels": labels, "classes": classes, "penalty": penalty},
            probably="With x and y minus their means, (xᵀx + penalty · I) W = xᵀy. The bias is "
            "mean(y) - mean(x) W.",
        )


@check(Layer.STABILITY)
def test_twin_columns(own: Any) -> None:
    """two equal columns share one weight"""
    x, labels = np.array([[0.0, 0.0], [2.0, 2.0]]), np.array([0, 1])
    weights, _ = own.fit_probe(x.copy(), labels.copy(), 2, 2.0)
    expect.close(
        weights,
        np.array([[-1.0, 1.0], [-1.0, 1.0]]) / 6,
        what="weights",
        given={"x": x, "labels": labels, "classes": 2, "penalty": 2.0},
        probably="Without a penalty on the diagonal the system has many solutions. With it, the "
        "sum of squared weights decides, and two equal columns get the same.",
    )
