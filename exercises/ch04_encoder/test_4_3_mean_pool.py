"""The checks of exercise 4.3, mean pooling with a mask."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

# Two examples of three tokens; the second has one token of padding.
X = np.array([[[1.0, 2.0], [3.0, 0.0], [5.0, 7.0]], [[2.0, 4.0], [6.0, 0.0], [13.0, 50.0]]])
MASK = np.array([[True, True, True], [True, True, False]])


def pool(own: Any, x: Any, mask: Any) -> Any:
    """y and the cache, on copies of the inputs."""
    result = own.mean_pool(x.copy(), None if mask is None else mask.copy())
    expect.parts(result, ("y", "cache"))
    return result


def cases(seed: int) -> Iterator[tuple[Any, Any]]:
    """Random vectors and masks, from small to large; every example has a real token."""
    rng = np.random.default_rng(seed)
    for batch, length, width in ((1, 2, 1), (2, 3, 2), (3, 5, 3)):
        mask = rng.random((batch, length)) < 0.6
        mask[:, 0] = True
        yield rng.normal(size=(batch, length, width)).round(1), mask


@check(Layer.SHAPES)
def test_result(own: Any) -> None:
    """y is (B, D), float32 if x is"""
    x = X.astype(np.float32)
    for mask in (None, MASK):
        y, _ = pool(own, x, mask)
        expect.array(y, like=x, shape=(2, 2), what="y")


@check(Layer.SHAPES)
def test_gradient_shape(own: Any) -> None:
    """dx is (B, T, D), float32 if dy is, with and without a mask"""
    dy = np.ones((2, 2), np.float32)
    for mask in (None, MASK):
        _, cache = pool(own, X.astype(np.float32), mask)
        expect.array(own.mean_pool_backward(dy, cache), like=dy, shape=X.shape, what="dx")


@check(Layer.SHAPES)
def test_refuses_another_mask(own: Any) -> None:
    """a mask that is not (B, T) booleans raises ValueError"""
    for shape in ((1, 3), (3,), (2, 1), (2, 3, 1), (2, 4)):
        with expect.raises(ValueError, f"x is (2, 3, 2) and the mask {shape}"):
            own.mean_pool(X.copy(), np.ones(shape, bool))
    for dtype in (np.int64, np.float64):
        with expect.raises(ValueError, f"the mask holds 1 and 0 as {np.dtype(dtype)}"):
            own.mean_pool(X.copy(), MASK.astype(dtype))
    with expect.raises(ValueError, "the mask holds token ids"):
        own.mean_pool(X.copy(), np.array([[5, 7, 15], [6, 7, 0]]))


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """x, the mask and dy are left as they were"""
    x, mask, dy = X.copy(), MASK.copy(), np.ones((2, 2))
    with expect.unchanged(x=x, mask=mask, dy=dy):
        _, cache = own.mean_pool(x, mask)
        own.mean_pool_backward(dy, cache)


@check(Layer.EXAMPLE)
def test_without_a_mask(own: Any) -> None:
    """no mask: the mean over all tokens"""
    y, cache = pool(own, X, None)
    expect.close(
        y,
        np.array([[3.0, 3.0], [7.0, 18.0]]),
        what="y",
        given={"x": X},
        probably="Each example is averaged over its three tokens. If you have 9 at [0, 0], the "
        "sum is not divided. If you have 5 at [0, 0], it is the largest entry. If you have 1 at "
        "[0, 0], it is the first token.",
    )
    dy = np.array([[3.0, 6.0], [6.0, 9.0]])
    expect.close(
        own.mean_pool_backward(dy.copy(), cache),
        np.array([[[1.0, 2.0]] * 3, [[2.0, 3.0]] * 3]),
        what="dx",
        given={"dy": dy},
        probably="Without a mask all three tokens of an example are real, and each gets a third "
        "of dy.",
    )


@check(Layer.EXAMPLE, points=2)
def test_with_padding(own: Any) -> None:
    """the third token of the second example is padding"""
    y, _ = pool(own, X, MASK)
    expect.close(
        y,
        np.array([[3.0, 3.0], [4.0, 2.0]]),
        what="y",
        given={"x": X, "mask": MASK},
        probably="The second example has two real tokens, and its mean is (2 + 6) / 2 = 4 and "
        "(4 + 0) / 2 = 2. If you have 7 at [1, 0], padding is averaged too. If you have 2.667 at "
        "[1, 0], the sum of its two real tokens is divided by 3, and must be divided by 2. If you "
        "have 0 at [0, 0], no token of the first example counts: True marks the real ones. If "
        "you have 3.6 at [0, 0], the real tokens of the whole batch are counted, and each example "
        "needs its own count.",
    )


@check(Layer.EXAMPLE, points=2)
def test_gradient_by_hand(own: Any) -> None:
    """dx: a third for each of three tokens, a half for each of two"""
    _, cache = pool(own, X, MASK)
    dy = np.array([[3.0, 6.0], [2.0, 8.0]])
    expect.close(
        own.mean_pool_backward(dy.copy(), cache),
        np.array([[[1.0, 2.0]] * 3, [[1.0, 4.0], [1.0, 4.0], [0.0, 0.0]]]),
        what="dx",
        given={"mask": MASK, "dy": dy},
        probably="Every real token gets its share of dy, and padding gets nothing. If you have 3 "
        "at [0, 0, 0], the share is missing. If you have 0.6667 at [1, 0, 0], it is divided by "
        "3 and not by 2. If you have 1 at [1, 2, 0], padding gets a gradient.",
    )


@check(Layer.EXAMPLE)
def test_no_real_token(own: Any) -> None:
    """an example without a real token gets zeros, and gives none back"""
    mask = np.array([[True, True, True], [False, False, False]])
    y, cache = pool(own, X, mask)
    given = {"x": X, "mask": mask}
    probably = "The first example has three real tokens and the second has none. A count of 0 "
    probably += "would divide by zero: divide by at least 1."
    expect.close(y, np.array([[3.0, 3.0], [0.0, 0.0]]), what="y", given=given, probably=probably)
    expect.close(
        own.mean_pool_backward(np.ones((2, 2)), cache),
        np.array([[[1 / 3] * 2] * 3, [[0.0] * 2] * 3]),
        what="dx",
        given=given,
        probably=probably,
    )


@check(Layer.RANDOM)
def test_random(own: Any) -> None:
    """random masks, one example at a time"""
    for x, mask in cases(43):
        expected = [
            sum(v for v, real in zip(row, which, strict=True) if real) / sum(map(int, which))
            for row, which in zip(x, mask, strict=True)
        ]
        expect.close(
            pool(own, x, mask)[0],
            np.array(expected),
            what="y",
            given={"x": x, "mask": mask},
            probably="Padding may be anywhere in a row here. Average the real tokens of each "
            "example by hand, and compare.",
        )


@check(Layer.GRADIENTS, points=2)
def test_gradient(own: Any) -> None:
    """the backward pass is the derivative of the forward pass"""
    for x, mask in cases(44):
        dy = np.random.default_rng(45).normal(size=(len(x), x.shape[-1])).round(1)
        _, cache = pool(own, x, mask)
        expect.gradient(
            own.mean_pool_backward(dy.copy(), cache),
            of=lambda at, mask=mask, dy=dy: float((own.mean_pool(at, mask)[0] * dy).sum()),
            at=x,
            what="dx",
            given={"x": x, "mask": mask, "dy": dy},
            probably="dx at a real token is dy divided by the number of real tokens in its "
            "example; at padding it is zero.",
        )


@check(Layer.GRADIENTS)
def test_two_passes_at_once(own: Any) -> None:
    """with a mask, without, with another; then all backward"""
    masks = (MASK, None, ~MASK[::-1])
    caches = [pool(own, X, mask)[1] for mask in masks]
    dy = np.array([[6.0, 12.0], [18.0, 24.0]])
    for mask, cache in zip(masks, caches, strict=True):
        real = np.ones((2, 3), bool) if mask is None else mask
        counts = [max(sum(row), 1) for row in real.tolist()]
        shares = [[m / n for m in row] for row, n in zip(real.tolist(), counts, strict=True)]
        expect.close(
            own.mean_pool_backward(dy.copy(), cache),
            np.array([[s * dy[b] for s in row] for b, row in enumerate(shares)]),
            what="dx",
            given={"mask": real, "dy": dy},
            probably="Three forward passes were made, then the backward passes in the same order. "
            "What a backward pass needs belongs into the cache of its own forward pass.",
        )


@check(Layer.STABILITY, points=2)
def test_whatever_stands_at_padding(own: Any) -> None:
    """infinity and NaN do not count at padding, and do elsewhere"""
    x = X.copy()
    x[1, 2] = np.inf, np.nan
    with np.errstate(all="ignore"):
        y, cache = pool(own, x, MASK)
    expect.close(
        y,
        np.array([[3.0, 3.0], [4.0, 2.0]]),
        what="y",
        given={"x": x, "mask": MASK},
        probably="Zero times infinity is not zero, it is not a number. Choose with np.where, or "
        "add up the real tokens alone.",
    )
    at_real = X.copy()
    at_real[1, 0, 1] = np.inf
    expect.close(
        pool(own, at_real, MASK)[0],
        np.array([[3.0, 3.0], [4.0, np.inf]]),
        what="y",
        given={"x": at_real, "mask": MASK},
        probably="Here infinity is at a real token, which counts: the mean is infinite too. "
        "np.nan_to_num would hide that a model has gone wrong.",
    )
    with np.errstate(all="ignore"):
        dx = own.mean_pool_backward(np.array([[3.0, 6.0], [2.0, 8.0]]), cache)
    expect.close(
        dx,
        np.array([[[1.0, 2.0]] * 3, [[1.0, 4.0], [1.0, 4.0], [0.0, 0.0]]]),
        what="dx",
        given={"x": x, "mask": MASK},
        probably="The gradient does not depend on x, only on the mask and dy.",
    )


@check(Layer.STABILITY)
def test_no_token_at_all(own: Any) -> None:
    """a sequence of length 0 has no real token: zeros"""
    for mask in (None, np.ones((2, 0), bool)):
        with np.errstate(all="ignore"):
            y, _ = pool(own, np.zeros((2, 0, 3)), mask)
        expect.close(
            y,
            np.zeros((2, 3)),
            what="y",
            given={"x": "of shape (2, 0, 3)", "mask": mask},
            probably="There is nothing to add up, and the count must be at least 1.",
        )
