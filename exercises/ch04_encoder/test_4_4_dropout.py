"""The checks of exercise 4.4, dropout."""

from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

X = np.array([[1.0, -2.0, 3.0], [4.0, 0.0, -6.0]])


def drop(own: Any, x: Any, rate: float, seed: int | None = 0) -> Any:
    """y and the cache; without a seed there is no generator."""
    rng = None if seed is None else np.random.default_rng(seed)
    result = own.dropout(x.copy(), rate, rng)
    expect.parts(result, ("y", "cache"))
    return result


@check(Layer.SHAPES)
def test_result(own: Any) -> None:
    """y is like x, of any shape, float32 too"""
    for shape in ((2, 3), (4,), (2, 3, 2), (0, 3)):
        x = np.ones(shape, np.float32)
        y, _ = drop(own, x, 0.5)
        expect.array(y, like=x, shape=shape, what=f"y for x {shape}")


@check(Layer.SHAPES)
def test_gradient_shape(own: Any) -> None:
    """dx is like x, with and without a generator"""
    for shape in ((2, 3), (4,), (2, 3, 2), (0, 3)):
        x = np.ones(shape, np.float32)
        for seed in (0, None):
            _, cache = drop(own, x, 0.5, seed)
            expect.array(own.dropout_backward(x.copy(), cache), like=x, shape=shape, what="dx")


@check(Layer.SHAPES)
def test_refuses_a_rate(own: Any) -> None:
    """a rate outside [0, 1) raises ValueError, in evaluation too"""
    for rate, why in (
        (1.0, "the rate is 1: nothing is left"),
        (-0.1, "the rate is -0.1"),
        (1.5, "the rate is 1.5"),
        (float("nan"), "the rate is not a number"),
    ):
        with expect.raises(ValueError, why):
            own.dropout(X.copy(), rate, np.random.default_rng(0))
        with expect.raises(ValueError, f"{why}, without a generator"):
            own.dropout(X.copy(), rate, None)


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """x and dy are left as they were"""
    x, dy = X.copy(), np.ones_like(X)
    with expect.unchanged(x=x, dy=dy):
        _, cache = own.dropout(x, 0.5, np.random.default_rng(0))
        own.dropout_backward(dy, cache)


@check(Layer.EXAMPLE)
def test_evaluation(own: Any) -> None:
    """no generator: everything passes as it is, forward and backward"""
    y, cache = drop(own, X, 0.75, seed=None)
    probably = "In evaluation nothing is dropped and nothing is scaled. If you have 0.25 at [0, 0],"
    probably += " it is scaled down, which the scale of training already made up for."
    given = {"x": X, "rate": 0.75, "rng": None}
    expect.close(y, X, what="y", given=given, probably=probably)
    expect.close(own.dropout_backward(X.copy(), cache), X, what="dx", given={**given, "dy": X})


@check(Layer.EXAMPLE)
def test_rate_zero(own: Any) -> None:
    """rate 0 with a generator: everything passes as it is"""
    y, cache = drop(own, X, 0.0)
    given = {"x": X, "rate": 0.0}
    probably = "At rate 0 nothing is dropped, and the scale is 1 / (1 - 0) = 1."
    expect.close(y, X, what="y", given=given, probably=probably)
    expect.close(own.dropout_backward(X.copy(), cache), X, what="dx", given={**given, "dy": X})


@check(Layer.EXAMPLE, points=2)
def test_what_is_kept_is_scaled(own: Any) -> None:
    """at rate 0.75, ones become 0 or 4"""
    y, _ = drop(own, np.ones(40), 0.75)
    kept = y[y != 0]
    given = {"x": "40 ones", "rate": 0.75}
    if not 0 < kept.size < 40:
        expect.fail(f"{kept.size} of 40 entries are kept, at a rate of 0.75.", given=given)
    expect.close(
        kept.max(),
        4.0,
        what="The largest entry",
        given=given,
        probably="One in four is kept. To keep the mean at 1, each counts 1 / (1 - 0.75) = 4. If "
        "you have 1, nothing is scaled. If you have 0.25, it is multiplied by what it is to be "
        "divided by.",
    )
    expect.close(kept.min(), 4.0, what="The smallest entry that is kept", given=given)


@check(Layer.EXAMPLE, points=2)
def test_backward_uses_the_same_draw(own: Any) -> None:
    """what was dropped passes nothing back; what was kept, its scale"""
    y, cache = drop(own, np.ones((4, 5)), 0.5, seed=1)
    dy = np.arange(1.0, 21.0).reshape(4, 5)
    expect.close(
        own.dropout_backward(dy.copy(), cache),
        np.where(y == 0, 0.0, 2 * dy),
        what="dx",
        given={"y, for x of ones": y, "rate": 0.5, "dy": dy},
        probably="y = x times a factor that is 0 or 2, and dx is dy times the same factor. Keep "
        "it in the cache: a second draw is another one.",
    )


@check(Layer.RANDOM, points=2)
def test_share(own: Any) -> None:
    """the share of zeros is the rate, and the mean stays"""
    for rate in (0.05, 0.55, 0.83):
        y, _ = drop(own, np.ones((100, 100)), rate, seed=4)
        given = {"x": "10,000 ones", "rate": rate}
        share, mean = float((y == 0).mean()), float(y.mean())
        # Six standard deviations of a mean over 10,000 draws.
        if abs(share - rate) > 6 * np.sqrt(rate * (1 - rate)) / 100:
            says = f"The share of zeros is {share:.3f}, and should be about {rate}."
            probably = "The rate is the share that is dropped, not the share that is kept."
            expect.fail(says, given=given, probably=probably)
        if abs(mean - 1) > 6 * np.sqrt(rate / (1 - rate)) / 100:
            says = f"The mean is {mean:.3f}, and should be about 1."
            expect.fail(says, given=given, probably="What is kept makes up for the rest.")


@check(Layer.RANDOM, points=2)
def test_draws(own: Any) -> None:
    """each entry is drawn for itself, from the generator given"""
    rng = np.random.default_rng(2)
    ones = np.ones((8, 8))
    first, second = own.dropout(ones, 0.5, rng)[0], own.dropout(ones, 0.5, rng)[0]
    again = drop(own, ones, 0.5, seed=2)[0]
    if not np.array_equal(first, again):
        says = "Two generators of the same seed give different results."
        expect.fail(says, probably="Draw from rng and from nothing else.")
    if np.array_equal(first, second):
        says = "Two calls in a row, with one generator, drop the same entries."
        expect.fail(says, probably="Draw from rng, which moves on with every draw.")
    given = {"x": "ones of shape (6, 6, 6)", "rate": 0.5}
    zeros = drop(own, np.ones((6, 6, 6)), 0.5, seed=3)[0] == 0
    for axis in range(3):
        slices = np.moveaxis(zeros, axis, 0)
        alike = [(i, j) for i in range(6) for j in range(i) if (slices[i] == slices[j]).all()]
        if alike:
            i, j = alike[0]
            says = f"Along axis {axis}, the slices {j} and {i} drop the same entries."
            expect.fail(says, given=given, probably="Draw x.shape numbers, one for each entry.")
    drawn = np.random.default_rng(5)
    counts = [int((own.dropout(np.ones(20), 0.5, drawn)[0] == 0).sum()) for _ in range(40)]
    if len(set(counts)) == 1:
        says = f"In each of 40 calls exactly {counts[0]} of 20 entries are dropped, at a rate of "
        says += "0.5."
        probably = "Each entry is dropped with this probability, whatever happens to the others."
        expect.fail(says, given={"x": "20 ones"}, probably=probably)


@check(Layer.GRADIENTS, points=2)
def test_gradient(own: Any) -> None:
    """the backward pass is the derivative of the forward pass"""
    for rate in (0.3, 0.6):
        _, cache = drop(own, X, rate, seed=6)
        dy = np.array([[1.0, 2.0, -1.0], [0.5, -2.0, 3.0]])
        expect.gradient(
            own.dropout_backward(dy.copy(), cache),
            of=lambda at, rate=rate, dy=dy: float((drop(own, at, rate, seed=6)[0] * dy).sum()),
            at=X,
            what="dx",
            given={"x": X, "rate": rate, "dy": dy},
            probably="With the same draw, dropout is a multiplication by fixed numbers. They are "
            "its derivative, where x is 0 too.",
        )


@check(Layer.GRADIENTS)
def test_two_passes_at_once(own: Any) -> None:
    """two forward passes and one in evaluation, then all backward"""
    ones = np.ones((4, 5))
    passes = [drop(own, ones, 0.5, seed) for seed in (1, 2, None)]
    dy = np.arange(1.0, 21.0).reshape(4, 5)
    for y, cache in passes:
        expect.close(
            own.dropout_backward(dy.copy(), cache),
            dy * y,
            what="dx",
            given={"y, for x of ones": y, "dy": dy},
            probably="Three forward passes were made, then the backward passes in the same order. "
            "What was dropped belongs into the cache of its own forward pass.",
        )
