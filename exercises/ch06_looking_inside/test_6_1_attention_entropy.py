"""The checks of exercise 6.1, entropy of attention."""

import math
from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

HALVES = np.array([[0.5, 0.5, 0.0, 0.0]])


def bits(row: Any) -> float:
    """The definition, one token at a time."""
    return -math.fsum(p * math.log2(p) for p in row.tolist() if p)


@check(Layer.SHAPES)
def test_shape(own: Any) -> None:
    """attention_entropy returns one number a row, in the same dtype"""
    for shape in ((2, 3, 4), (2, 4), (0, 4)):
        weights = np.full(shape, 0.25, np.float32)
        received = own.attention_entropy(weights)
        expect.array(received, like=weights, shape=shape[:-1], what=f"The entropy of {shape}")


@check(Layer.SHAPES)
def test_share_shape(own: Any) -> None:
    """entropy_share returns one number a row, in the same dtype"""
    weights = np.full((2, 3, 4), 0.25, np.float32)
    for mask in (None, np.ones((2, 1, 4), bool), np.ones(4, bool), np.ones((3, 1), bool)):
        received = own.entropy_share(weights, mask)
        expect.array(received, like=weights, shape=(2, 3), what="The share")
    one_row = own.entropy_share(weights[0, 0], np.ones(4, bool))
    expect.array(np.asarray(one_row), like=weights, shape=(), what="The share of a single row")


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """weights and mask are left as they were, by both functions"""
    weights, mask = HALVES.copy(), np.array([[True, True, True, False]])
    with expect.unchanged(weights=weights, mask=mask):
        own.attention_entropy(weights)
        own.entropy_share(weights, mask)


@check(Layer.EXAMPLE, points=2)
def test_by_hand(own: Any) -> None:
    """weights of 1/2, 1/4, 1/8, 1/8: 1.75 bits"""
    weights = np.array([[1 / 2, 1 / 4, 1 / 8, 1 / 8]])
    expect.close(
        own.attention_entropy(weights.copy()),
        np.array([1.75]),
        what="The entropy",
        given={"weights": weights},
        probably="The surprises are 1, 2, 3 and 3 bits; weighed, 1/2 + 2/4 + 3/8 + 3/8 = 1.75. If "
        "you have 1.213, it is in nats: use log2. If you have -1.75, the minus sign is missing. If "
        "you have 0.4375, it is averaged over tokens; the weights are the averaging. If you have "
        "2.25, the surprises are not weighed. If you have 3.364, it is the number of tokens that "
        "this entropy is worth.",
    )


@check(Layer.EXAMPLE)
def test_rows(own: Any) -> None:
    """each row has an entropy of its own"""
    weights = np.array([[7 / 8, 1 / 8], [1 / 2, 1 / 2]])
    expect.close(
        own.attention_entropy(weights.copy()),
        np.array([3 - 7 / 8 * math.log2(7), 1.0]),
        what="The entropy",
        given={"weights": weights},
        probably="A row of weights is one distribution: sum over the last axis. The surprises are "
        "0.193 and 3 bits in the first row, and 1 and 1 in the second. If you have 0.6686 at [0], "
        "the sum runs down the columns.",
    )


@check(Layer.EXAMPLE)
def test_zero_weight(own: Any) -> None:
    """a weight of zero adds nothing"""
    weights = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    expect.close(
        own.attention_entropy(weights.copy()),
        np.array([1.0, 0.0, 0.0]),
        what="The entropy",
        given={"weights": weights},
        probably="As p goes to 0, p·log2 p goes to 0. NumPy gives 0·(-inf) and 0/0, which are not "
        "a number. A small number added inside the logarithm makes every entropy a little wrong.",
    )
    weights = np.array([[1 - 2.0**-20, 2.0**-20]])
    expect.close(
        own.attention_entropy(weights.copy()),
        np.array([bits(weights[0])]),
        what="The entropy",
        given={"weights": "1 - 2**-20 and 2**-20"},
        probably="A weight of 2**-20 is small, and not zero: its surprise is 20 bits.",
    )


@check(Layer.EXAMPLE)
def test_share_of_the_most(own: Any) -> None:
    """two of four tokens, evenly: half of the most possible"""
    expect.close(
        own.entropy_share(HALVES.copy()),
        np.array([0.5]),
        what="The share",
        given={"weights": HALVES, "mask": None},
        probably="The entropy is 1 bit, and four tokens could have log2 4 = 2 bits. If you have "
        "0.25, you divided by the number of tokens, and not by its logarithm. If you have 0.7213, "
        "one logarithm is natural and the other is not. If you have 2, it is upside down.",
    )


@check(Layer.EXAMPLE, points=2)
def test_share_with_padding(own: Any) -> None:
    """padding can't be looked at, and does not count"""
    weights = np.array([[0.5, 0.25, 0.25, 0.0], [0.75, 0.25, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]])
    mask = np.array([[True, True, True, False], [True] * 4, [True, True, False, False]])
    expect.close(
        own.entropy_share(weights.copy(), mask.copy()),
        np.array([1.5 / math.log2(3), 1 - 0.375 * math.log2(3), 1.0]),
        what="The share",
        given={"weights": weights, "mask": mask},
        probably="Count the tokens that may be looked at, row by row: 3, 4 and 2. If you have 0.75 "
        "at [0], padding is counted among them. If you have 0.4732 at [0], the mask is counted "
        "over all rows together. If you have 0.8113 at [1], only tokens with some weight are "
        "counted, and a head that ignores a token could have looked at it.",
    )


@check(Layer.EXAMPLE)
def test_share_with_a_mask_of_rows(own: Any) -> None:
    """a mask (T, 1) holds one value for all tokens of a row"""
    weights = np.array([[0.25, 0.25, 0.25, 0.25], [0.0, 0.0, 0.0, 0.0]])
    mask = np.array([[True], [False]])
    expect.close(
        own.entropy_share(weights.copy(), mask.copy()),
        np.array([1.0, 0.0]),
        what="The share",
        given={"weights": weights, "mask": mask},
        probably="All four tokens of the first row are allowed, so its share is 2 of log2 4 bits. "
        "None of the second row is, and its share is 0.",
    )


@check(Layer.EXAMPLE)
def test_share_with_one_token(own: Any) -> None:
    """where one token or none may be looked at, the share is 0"""
    weights = np.array([[1.0, 0.0], [0.0, 0.0]])
    mask = np.array([[True, False], [False, False]])
    with np.errstate(all="ignore"):
        received = own.entropy_share(weights.copy(), mask.copy())
        alone = own.entropy_share(np.ones((2, 1)))
    expect.close(
        received,
        np.zeros(2),
        what="The share",
        given={"weights": weights, "mask": mask},
        probably="One token has no choice: the most possible is log2 1 = 0, and 0/0 is not a "
        "number. If you have nan, divide by something else there.",
    )
    expect.close(
        alone,
        np.zeros(2),
        what="The share",
        given={"weights": np.ones((2, 1)), "mask": None},
        probably="Without a mask there is one token in each row, and so no choice.",
    )


@check(Layer.RANDOM)
def test_random_entropy(own: Any) -> None:
    """random weights: the definition, one token at a time"""
    rng = np.random.default_rng(61)
    for shape in ((1, 2), (2,), (2, 3), (2, 2, 5)):
        weights = rng.dirichlet(np.ones(shape[-1]), size=shape[:-1])
        expect.close(
            own.attention_entropy(weights.copy()),
            np.apply_along_axis(bits, -1, weights),
            what="The entropy",
            given={"weights": weights},
            probably="It is the sum of -p·log2 p over the last axis, for each row by itself.",
        )


@check(Layer.RANDOM, points=2)
def test_random_share(own: Any) -> None:
    """random weights of two heads, with a mask for both"""
    rng = np.random.default_rng(62)
    for length in (2, 3, 6):
        visible = rng.integers(2, length + 1, size=2)
        mask = np.arange(length) < visible[:, None]
        weights = np.zeros((2, 2, length))
        for row, count in enumerate(visible):
            weights[row, :, :count] = rng.dirichlet(np.ones(count), size=2)
        most = np.log2(visible)[:, None]
        expect.close(
            own.entropy_share(weights.copy(), mask[:, None].copy()),
            np.apply_along_axis(bits, -1, weights) / most,
            what="The share",
            given={"weights": weights, "mask": mask[:, None]},
            probably="The mask is (N, 1, T) and the weights are (N, H, T): it holds for each head.",
        )


@check(Layer.RANDOM)
def test_masks_that_broadcast(own: Any) -> None:
    """masks of fewer axes, and of length 1 along any of them"""
    rng = np.random.default_rng(65)
    weights = rng.dirichlet(np.ones(4), size=(2, 3))
    for shape in ((4,), (1, 4), (3, 1), (2, 1, 1), (1, 1, 1), (2, 3, 4)):
        mask = np.ones(shape, bool)
        if shape[-1] > 1:
            mask[..., -1] = False
        visible = np.broadcast_to(mask, weights.shape)
        shown = np.where(visible, weights, 0.0)
        shown = shown / shown.sum(axis=-1, keepdims=True)
        most = np.log2(visible.sum(axis=-1))
        expect.close(
            own.entropy_share(shown.copy(), mask.copy()),
            np.apply_along_axis(bits, -1, shown) / most,
            what="The share",
            given={"weights": shown, "mask": mask},
            probably="A mask of fewer axes, or of length 1 along one, holds for all that it is "
            "broadcast to. Count what may be looked at once it has the shape of the weights.",
        )
