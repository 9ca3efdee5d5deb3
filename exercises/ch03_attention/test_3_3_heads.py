"""The checks of exercise 3.3, splitting and merging heads."""

from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

# Three tokens of width 4: the tens say which token, the ones which column.
X = np.array([[[0.0, 1.0, 2.0, 3.0], [10.0, 11.0, 12.0, 13.0], [20.0, 21.0, 22.0, 23.0]]])
# The same in two heads of width 2.
SPLIT = np.array(
    [[[[0.0, 1.0], [10.0, 11.0], [20.0, 21.0]], [[2.0, 3.0], [12.0, 13.0], [22.0, 23.0]]]]
)


@check(Layer.SHAPES)
def test_split_shape(own: Any) -> None:
    """split_heads gives (B, H, T, K)"""
    for dtype in (np.float32, np.float64):
        x = np.zeros((2, 3, 8), dtype)
        expect.array(
            own.split_heads(x, 4),
            like=x,
            shape=(2, 4, 3, 2),
            what="split_heads(x, 4)",
            probably="Four heads share a width of 8, so each has 2. Heads come before tokens.",
        )


@check(Layer.SHAPES)
def test_merge_shape(own: Any) -> None:
    """merge_heads gives (B, T, H·K)"""
    for dtype in (np.float32, np.float64):
        x = np.zeros((2, 4, 3, 2), dtype)
        expect.array(
            own.merge_heads(x),
            like=x,
            shape=(2, 3, 8),
            what="merge_heads(x)",
            probably="The heads are laid side by side: four heads of width 2 give a width of 8.",
        )


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """x is left as it was, its shape too"""
    x, heads = X.copy(), SPLIT.copy()
    with expect.unchanged(x=x, heads=heads):
        own.split_heads(x, 2)
        own.merge_heads(heads)
        expect.array(
            x,
            like=X,
            shape=X.shape,
            what="x, after the call,",
            probably="x.shape = ... changes the caller's array. x.reshape(...) makes a new view.",
        )


@check(Layer.EXAMPLE, points=2)
def test_split_by_hand(own: Any) -> None:
    """three tokens of width 4 become two heads of width 2"""
    expect.close(
        own.split_heads(X.copy(), 2),
        SPLIT,
        what="split_heads(x, 2)",
        given={"x": X, "heads": 2},
        probably="Head 0 gets columns 0 and 1 of every token, and head 1 gets columns 2 and 3. If "
        "you have 2 at [0, 0, 1, 0], the numbers were never moved: reshape alone gives all of "
        "token 0 to head 0. If you have 2 at [0, 0, 0, 1], a head has every second column and not "
        "two neighbours.",
    )


@check(Layer.EXAMPLE)
def test_merge_by_hand(own: Any) -> None:
    """two heads of width 2 become three tokens of width 4"""
    expect.close(
        own.merge_heads(SPLIT.copy()),
        X,
        what="merge_heads(x)",
        given={"x": SPLIT},
        probably="Token 0 gets its two columns of head 0 and then its two of head 1. If you have "
        "10 at [0, 0, 2], no number was moved: reshape alone joins two tokens of one head. If you "
        "have 2 at [0, 0, 1], the columns of the heads alternate. If you have 2 at [0, 0, 0], the "
        "heads come in the opposite order.",
    )


@check(Layer.RANDOM, points=2)
def test_random_split(own: Any) -> None:
    """random sizes: column h·K + c of a token is column c of head h"""
    rng = np.random.default_rng(33)
    sizes = ((1, 1, 2, 1), (1, 2, 1, 3), (1, 2, 3, 2), (2, 3, 2, 2), (2, 2, 3, 4))
    for batch, length, heads, width in sizes:
        x = rng.normal(size=(batch, length, heads * width)).round(1)
        expected = np.stack([x[..., h * width : (h + 1) * width] for h in range(heads)], axis=1)
        expect.close(
            own.split_heads(x.copy(), heads),
            expected,
            what="split_heads(x, heads)",
            given={"x": x, "heads": heads},
            probably="The example has one text, and as many heads as columns in a head. Here there "
            "may be several texts, and the two numbers differ.",
        )


@check(Layer.RANDOM)
def test_random_merge(own: Any) -> None:
    """random sizes: the heads of a token, side by side"""
    rng = np.random.default_rng(34)
    sizes = ((1, 2, 1, 1), (1, 1, 2, 3), (1, 3, 2, 2), (2, 2, 3, 2), (2, 3, 2, 4))
    for batch, heads, length, width in sizes:
        x = rng.normal(size=(batch, heads, length, width)).round(1)
        expect.close(
            own.merge_heads(x.copy()),
            np.concatenate([x[:, h] for h in range(heads)], axis=-1),
            what="merge_heads(x)",
            given={"x": x},
            probably="The example has one text, and as many heads as columns in a head. Here there "
            "may be several texts, and the two numbers differ.",
        )
