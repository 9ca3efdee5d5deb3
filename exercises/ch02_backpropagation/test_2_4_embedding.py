"""The checks of exercise 2.4, the embedding table and its gradient."""

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

Array = NDArray[Any]

TABLE = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])


def gradient(own: Any, ids: Array, table: Array, dx: Array) -> Array:
    """dtable, by both passes of the learner."""
    x_and_cache = own.embedding(ids.copy(), table.copy())
    expect.parts(x_and_cache, ("x", "cache"))
    result: Array = own.embedding_backward(dx.copy(), x_and_cache[1])
    return result


@check(Layer.SHAPES)
def test_output_shape(own: Any) -> None:
    """x is (B, T, D), of the table's dtype"""
    for ids, dtype in product(
        (np.array([[1, 2, 3]]), np.array([[0, 1], [1, 3], [3, 3]]), np.zeros((2, 0), int)),
        (np.float32, np.float64),
    ):
        table = TABLE.astype(dtype)
        result = own.embedding(ids, table)
        expect.parts(result, ("x", "cache"))
        expect.array(
            result[0],
            like=table,
            shape=(*ids.shape, 2),
            what="x",
            probably="Each id becomes a row of the table, so the axis of D comes last.",
        )


@check(Layer.SHAPES)
def test_gradient_shape(own: Any) -> None:
    """dtable is like the table, and of the dtype of dx"""
    for ids, dtype in product(
        (np.array([[1, 2, 0]]), np.array([[0, 1], [1, 2]]), np.zeros((2, 0), int)),
        (np.float32, np.float64),
    ):
        table, dx = TABLE.astype(dtype), np.ones((*ids.shape, 2), dtype)
        expect.array(
            gradient(own, ids, table, dx),
            like=dx,
            shape=table.shape,
            what="dtable",
            probably="It has a row for every token of the vocabulary, those that do not occur "
            "among them. np.zeros makes float64 unless it is told.",
        )


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """ids, table and dx are left as they were"""
    ids, table, dx = np.array([[0, 3, 3]]), TABLE.copy(), np.ones((1, 3, 2))
    with expect.unchanged(ids=ids, table=table, dx=dx):
        _, cache = own.embedding(ids, table)
        own.embedding_backward(dx, cache)


@check(Layer.EXAMPLE)
def test_rows_by_hand(own: Any) -> None:
    """ids 2, 0, 2 give the rows 2, 0 and 2"""
    ids = np.array([[2, 0, 2]])
    expect.close(
        own.embedding(ids, TABLE.copy())[0],
        np.array([[[5.0, 6.0], [1.0, 2.0], [5.0, 6.0]]]),
        what="x",
        given={"ids": ids, "table": TABLE},
        probably="Rows are counted from 0. If you have 3 at [0, 0, 0], rows are counted from 1. "
        "If you have 0 at [0, 1, 0], token 0 was given zeros: here it is a token like any other.",
    )


@check(Layer.EXAMPLE)
def test_refuses_an_id_too_large(own: Any) -> None:
    """an id beyond the last row raises ValueError"""
    for wrong, says in ((9, "an id is 9"), (4, "an id is 4")):
        ids = np.array([[0, wrong]])
        with expect.raises(ValueError, f"{says} and the table has rows 0 to 3", {"ids": ids}):
            own.embedding(ids, TABLE.copy())
    ids = np.array([[0, 1], [4, 2]])
    with expect.raises(ValueError, "an id of the second text is 4", {"ids": ids}):
        own.embedding(ids, TABLE.copy())
    ids = np.array([[9], [0]])
    with expect.raises(ValueError, "an id of the first text is 9", {"ids": ids}):
        own.embedding(ids, TABLE.copy())


@check(Layer.EXAMPLE)
def test_refuses_a_negative_id(own: Any) -> None:
    """a negative id raises ValueError"""
    for ids in (np.array([[0, -1]]), np.array([[0, 1], [-1, 2]])):
        with expect.raises(ValueError, "an id is -1 (NumPy would take the last row)", {"ids": ids}):
            own.embedding(ids, TABLE.copy())


@check(Layer.EXAMPLE)
def test_each_token_once(own: Any) -> None:
    """every token occurs once: each row gets what its token got"""
    ids, dx = np.array([[2, 0]]), np.array([[[1.0, 2.0], [3.0, 4.0]]])
    expect.close(
        gradient(own, ids, TABLE, dx),
        np.array([[3.0, 4.0], [0.0, 0.0], [1.0, 2.0], [0.0, 0.0]]),
        what="dtable",
        given={"ids": ids, "dx": dx},
        probably="Row 2 was read first and gets (1, 2); row 0 was read second and gets (3, 4). The "
        "rows that were not read get zeros. If you have 0 at [0, 0], the gradient of token 0 is "
        "left out: here it is a token like any other.",
    )


@check(Layer.EXAMPLE, points=2)
def test_a_token_twice(own: Any) -> None:
    """a token twice in a text: its row gets the sum"""
    ids, dx = np.array([[1, 3, 1]]), np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]]])
    expect.close(
        gradient(own, ids, TABLE, dx),
        np.array([[0.0, 0.0], [6.0, 9.0], [0.0, 0.0], [3.0, 4.0]]),
        what="dtable",
        given={"ids": ids, "dx": dx},
        probably="Row 1 was read twice, so it has two ways to the loss, and they add: "
        "(1, 2) + (5, 7). dtable[ids] = dx and dtable[ids] += dx would keep the last of the two "
        "alone. If you have 3 at [1, 0], the row gets their mean.",
    )


@check(Layer.EXAMPLE, points=2)
def test_a_token_in_two_texts(own: Any) -> None:
    """a token in two texts of a batch: its row gets the sum"""
    ids, dx = np.array([[1, 0], [2, 1]]), np.array([[[1.0, 2.0], [3.0, 4.0]]] * 2)
    expect.close(
        gradient(own, ids, TABLE, dx),
        np.array([[3.0, 4.0], [4.0, 6.0], [1.0, 2.0], [0.0, 0.0]]),
        what="dtable",
        given={"ids": ids, "dx": dx},
        probably="Row 1 was read in both texts and gets (1, 2) + (3, 4). There is one table, so "
        "there is one gradient, for the whole batch.",
    )


@check(Layer.RANDOM)
def test_random_rows(own: Any) -> None:
    """random ids: a table row for each"""
    rng = np.random.default_rng(41)
    for batch, length, size, width in ((1, 1, 2, 1), (1, 3, 3, 2), (3, 4, 5, 3)):
        ids, table = rng.integers(size, size=(batch, length)), rng.normal(size=(size, width))
        one_hot = np.array([[[float(v == i) for v in range(size)] for i in row] for row in ids])
        expect.close(
            own.embedding(ids, table.copy())[0],
            one_hot @ table,
            what="x",
            given={"ids": ids, "table": table},
            probably="A look-up is a product with a one-hot row, which is 1 at the id and 0 "
            "elsewhere.",
        )


@check(Layer.RANDOM)
def test_ids_of_eight_bits(own: Any) -> None:
    """ids of 8 bits are ids like any other"""
    ids, table = np.array([[100, 2, 100]], np.uint8), np.arange(480.0).reshape(120, 4)
    dx = np.array([[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [1.0, 1.0, 1.0, 1.0]]])
    expect.close(
        own.embedding(ids.copy(), table.copy())[0],
        np.array([[table[100], table[2], table[100]]]),
        what="x",
        given={"ids": ids},
        probably="Row i of the table begins with 4·i. ids is uint8, so arithmetic with ids alone "
        "ends at 255.",
    )
    dtable = np.zeros((120, 4))
    dtable[100], dtable[2] = [2.0, 3.0, 4.0, 5.0], [5.0, 6.0, 7.0, 8.0]
    expect.close(
        gradient(own, ids, table, dx),
        dtable,
        what="dtable",
        given={"ids": ids, "dx": dx},
        probably="ids is uint8, so arithmetic with ids alone ends at 255.",
    )


@check(Layer.RANDOM, points=2)
def test_random_gradients(own: Any) -> None:
    """random ids: every occurrence added, one at a time"""
    rng = np.random.default_rng(42)
    for batch, length, size, width in ((1, 2, 2, 1), (2, 3, 3, 2), (3, 4, 5, 3)):
        ids, table = rng.integers(size, size=(batch, length)), rng.normal(size=(size, width))
        dx = rng.normal(size=(batch, length, width)).round(1)
        dtable = np.zeros((size, width))
        for row, column in np.ndindex(batch, length):
            dtable[ids[row, column]] += dx[row, column]
        expect.close(
            gradient(own, ids, table, dx),
            dtable,
            what="dtable",
            given={"ids": ids, "dx": dx},
            probably="Go through all positions of all texts, one after the other, and add.",
        )


@check(Layer.RANDOM)
def test_two_forward_passes(own: Any) -> None:
    """a cache stays good while other forward passes run"""
    one, other = np.array([[1, 3, 1]]), np.array([[0, 2, 2]])
    dx = np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]]])
    _, cache = own.embedding(one.copy(), TABLE.copy())
    expect.repeatable_backward(
        lambda: (own.embedding_backward(dx.copy(), cache),),
        lambda: own.embedding(other.copy(), TABLE[:3].copy()),
        ("dtable",),
        given={"ids": one, "dx": dx},
    )


@check(Layer.GRADIENTS)
def test_gradient(own: Any) -> None:
    """the backward pass is the derivative of the forward pass"""
    rng = np.random.default_rng(43)
    ids, table = np.array([[0, 2, 2], [3, 2, 0]]), rng.normal(size=(4, 2)).round(1)
    dx = rng.normal(size=(2, 3, 2)).round(1)
    expect.gradient(
        gradient(own, ids, table, dx),
        of=lambda a: (own.embedding(ids, a)[0] * dx).sum(),
        at=table,
        what="dtable",
        given={"ids": ids, "table": table, "dx": dx},
        probably="Moving a row moves every position that read it, and no other.",
    )
