"""The checks of exercise 11.1, NeoBERT's fused projection."""

from typing import Any

import numpy as np
import torch

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

PARTS = ("q", "k", "v")


def labelled(batch: int, length: int, heads: int, width: int) -> tuple[Any, Any]:
    """A projection whose entries say where they belong, and q, k and v (3, B, H, T, K).

    Its digits before the point are: part (1 q, 2 k, 3 v), batch, position, head, column.
    """
    part, b, h, t, c = np.indices((3, batch, heads, length, width))
    parts = (part + 1) * 10_000 + b * 1000 + t * 100 + h * 10 + c + 0.1
    by_token = parts.transpose(1, 3, 2, 0, 4)  # (B, T, H, 3, K)
    return torch.tensor(by_token.reshape(batch, length, -1)), parts


@check(Layer.SHAPES)
def test_shapes(own: Any) -> None:
    """q, k and v come back, each (B, H, T, K)"""
    for dtype in (torch.float32, torch.bfloat16):
        qkv = torch.zeros(2, 5, 3 * 12, dtype=dtype)
        result = own.split_qkv(qkv, 3)
        expect.parts(result, PARTS)
        for name, part in zip(PARTS, result, strict=True):
            expect.array(
                part,
                like=qkv,
                shape=(2, 3, 5, 4),
                what=name,
                probably="B = 2, H = 3, T = 5 and K = 4. Heads come before positions: attention "
                "multiplies matrices of the last two axes.",
            )


@check(Layer.SHAPES)
def test_refuses(own: Any) -> None:
    """a width that is not a multiple of 3·heads raises ValueError"""
    for width, heads in ((12, 3), (10, 3), (15, 2), (10, 2), (3, 2)):
        with expect.raises(ValueError, f"the width is {width} and there are {heads} heads"):
            own.split_qkv(torch.zeros(1, 3, width), heads)


@check(Layer.INPUTS)
def test_input_unchanged(own: Any) -> None:
    """qkv is left as it was"""
    qkv = labelled(1, 2, 2, 1)[0]
    with expect.unchanged(qkv=qkv):
        own.split_qkv(qkv, 2)


@check(Layer.EXAMPLE)
def test_one_token(own: Any) -> None:
    """one token, two heads of width 1"""
    qkv = torch.tensor([[[11.0, 21.0, 31.0, 12.0, 22.0, 32.0]]], dtype=torch.float64)
    columns = dict(zip(PARTS, own.split_qkv(qkv, 2), strict=True))
    for name, first, second in (("q", 11.0, 12.0), ("k", 21.0, 22.0), ("v", 31.0, 32.0)):
        expect.close(
            columns[name],
            np.array([[[[first]], [[second]]]]),
            what=name,
            given={"qkv": qkv, "heads": 2},
            probably="Tens are the part (1 q, 2 k, 3 v) and units the head. The published layout "
            "goes head by head: q, k, v of head 1, then q, k, v of head 2.",
        )


@check(Layer.EXAMPLE)
def test_two_tokens(own: Any) -> None:
    """two tokens, two heads: positions stay with their head"""
    qkv = torch.tensor(
        [[[111.0, 211.0, 311.0, 112.0, 212.0, 312.0], [121.0, 221.0, 321.0, 122.0, 222.0, 322.0]]],
        dtype=torch.float64,
    )
    expect.close(
        own.split_qkv(qkv, 2)[0],
        np.array([[[[111.0], [121.0]], [[112.0], [122.0]]]]),
        what="q",
        given={"qkv": qkv, "heads": 2},
        probably="Hundreds are the part, tens the position, units the head. q[0, h, t] is what "
        "position t holds for head h. A view or a reshape to another shape leaves the numbers in "
        "their old order; transpose moves them.",
    )


@check(Layer.EXAMPLE)
def test_wide_heads(own: Any) -> None:
    """heads of width 2: the columns of a head lie side by side"""
    first_head = [111.0, 112.0, 211.0, 212.0, 311.0, 312.0]
    second_head = [121.0, 122.0, 221.0, 222.0, 321.0, 322.0]
    qkv = torch.tensor([[first_head + second_head]], dtype=torch.float64)
    for n, (name, received) in enumerate(zip(PARTS, own.split_qkv(qkv, 2), strict=True)):
        columns = slice(2 * n, 2 * n + 2)
        expect.close(
            received,
            np.array([[[first_head[columns]], [second_head[columns]]]]),
            what=name,
            given={"qkv": qkv, "heads": 2},
            probably="Hundreds are the part, tens the head, units the column. A head's columns are "
            "K of q, then K of k, then K of v.",
        )


@check(Layer.RANDOM)
def test_sizes(own: Any) -> None:
    """other sizes: every entry lands where its label says"""
    for size in ((2, 1, 1, 1), (1, 3, 2, 2), (2, 3, 4, 5), (3, 9, 6, 8)):
        qkv, parts = labelled(*size)
        for name, received, expected in zip(PARTS, own.split_qkv(qkv, size[2]), parts, strict=True):
            expect.close(
                received,
                expected,
                what=name,
                given=dict(zip(("B", "T", "H", "K"), size, strict=True)) | {"qkv": qkv},
                probably="The digits before the point say part, batch, position, head and column. "
                "Compare them in the first entry that differs.",
            )


@check(Layer.GRADIENTS)
def test_gradients_return(own: Any) -> None:
    """gradients of q, k and v come back to their columns"""
    qkv = torch.zeros(1, 1, 6, dtype=torch.float64, requires_grad=True)
    q, k, v = own.split_qkv(qkv, 2)
    total = (q + 2 * k + 3 * v).sum()
    gradient = torch.autograd.grad(total, qkv)[0] if total.requires_grad else torch.zeros_like(qkv)
    expect.close(
        gradient,
        np.array([[[1.0, 2.0, 3.0, 1.0, 2.0, 3.0]]]),
        what="The gradient of sum(q + 2k + 3v)",
        given={"qkv": torch.zeros(1, 1, 6), "heads": 2},
        probably="If it is zero, the result is cut off from the input: detach, .data, numpy() and "
        "no_grad do that.",
    )
