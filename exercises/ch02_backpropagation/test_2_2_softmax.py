"""The checks of exercise 2.2, softmax and its gradient."""

import math
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

Array = NDArray[Any]

# The example of the chapter: exponentials 1, 3 and 4, so weights 1/8, 3/8 and 4/8.
LOGITS = np.log([[1.0, 3.0, 4.0]])
WEIGHTS = np.array([[0.125, 0.375, 0.5]])
DP = np.array([[8.0, 0.0, -8.0]])


def definition(x: Array) -> Array:
    """exp over the sum of exp, a row at a time, by exact sums."""
    p = np.empty_like(x)
    for row in np.ndindex(x.shape[:-1]):
        total = math.fsum(math.exp(z) for z in x[row])
        p[row] = [math.exp(z) / total for z in x[row]]
    return p


@check(Layer.SHAPES)
def test_shape(own: Any) -> None:
    """the weights have the shape and the dtype of x"""
    rng = np.random.default_rng(0)
    for shape, dtype in product(((3,), (2, 3), (2, 4, 3)), (np.float32, np.float64)):
        x = rng.normal(size=shape).astype(dtype)
        expect.array(own.softmax(x), like=x, shape=shape, what="p")


@check(Layer.SHAPES)
def test_gradient_shape(own: Any) -> None:
    """the gradient has the shape and the dtype of dp"""
    rng = np.random.default_rng(1)
    for shape, dtype in product(((3,), (2, 3), (2, 4, 3)), (np.float32, np.float64)):
        p = definition(rng.normal(size=shape)).astype(dtype)
        dp = rng.normal(size=shape).astype(dtype)
        expect.array(
            own.softmax_backward(dp, p),
            like=dp,
            shape=shape,
            what="dx",
            probably="The Jacobian of a row is a square. Multiply dp by it: what comes out is a "
            "row again.",
        )


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """x, dp and p are left as they were"""
    x, dp, p = LOGITS.copy(), DP.copy(), WEIGHTS.copy()
    with expect.unchanged(x=x, dp=dp, p=p):
        own.softmax(x)
        own.softmax_backward(dp, p)


@check(Layer.EXAMPLE)
def test_one_row(own: Any) -> None:
    """one row: the exponentials are 1, 3 and 4"""
    expect.close(
        own.softmax(LOGITS.copy()),
        WEIGHTS,
        what="p",
        given={"x": LOGITS},
        probably="1 + 3 + 4 = 8, so the weights are 1/8, 3/8 and 4/8. If you have 1 at [0, 0], "
        "each entry is divided by itself: the sum runs over the wrong axis. If you have 0.1737 at "
        "[0, 0], the exponentials are powers of 2.",
    )


@check(Layer.EXAMPLE)
def test_two_rows(own: Any) -> None:
    """two rows: each sums to one by itself"""
    x = np.log([[1.0, 3.0], [2.0, 2.0]])
    expect.close(
        own.softmax(x.copy()),
        np.array([[0.25, 0.75], [0.5, 0.5]]),
        what="p",
        given={"x": x},
        probably="The exponentials are 1, 3 and 2, 2. If you have 0.3333 at [0, 0], the columns "
        "sum to one. If you have 0.125 at [0, 0], the whole array does.",
    )


@check(Layer.EXAMPLE)
def test_masked_entry(own: Any) -> None:
    """an entry of minus infinity gets no weight"""
    for low in (0.0, -20_000.0):
        x = np.array([[-np.inf, low, low]])
        p = own.softmax(x.copy())
        expect.close(
            p,
            np.array([[0.0, 0.5, 0.5]]),
            what="p",
            given={"x": x},
            probably="exp(-inf) is 0, and the rest shares the weight, however low it is.",
        )
        if p[0, 0] != 0:
            says = f"The entry of minus infinity has a weight of {p[0, 0]:.0e}, and should have 0."
            expect.fail(
                says, given={"x": x}, probably="It must get no weight, not even a small one."
            )


@check(Layer.EXAMPLE)
def test_masked_row(own: Any) -> None:
    """a row of minus infinity becomes zeros"""
    x = np.array([[-np.inf, -np.inf], [0.0, 0.0]])
    expect.close(
        own.softmax(x.copy()),
        np.array([[0.0, 0.0], [0.5, 0.5]]),
        what="p",
        given={"x": x},
        probably="The docstring asks for zeros. If you have nan at [0, 0], one of two steps makes "
        "it: -inf minus -inf is nan, and so is 0/0. If you have 0.5 at [0, 0], the row is treated "
        "as equal logits, and what is masked gets weight.",
    )
    expect.close(
        own.softmax(x[0].copy()),
        np.zeros(2),
        what="p of the first row alone",
        given={"x": x[0]},
        probably="x has one axis here, and its one row is masked throughout.",
    )
    expect.close(
        own.softmax_backward(np.array([1.0, -2.0]), np.zeros(2)),
        np.zeros(2),
        what="dx of a row without weights",
        given={"dp": np.array([1.0, -2.0]), "p": np.zeros(2)},
        probably="All weights are 0 there, and every term of the gradient has one in it.",
    )


@check(Layer.EXAMPLE, points=2)
def test_gradient_by_hand(own: Any) -> None:
    """the gradient of the row, worked by hand"""
    expect.close(
        own.softmax_backward(DP.copy(), WEIGHTS.copy()),
        np.array([[11 / 8, 9 / 8, -20 / 8]]),
        what="dx",
        given={"dp": DP, "p": WEIGHTS},
        probably="The mean of dp, weighted by p, is 8/8 + 0 - 8/2 = -3. Each entry of dp is "
        "compared with it and weighted by p: 1/8·(8 + 3), 3/8·(0 + 3), 4/8·(-8 + 3). If you have "
        "0.875 at [0, 0], you used the diagonal of the Jacobian alone. If you have 11 at [0, 0], "
        "the p in front is missing. If you have 0.625 at [0, 0], the mean is added and not "
        "subtracted. If you have 1.125 at [0, 0], the weighted sum was divided by the number of "
        "entries once more.",
    )


@check(Layer.EXAMPLE)
def test_gradient_of_two_rows(own: Any) -> None:
    """two rows do not see each other"""
    p, dp = np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([[2.0, 0.0], [4.0, 0.0]])
    expect.close(
        own.softmax_backward(dp.copy(), p.copy()),
        np.array([[0.5, -0.5], [0.75, -0.75]]),
        what="dx",
        given={"dp": dp, "p": p},
        probably="The weighted means are 1 in row 0 and 1 in row 1. If you have 0 at [0, 0], the "
        "sum runs over the whole array.",
    )


@check(Layer.RANDOM)
def test_random_weights(own: Any) -> None:
    """random rows: exp over the sum of exp"""
    rng = np.random.default_rng(21)
    for shape in ((1, 1), (1, 2), (3,), (3, 2), (2, 3, 5)):
        x = rng.normal(size=shape, scale=2).round(1)
        expect.close(
            own.softmax(x.copy()),
            definition(x),
            what="p",
            given={"x": x},
            probably="Each row along the last axis sums to one, whatever axes are in front of it.",
        )


@check(Layer.RANDOM, points=2)
def test_random_gradients(own: Any) -> None:
    """random rows: dp times the Jacobian, written out"""
    rng = np.random.default_rng(22)
    for shape in ((1, 2), (3,), (2, 2), (3, 4), (2, 3, 5)):
        p = definition(rng.normal(size=shape).round(1))
        dp = rng.normal(size=shape).round(1)
        dx = np.zeros(shape)
        for row in np.ndindex(shape[:-1]):
            for i, j in np.ndindex(shape[-1], shape[-1]):
                jacobian = p[row][i] * ((1.0 if i == j else 0.0) - p[row][j])
                dx[row][j] += dp[row][i] * jacobian
        expect.close(
            own.softmax_backward(dp.copy(), p.copy()),
            dx,
            what="dx",
            given={"dp": dp, "p": p},
            probably="Weight i changes with logit j by p[i]·(δ - p[j]), with δ one where i = j and "
            "zero elsewhere. Multiply by dp[i] and sum over i.",
        )


@check(Layer.GRADIENTS, points=2)
def test_gradient(own: Any) -> None:
    """the backward pass is the derivative of the forward pass"""
    rng = np.random.default_rng(23)
    for shape in ((1, 2), (2, 3), (2, 2, 4)):
        x, dp = rng.normal(size=shape).round(1), rng.normal(size=shape).round(1)

        def output(a: Array, dp: Array = dp) -> float:
            return float((own.softmax(a) * dp).sum())

        expect.gradient(
            own.softmax_backward(dp.copy(), own.softmax(x.copy())),
            of=output,
            at=x,
            what="dx",
            given={"x": x, "dp": dp},
            probably="When one logit rises, its own weight grows and all others of its row shrink. "
            "Both belong to the gradient.",
        )


@check(Layer.STABILITY)
def test_large_logits(own: Any) -> None:
    """logits of ±10,000 give the exact weights"""
    e = math.e
    cases = (
        ([[10_000.0, 9_999.0]], [[e / (e + 1), 1 / (e + 1)]]),
        ([[10_000.0, 10_000.0], [-10_000.0, -10_000.0]], [[0.5, 0.5], [0.5, 0.5]]),
        ([[-9_999.0, -10_000.0]], [[e / (e + 1), 1 / (e + 1)]]),
    )
    for x, expected in cases:
        expect.close(
            own.softmax(np.array(x)),
            np.array(expected),
            what="p",
            given={"x": np.array(x)},
            probably="exp(10000) is too large for a float, and exp(-10000) is zero. Subtracting a "
            "number from all logits of a row changes no weight: choose one, for each row, that "
            "makes the largest logit 0.",
        )
