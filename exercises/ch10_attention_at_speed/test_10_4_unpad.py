"""The checks of exercise 10.4, leaving the padding out."""

from numbers import Integral
from typing import Any

import numpy as np
import torch

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

# Three tokens and two, in rows of three.
MASK = torch.tensor([[True, True, True], [True, True, False]])


def unpadded(own: Any, mask: torch.Tensor) -> tuple[Any, Any]:
    """indices and packed, as the function under test gives them."""
    result = own.unpad(mask.clone())
    expect.parts(result, ("indices", "packed"))
    indices, packed = result
    for name in ("cu_seqlens", "max_seqlen", "positions"):
        if not hasattr(packed, name):
            says = f"The second part is {type(packed).__name__}, not a Packed: it has no {name}."
            expect.fail(says)
    return indices, packed


def by_loops(mask: torch.Tensor) -> tuple[list[int], list[int], int, list[int]]:
    """indices, cu_seqlens, max_seqlen and positions, token by token."""
    indices, ends, positions, longest = [], [0], [], 0
    for b, row in enumerate(mask.tolist()):
        count = 0
        for t, real in enumerate(row):
            if real:
                indices.append(b * len(row) + t)
                positions.append(count)
                count += 1
        ends.append(len(indices))
        longest = max(longest, count)
    return indices, ends, longest, positions


@check(Layer.SHAPES)
def test_types(own: Any) -> None:
    """indices are int64 and cu_seqlens int32, S + 1 of them"""
    indices, packed = unpadded(own, MASK)
    whole = torch.zeros(0, dtype=torch.int64)
    expect.array(
        indices,
        like=whole,
        shape=(5,),
        what="indices",
        probably="torch's index functions read int64.",
        exact=True,
    )
    expect.array(
        packed.cu_seqlens,
        like=torch.zeros(0, dtype=torch.int32),
        shape=(3,),
        what="packed.cu_seqlens",
        probably="Two sequences have three ends: 0, the end of the first, the end of the second. "
        "Fused kernels read them as int32.",
        exact=True,
    )
    expect.array(packed.positions, like=whole, shape=(5,), what="packed.positions")


@check(Layer.SHAPES)
def test_longest_is_a_number(own: Any) -> None:
    """max_seqlen is a plain int"""
    _, packed = unpadded(own, MASK)
    if not isinstance(packed.max_seqlen, Integral) or isinstance(packed.max_seqlen, bool):
        expect.fail(
            f"packed.max_seqlen is {type(packed.max_seqlen).__name__}, not int.",
            probably="A kernel is launched for it, so it must be known as a number: int(…) of the "
            "largest length.",
        )


@check(Layer.INPUTS)
def test_mask_unchanged(own: Any) -> None:
    """the mask is left as it was"""
    mask = MASK.clone()
    with expect.unchanged(mask=mask):
        own.unpad(mask)


@check(Layer.EXAMPLE)
def test_places(own: Any) -> None:
    """where the real tokens stand, three and two in rows of three"""
    indices, _ = unpadded(own, MASK)
    expect.close(
        indices,
        np.array([0, 1, 2, 3, 4]),
        what="indices",
        given={"mask": MASK},
        probably="The flattened mask is 1 1 1 1 1 0: six tokens, of which the first five are real. "
        "If you have 0 at [3], the indices are counted within each row.",
    )


@check(Layer.EXAMPLE, points=2)
def test_ends(own: Any) -> None:
    """where each sequence begins and the last one ends"""
    _, packed = unpadded(own, MASK)
    expect.close(
        packed.cu_seqlens,
        np.array([0, 3, 5]),
        what="packed.cu_seqlens",
        given={"mask": MASK},
        probably="The lengths are 3 and 2, so the sequences begin at 0 and 3 and the last ends at "
        "5. If you have 2 at [2], these are lengths, not their running sum.",
    )


@check(Layer.EXAMPLE, points=2)
def test_positions(own: Any) -> None:
    """each sequence counts its tokens from 0"""
    _, packed = unpadded(own, MASK)
    expect.close(
        packed.positions,
        np.array([0, 1, 2, 0, 1]),
        what="packed.positions",
        given={"mask": MASK},
        probably="The second sequence begins at 0. If you have 3 at [3], the count runs on from "
        "the first, and the position embedding takes both for one text. If you have 1 at [0], it "
        "begins at 1.",
    )


@check(Layer.EXAMPLE)
def test_longest(own: Any) -> None:
    """max_seqlen is the longest length, not the width"""
    mask = torch.tensor([[True] + [False] * 4, [True] * 2 + [False] * 3])
    _, packed = unpadded(own, mask)
    expect.close(
        packed.max_seqlen,
        2,
        what="packed.max_seqlen",
        given={"mask": mask},
        probably="The lengths are 1 and 2. If you have 5, it is the width of the batch: right, and "
        "twice the work. If you have 1, it is the length of the first sequence. If you have 3, it "
        "is the number of all tokens.",
    )


@check(Layer.EXAMPLE, points=2)
def test_left_padding(own: Any) -> None:
    """padding before the tokens and between them"""
    mask = torch.tensor([[False, True, True], [True, False, True]])
    indices, packed = unpadded(own, mask)
    expect.close(
        indices,
        np.array([1, 2, 3, 5]),
        what="indices",
        given={"mask": mask},
        probably="Padding may be anywhere. If you have 0 at [0], the first indices of each row "
        "are taken for its tokens: look at the mask, not at the lengths.",
    )
    expect.close(
        packed.positions,
        np.array([0, 1, 0, 1]),
        what="packed.positions",
        given={"mask": mask},
        probably="A token's position counts the real tokens before it. It "
        "is neither the column in the padded row nor counted from 1.",
    )


@check(Layer.EXAMPLE)
def test_empty_row(own: Any) -> None:
    """a row without a token is a sequence of none, in any number"""
    mask = torch.tensor([[True, True], [False, False], [True, False]])
    _, packed = unpadded(own, mask)
    expect.close(
        packed.cu_seqlens,
        np.array([0, 2, 2, 3]),
        what="packed.cu_seqlens",
        given={"mask": mask},
        probably="There are three rows, so three sequences, and the second begins and ends at 2. "
        "A row that is left out would give its result to another one.",
    )
    for mask in (torch.zeros(2, 3, dtype=torch.bool), torch.zeros(2, 0, dtype=torch.bool)):
        indices, packed = unpadded(own, mask)
        received = (indices, packed.cu_seqlens, packed.max_seqlen, packed.positions)
        names = ("indices", "packed.cu_seqlens", "packed.max_seqlen", "packed.positions")
        for name, one, other in zip(names, received, by_loops(mask), strict=True):
            expect.close(
                one,
                np.array(other, dtype=np.int64),
                what=name,
                given={"mask": mask},
                probably="There is no token here: no place and no position, two sequences that "
                "begin and end at 0, and a longest of 0.",
            )


@check(Layer.RANDOM, points=2)
def test_random(own: Any) -> None:
    """random masks, token by token; the round trip is exact"""
    for shape, seed in (((1, 1), 0), ((2, 2), 1), ((3, 5), 2), ((4, 3), 3), ((6, 8), 4)):
        mask = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.6
        mask[0, 0] = True
        indices, packed = unpadded(own, mask)
        expected = by_loops(mask)
        received = (indices, packed.cu_seqlens, packed.max_seqlen, packed.positions)
        names = ("indices", "packed.cu_seqlens", "packed.max_seqlen", "packed.positions")
        for name, one, other in zip(names, received, expected, strict=True):
            expect.close(one, np.array(other), what=name, given={"mask": mask})
        x = torch.arange(mask.numel()).view(shape) * mask
        rebuilt = torch.zeros(mask.numel(), dtype=x.dtype)
        rebuilt[indices] = x.flatten()[indices]
        expect.close(rebuilt.view(shape), x, what="The batch, taken apart and put back,")
