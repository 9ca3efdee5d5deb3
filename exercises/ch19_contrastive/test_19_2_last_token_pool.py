"""The checks of exercise 19.2, the vector of the last real token."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

# Four tokens whose vectors are (1, 40), (2, 30), (3, 20), (4, 10).
FOUR = torch.tensor([[[1.0, 40.0], [2.0, 30.0], [3.0, 20.0], [4.0, 10.0]]], dtype=torch.float64)


def by_loop(hidden: Tensor, mask: Tensor) -> Tensor:
    """Row by row: leave out the padding, and take the last vector of what remains."""
    kept = []
    for vectors, marks in zip(hidden, mask.tolist(), strict=True):
        real = [vector for vector, mark in zip(vectors, marks, strict=True) if mark]
        kept.append(real[-1])
    return torch.stack(kept)


def draw(batch: int, length: int, width: int, seed: int) -> tuple[Tensor, Tensor]:
    """Random vectors with one decimal, and texts that begin and end anywhere."""
    rng = np.random.default_rng(seed)
    hidden = torch.tensor(rng.normal(size=(batch, length, width)).round(1))
    first = rng.integers(length, size=(batch, 1))
    last = rng.integers(first, length)
    positions = np.arange(length)
    return hidden, torch.tensor((first <= positions) & (positions <= last)).long()


@check(Layer.SHAPES)
def test_shape(own: Any) -> None:
    """one vector a text comes back, (B, D), of the dtype of hidden"""
    for dtype in (torch.float32, torch.bfloat16):
        for batch, width in ((3, 2), (1, 2), (2, 1)):
            hidden = torch.zeros(batch, 4, width, dtype=dtype)
            mask = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 1], [1, 1, 1, 1]])[:batch]
            expect.array(
                own.last_token_pool(hidden, mask),
                like=hidden,
                shape=(batch, width),
                what="The result",
                probably=f"B = {batch}, T = 4 and D = {width}: of each text one position, with its "
                "whole vector. hidden[:, last] takes every position from every text. gather needs "
                "an index as wide as the vector, and its result keeps an axis of length 1, which "
                "squeeze(1) drops; squeeze() would also drop B = 1 or D = 1.",
            )


@check(Layer.SHAPES)
def test_refuses(own: Any) -> None:
    """a text without a real token raises ValueError"""
    with expect.raises(ValueError, "the mask of the only text is all zeros"):
        own.last_token_pool(FOUR, torch.tensor([[0, 0, 0, 0]]))
    with expect.raises(ValueError, "the first text has real tokens and the second has none"):
        own.last_token_pool(FOUR.repeat(2, 1, 1), torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0]]))
    with expect.raises(ValueError, "the text has no position at all"):
        own.last_token_pool(FOUR[:, :0], torch.ones(1, 0, dtype=torch.int64))


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """hidden and mask are left as they were"""
    hidden, mask = FOUR.clone(), torch.tensor([[1, 1, 0, 0]])
    with expect.unchanged(hidden=hidden, mask=mask):
        own.last_token_pool(hidden, mask)


@check(Layer.EXAMPLE)
def test_padded_right(own: Any) -> None:
    """a text padded on the right"""
    mask = torch.tensor([[1, 1, 0, 0]])
    expect.close(
        own.last_token_pool(FOUR, mask),
        np.array([[2.0, 30.0]]),
        what="The vector",
        given={"hidden": FOUR, "mask": mask},
        probably="Positions 0 and 1 are real, so it is the vector of position 1. If you have 4 at "
        "[0, 0], you read the last column, which is padding. If you have 1.5 at [0, 0], you took "
        "the mean.",
    )


@check(Layer.EXAMPLE)
def test_padded_left(own: Any) -> None:
    """a text padded on the left"""
    mask = torch.tensor([[0, 0, 1, 1]])
    expect.close(
        own.last_token_pool(FOUR, mask),
        np.array([[4.0, 10.0]]),
        what="The vector",
        given={"hidden": FOUR, "mask": mask},
        probably="Positions 2 and 3 are real, so it is the vector of position 3. If you have 2 at "
        "[0, 0], you count real tokens, which gives a position only when they begin at 0. If you "
        "have 3 at [0, 0], it is the first real token: argmax finds the first of equal entries. "
        "If you have 1 at [0, 0], it is the first position, which is padding.",
    )


@check(Layer.EXAMPLE)
def test_padded_on_both_sides(own: Any) -> None:
    """a text padded on both sides"""
    mask = torch.tensor([[0, 1, 1, 0]])
    expect.close(
        own.last_token_pool(FOUR, mask),
        np.array([[3.0, 20.0]]),
        what="The vector",
        given={"hidden": FOUR, "mask": mask},
        probably="Positions 1 and 2 are real, so it is the vector of position 2. It needs no "
        "cases for the sides: look for the largest position whose mask is not zero.",
    )


@check(Layer.EXAMPLE)
def test_two_texts(own: Any) -> None:
    """two texts in a batch, each with an end of its own"""
    hidden = torch.cat([FOUR, 10 * FOUR])
    mask = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 0]])
    expect.close(
        own.last_token_pool(hidden, mask),
        np.array([[2.0, 30.0], [30.0, 200.0]]),
        what="The result",
        given={"hidden": hidden, "mask": mask},
        probably="The first text ends at position 1, the second at position 2. If you have 3 at "
        "[0, 0], both are read where the longer ends: the maximum must run along axis 1, for each "
        "row alone.",
    )


@check(Layer.EXAMPLE)
def test_any_mask(own: Any) -> None:
    """a mask may be of booleans, or of other numbers than one"""
    long = torch.arange(200.0, dtype=torch.float64).view(1, 200, 1)
    for kind in (torch.int8, torch.bool):
        expect.close(
            own.last_token_pool(long, torch.ones(1, 200, dtype=kind)),
            np.array([[199.0]]),
            what="The vector of 200 real tokens",
            given={"type of the mask": str(kind)},
            probably="A position beyond 127 does not fit into the mask's type. Take positions "
            "from torch.arange, and use the mask only to choose among them.",
        )
    for mask in (
        torch.tensor([[True, True, False, False]]),
        torch.tensor([[2.0, 0.5, 0.0, 0.0]], dtype=torch.float64),
        torch.tensor([[-1, -2, 0, 0]]),
        torch.tensor([[1, 200, 0, 0]], dtype=torch.uint8),
    ):
        expect.close(
            own.last_token_pool(FOUR, mask),
            np.array([[2.0, 30.0]]),
            what="The vector",
            given={"hidden": FOUR, "mask": mask},
            probably="Every nonzero entry marks a real token. Bring the mask to one form first: "
            "mask.bool(), or mask != 0.",
        )


@check(Layer.RANDOM)
def test_random(own: Any) -> None:
    """random texts agree with a loop over their tokens"""
    sizes = ((1, 1, 1), (2, 2, 1), (2, 3, 2), (4, 5, 3), (8, 12, 4))
    for seed, size in enumerate(sizes):
        hidden, mask = draw(*size, seed)
        expect.close(
            own.last_token_pool(hidden, mask),
            by_loop(hidden, mask),
            what="The result",
            given={"hidden": hidden, "mask": mask},
            probably="Compare the sizes and the masks with those of the worked examples: which "
            "axis of hidden meets which index?",
        )


@check(Layer.GRADIENTS)
def test_gradient(own: Any) -> None:
    """the gradient reaches the last real tokens, and nothing else"""
    hidden = torch.cat([FOUR, 10 * FOUR]).requires_grad_()
    mask = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 1]])
    result = own.last_token_pool(hidden, mask)
    total = (result * torch.tensor([1.0, 5.0], dtype=torch.float64)).sum()
    none = torch.zeros_like(hidden)
    expected = np.zeros((2, 4, 2))
    expected[0, 1] = expected[1, 3] = (1.0, 5.0)
    expect.close(
        torch.autograd.grad(total, hidden)[0] if total.requires_grad else none,
        expected,
        what="The gradient of the sum of first + 5·second entries",
        given={"hidden": hidden, "mask": mask},
        probably="It is (1, 5) at position 1 of the first text and at position 3 of the second. If "
        "it is zero there, the result is cut off from hidden: detach, .data, numpy(), "
        "torch.tensor() and no_grad do that.",
    )


@check(Layer.STABILITY)
def test_padding_is_never_read(own: Any) -> None:
    """padding that is infinite or not a number does not matter"""
    hidden = FOUR.clone()
    hidden[0, 2, 0], hidden[0, 2, 1] = torch.inf, torch.nan
    mask = torch.tensor([[1, 1, 0, 0]])
    expect.close(
        own.last_token_pool(hidden, mask),
        np.array([[2.0, 30.0]]),
        what="The vector",
        given={"hidden": hidden, "mask": mask},
        probably="If you have nan at [0, 0], the padding was multiplied by zero, and zero times "
        "infinity is not a number. Select the vector with an index.",
    )


@check(Layer.STABILITY)
def test_long_text(own: Any) -> None:
    """a long text in bfloat16 ends at its own position"""
    positions = torch.arange(400)
    # bfloat16 holds whole numbers up to 256; so a position is two numbers here.
    digits = torch.stack((positions // 100, positions % 100), dim=-1)
    hidden = digits.to(torch.bfloat16)[None].repeat(2, 1, 1)
    for dtype in (torch.int64, torch.bfloat16):
        mask = (positions <= torch.tensor([[301], [303]])).to(dtype)
        expect.close(
            own.last_token_pool(hidden, mask),
            np.array([[3.0, 1.0], [3.0, 3.0]]),
            like=hidden,
            what="The result",
            given={"hidden": hidden, "mask": mask},
            probably="The vectors hold hundreds and rest of their position, and the texts end at "
            "301 and 303. Positions that pass through bfloat16 are rounded: above 256 it has no "
            "odd numbers. Keep them whole numbers.",
        )
