"""The checks of exercise 5.2, cross-entropy and its gradient."""

import math
from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

# Two rows, three classes; the exponentials are whole numbers.
LOGITS = np.log([[1.0, 3.0, 4.0], [2.0, 2.0, 4.0]])
TARGETS = np.array([1, 2])
GIVEN = {"logits": LOGITS, "targets": TARGETS}


@check(Layer.SHAPES)
def test_loss_is_a_number(own: Any) -> None:
    """the forward pass returns a number and a cache"""
    result = own.cross_entropy(LOGITS.copy(), TARGETS)
    expect.parts(result, ("loss", "cache"))
    expect.number(result[0], what="The loss", probably="Take the mean over the rows.")


@check(Layer.SHAPES)
def test_gradient_shape(own: Any) -> None:
    """the backward pass returns an array like the logits"""
    logits = LOGITS.astype(np.float32)
    _, cache = own.cross_entropy(logits, TARGETS)
    received = own.cross_entropy_backward(cache)
    expect.array(received, like=logits, shape=logits.shape, what="dlogits")


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """logits and targets are left as they were, by both passes"""
    logits, targets = LOGITS.copy(), TARGETS.copy()
    with expect.unchanged(logits=logits, targets=targets):
        _, cache = own.cross_entropy(logits, targets)
        own.cross_entropy_backward(cache)


@check(Layer.EXAMPLE)
def test_one_row(own: Any) -> None:
    """one row: the right class has probability 3/4"""
    logits = np.log([[1.0, 3.0]])
    loss, _ = own.cross_entropy(logits, np.array([1]))
    expect.close(
        loss,
        math.log(4 / 3),
        what="The loss",
        given={"logits": logits, "targets": np.array([1])},
        probably="The exponentials are 1 and 3, so p = 3/4, and -log p = 0.2877. If you have 0, "
        "the softmax runs down the rows and not over the classes. If you have 0.415, it is in "
        "bits: use the natural logarithm. If you have 0.1438, the mean is over classes too. If "
        "you have -0.2877, the sign is turned.",
    )


@check(Layer.EXAMPLE)
def test_two_rows(own: Any) -> None:
    """two rows: the mean of -log(3/8) and -log(1/2)"""
    loss, _ = own.cross_entropy(LOGITS.copy(), TARGETS)
    expect.close(
        loss,
        (math.log(8 / 3) + math.log(2)) / 2,
        what="The loss",
        given=GIVEN,
        probably="The losses of the rows are 0.9808 and 0.6931. If you have 1.674, they are summed "
        "and not averaged.",
    )


@check(Layer.EXAMPLE)
def test_gradient_by_hand(own: Any) -> None:
    """the gradient of the two rows, worked by hand"""
    _, cache = own.cross_entropy(LOGITS.copy(), TARGETS)
    _, other = own.cross_entropy(np.zeros((2, 3)), np.zeros(2, dtype=int))
    expect.close(
        own.cross_entropy_backward(cache),
        np.array([[1 / 16, -5 / 16, 4 / 16], [2 / 16, 2 / 16, -4 / 16]]),
        what="dlogits",
        given=GIVEN,
        probably="The probabilities are 1/8, 3/8, 4/8 and 2/8, 2/8, 4/8. Subtract one "
        "at the right class of each row, and at no other; then divide by the number of rows, 2. "
        "Every row of the result sums to zero. If you have 0.1875 at [0, 1], nothing is "
        "subtracted. If you have -0.375 at [1, 1], one is subtracted from whole columns. "
        "If you have 0.125 at [0, 0], the division is missing.",
    )
    expect.close(
        own.cross_entropy_backward(other),
        np.array([[-1 / 3, 1 / 6, 1 / 6]] * 2),
        what="dlogits of the second forward pass",
        given={"logits": np.zeros((2, 3)), "targets": np.zeros(2, dtype=int)},
        probably="Two forward passes were made, then the backward passes in the same order. What a "
        "backward pass needs is in the cache that it is given.",
    )


@check(Layer.EXAMPLE)
def test_refuses_what_is_no_class(own: Any) -> None:
    """targets that are no class, or too few, raise ValueError"""
    logits = np.zeros((1, 3))
    with expect.raises(ValueError, "a target is 3 and there are 3 classes"):
        own.cross_entropy(logits, np.array([3]))
    with expect.raises(ValueError, "a target is -1 (NumPy would take the last class)"):
        own.cross_entropy(logits, np.array([-1]))
    with expect.raises(ValueError, "there are two rows and one target"):
        own.cross_entropy(np.zeros((2, 3)), np.array([0]))
    with expect.raises(ValueError, "there are two rows and three targets"):
        own.cross_entropy(np.zeros((2, 3)), np.array([0, 1, 2]))
    with expect.raises(ValueError, "there are two rows and targets of shape (2, 1)"):
        own.cross_entropy(np.zeros((2, 3)), np.array([[0], [1]]))
    for kind in (bool, float):
        with expect.raises(ValueError, f"the targets are of type {kind.__name__}"):
            own.cross_entropy(np.zeros((2, 2)), np.array([0, 1]).astype(kind))
    with expect.raises(ValueError, "the logits have three axes"):
        own.cross_entropy(np.zeros((2, 2, 3)), np.zeros((2, 2), dtype=int))
    with expect.raises(ValueError, "there are no rows"):
        own.cross_entropy(np.zeros((0, 3)), np.zeros(0, dtype=int))


@check(Layer.RANDOM, points=2)
def test_random(own: Any) -> None:
    """random logits: the loss is the mean of -log p"""
    rng = np.random.default_rng(52)
    cases = ((1, 2, "int32"), (2, 2, "uint8"), (3, 5, "int64"), (8, 20, "int8"))
    for rows, classes, type in cases:
        logits = rng.normal(size=(rows, classes), scale=2).round(1)
        targets = rng.integers(classes, size=rows).astype(type)
        losses = [
            math.log(math.fsum(math.exp(z) for z in row)) - row[target]
            for row, target in zip(logits, targets, strict=True)
        ]
        expect.close(
            own.cross_entropy(logits.copy(), targets)[0],
            math.fsum(losses) / rows,
            what="The loss",
            given={"logits": logits, "targets": targets, "type of the targets": type},
            probably="Compare the numbers of rows and classes with those of the worked example.",
        )


@check(Layer.GRADIENTS, points=2)
def test_gradient(own: Any) -> None:
    """the backward pass is the derivative of the forward pass"""
    rng = np.random.default_rng(53)
    for rows, classes in ((1, 2), (2, 3), (4, 6)):
        logits = rng.normal(size=(rows, classes)).round(1)
        targets = rng.integers(classes, size=rows)
        _, cache = own.cross_entropy(logits.copy(), targets)
        expect.gradient(
            own.cross_entropy_backward(cache),
            of=lambda x, targets=targets: own.cross_entropy(x, targets)[0],
            at=logits,
            what="dlogits",
            given={"logits": logits, "targets": targets},
            probably="The loss has passed its checks; this is its derivative, by differences of "
            "your own forward pass. By hand it is the softmax, minus one at the target, over the "
            "number of rows.",
        )


@check(Layer.STABILITY)
def test_large_logits(own: Any) -> None:
    """logits of ±10,000 give the exact loss"""
    cases = (
        ([[10_000.0, 9_999.0]], math.log1p(math.e)),
        ([[10_000.0, 0.0]], 10_000.0),
        ([[10_000.0, 10_000.0], [-10_000.0, -10_000.0]], math.log(2)),
    )
    for logits, expected in cases:
        targets = np.ones(len(logits), dtype=int)
        loss, _ = own.cross_entropy(np.array(logits), targets)
        expect.close(
            loss,
            expected,
            what="The loss",
            given={"logits": np.array(logits), "targets": targets},
            probably="exp(10000) is too large for a float: subtract each row's largest logit "
            "first. And exp(-10000) is zero, whose logarithm is an infinity: do not take the "
            "logarithm of a softmax, but write it as log Σ exp minus the logit.",
        )


@check(Layer.STABILITY)
def test_large_logits_backward(own: Any) -> None:
    """logits of ±10,000 give a finite gradient"""
    logits, targets = np.array([[10_000.0, 0.0]]), np.array([1])
    _, cache = own.cross_entropy(logits.copy(), targets)
    expect.close(
        own.cross_entropy_backward(cache),
        np.array([[1.0, -1.0]]),
        what="dlogits",
        given={"logits": logits, "targets": targets},
        probably="The softmax of the backward pass must subtract the largest logit too.",
    )
