"""The checks of exercise 3.2, causal and padding masks."""

from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

BOOLEAN = np.zeros(0, dtype=bool)
REAL = np.array([[True, True, True], [True, False, False]])


@check(Layer.SHAPES)
def test_causal_shape(own: Any) -> None:
    """the causal mask is boolean, (T, T) or (T, S)"""
    expect.array(own.causal_mask(3), like=BOOLEAN, shape=(3, 3), what="causal_mask(3)")
    expect.array(
        own.causal_mask(2, 5),
        like=BOOLEAN,
        shape=(2, 5),
        what="causal_mask(2, 5)",
        probably="Rows are queries, columns are keys.",
    )


@check(Layer.SHAPES)
def test_key_mask_shape(own: Any) -> None:
    """the key mask is boolean, (B, 1, 1, T)"""
    expect.array(
        own.key_mask(REAL.copy()),
        like=BOOLEAN,
        shape=(2, 1, 1, 3),
        what="key_mask(real)",
        probably="It must broadcast to (B, H, T, S). The axes of heads and queries have length 1.",
    )


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """real is left as it was"""
    real = np.array([[True, False, True], [False, False, True]])
    with expect.unchanged(real=real):
        own.key_mask(real)


@check(Layer.EXAMPLE, points=2)
def test_three_tokens(own: Any) -> None:
    """the causal mask of three tokens, drawn by hand"""
    expect.close(
        own.causal_mask(3),
        np.array([[True, False, False], [True, True, False], [True, True, True]]),
        what="causal_mask(3)",
        given={"queries": 3},
        probably="Row t says where query t may look: at keys 0 to t, itself among them. True "
        "to the right of the diagonal would show a token what comes after it, which it has to "
        "predict. False on the diagonal would leave the first token nothing to look at.",
    )


@check(Layer.EXAMPLE)
def test_last_two_of_four(own: Any) -> None:
    """two new queries and four keys: the last two rows of the square"""
    expect.close(
        own.causal_mask(2, 4),
        np.array([[True, True, True, False], [True, True, True, True]]),
        what="causal_mask(2, 4)",
        given={"queries": 2, "keys": 4},
        probably="Of the four positions, 0 to 3, the queries are the last two: query 0 is at "
        "position 2 and sees the keys 0 to 2, and query 1 is at position 3 and sees all four.",
    )


@check(Layer.EXAMPLE)
def test_padding(own: Any) -> None:
    """no query looks at padding; the mask joins the causal one"""
    expect.close(
        own.key_mask(REAL.copy())[:, 0, 0, :],
        REAL,
        what="key_mask(real)[:, 0, 0, :]",
        given={"real": REAL},
        probably="True is where a query may look: at real tokens. There are two examples, and "
        "each has its own row of real.",
    )
    both = np.tri(3, dtype=bool) & own.key_mask(REAL.copy())
    expect.close(
        both[1, 0],
        np.array([[True, False, False]] * 3),
        what="np.tri(3, dtype=bool) & key_mask(real), second example,",
        given={"real": REAL},
    )


@check(Layer.EXAMPLE)
def test_refuses_what_fits_nothing(own: Any) -> None:
    """what is no mask, or has too few keys, raises ValueError"""
    with expect.raises(ValueError, "there are 3 queries and 2 keys"):
        own.causal_mask(3, 2)
    with expect.raises(ValueError, "there are 2 queries and 0 keys"):
        own.causal_mask(2, 0)
    for real, fault in (
        (np.array([True, False]), "real has one axis"),
        (np.array([[[True, False]]]), "real has three axes"),
        (np.array([[1, 0]]), "real holds the integers 1 and 0, which ~ does not invert"),
        (np.array([[1.0, 0.0]]), "real holds floats"),
    ):
        with expect.raises(ValueError, fault, {"real": real}):
            own.key_mask(real)


@check(Layer.RANDOM)
def test_random_sizes(own: Any) -> None:
    """causal masks of many sizes, entry by entry"""
    for queries, keys in ((1, 1), (1, 4), (4, 4), (3, 5), (5, 8), (0, 2), (0, 0)):
        rows = [[s <= keys - queries + t for s in range(keys)] for t in range(queries)]
        expected = np.array(rows, dtype=bool).reshape(queries, keys)
        expect.close(
            own.causal_mask(queries, keys),
            expected,
            what="causal_mask(queries, keys)",
            given={"queries": queries, "keys": keys},
            probably="Query t is at position S - T + t, so the last query is at the last key and "
            "sees all of them.",
        )


@check(Layer.RANDOM)
def test_masks_of_their_own(own: Any) -> None:
    """what is written into one causal mask changes no other"""
    one = own.causal_mask(2, 3)
    expected = one.copy()
    if one.flags.writeable:
        one[...] = False
    else:
        expect.fail(
            "The mask can't be written to.",
            given={"queries": 2, "keys": 3},
            probably="A new array can. A caller may change the mask that it got, as mask &= real "
            "does.",
        )
    other = own.causal_mask(2, 3).copy()
    if one.flags.writeable:
        one[...] = expected
    expect.close(
        other,
        expected,
        what="The mask of a second call, after False was written into that of the first,",
        given={"queries": 2, "keys": 3},
        probably="A caller may change the mask that it got, as mask &= real does. Make a new array "
        "in each call.",
    )


@check(Layer.RANDOM)
def test_random_padding(own: Any) -> None:
    """random padding on either side: the same keys for every query"""
    rng = np.random.default_rng(32)
    for batch, length, share in ((1, 2, 0.6), (3, 3, 0.6), (2, 5, 0.6), (2, 3, 0.0)):
        real = rng.random((batch, length)) < share
        received = own.key_mask(real.copy())
        expect.array(received, like=real, shape=(batch, 1, 1, length), what="key_mask(real)")
        for t in range(length):
            expect.close(
                np.broadcast_to(received, (batch, 2, length, length))[:, 1, t],
                real,
                what=f"What query {t} may look at",
                given={"real": real},
                probably="Every query may look where real is True in its example, wherever that "
                "is, and nowhere else.",
            )
