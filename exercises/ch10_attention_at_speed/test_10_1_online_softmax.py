"""The checks of exercise 10.1, one step of online softmax and its end."""

import math
from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

STATE = ("top", "total", "out")
# One row with four scores. Their exponentials are 1, 4, 8 and 2, and sum to 15.
SCORES = np.log([[1.0, 4.0, 8.0, 2.0]])
VALUES = np.array([[8.0], [4.0], [1.0], [2.0]])


def start(lead: tuple[int, ...], width: int, dtype: Any = np.float64) -> list[Any]:
    """Nothing seen yet."""
    row = np.zeros((*lead, 1), dtype)
    return [row - np.inf, row, np.zeros((*lead, width), dtype)]


def state(scores: Any, values: Any) -> tuple[Any, Any, Any]:
    """top, total and out of everything at once, with plain loops."""
    lead, width = scores.shape[:-1], values.shape[-1]
    top, total, out = np.full((*lead, 1), -np.inf), np.zeros((*lead, 1)), np.zeros((*lead, width))
    for row in np.ndindex(lead):
        seen = [s for s in range(scores.shape[-1]) if scores[(*row, s)] > -math.inf]
        if not seen:
            continue
        top[row] = most = max(scores[(*row, s)] for s in seen)
        shares = {s: math.exp(scores[(*row, s)] - most) for s in seen}
        total[row] = math.fsum(shares.values())
        out[row] = sum(shares[s] * values[(*row[:-1], s)] for s in seen)
    return top, total, out


@check(Layer.SHAPES)
def test_shapes(own: Any) -> None:
    """top, total and out keep their shapes, and their float32"""
    given = start((2, 3, 4), 5, np.float32)
    scores, values = np.zeros((2, 3, 4, 6), np.float32), np.zeros((2, 3, 6, 5), np.float32)
    result = own.merge_block(*given, scores, values)
    expect.parts(result, STATE)
    for name, received, before in zip(STATE, result, given, strict=True):
        expect.array(
            received,
            like=before,
            shape=before.shape,
            what=name,
            probably="The rows keep a last axis of length 1: keepdims=True does that.",
        )


@check(Layer.SHAPES)
def test_final_shapes(own: Any) -> None:
    """the end gives a row of values and one number for each query"""
    for dtype in (np.float64, np.float32):
        row, out = np.zeros((2, 3, 1), dtype), np.zeros((2, 3, 5), dtype)
        result = own.finish_rows(row, row + 1, out)
        expect.parts(result, ("y", "log_sum"))
        expect.array(result[0], like=out, shape=(2, 3, 5), what="y")
        expect.array(result[1], like=out, shape=(2, 3, 1), what="log_sum")


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """what was seen so far, the scores and the values are left as is"""
    top, total, out = np.zeros((1, 1)), np.ones((1, 1)), np.ones((1, 1))
    scores, values = SCORES[:, :2].copy(), VALUES[:2].copy()
    with expect.unchanged(top=top, total=total, out=out, scores=scores, values=values):
        own.merge_block(top, total, out, scores, values)
        own.finish_rows(top, total, out)


@check(Layer.EXAMPLE)
def test_first_block(own: Any) -> None:
    """the first two of four scores"""
    scores, values = SCORES[:, :2].copy(), VALUES[:2].copy()
    result = own.merge_block(*start((1,), 1), scores, values)
    given = {"top": -np.inf, "total": 0, "out": 0, "scores": scores, "values": values}
    for name, received, expected in zip(STATE, result, (math.log(4), 1.25, 6.0), strict=True):
        expect.close(
            received,
            np.array([[expected]]),
            what=name,
            given=given,
            probably="The scores are ln 1 and ln 4, and the larger is ln 4. Relative to it the "
            "exponentials are 1/4 and 1. They sum to 1.25, and the output is 1/4·8 + 1·4 = 6. If "
            "you have 5, the largest score is not taken off. If you have 4.8, the output is "
            "divided already: that comes at the end.",
        )


@check(Layer.EXAMPLE, points=3)
def test_a_larger_score(own: Any) -> None:
    """the next two, of which one is larger than all before"""
    given = {
        "top": np.log([[4.0]]),
        "total": np.array([[1.25]]),
        "out": np.array([[6.0]]),
        "scores": SCORES[:, 2:].copy(),
        "values": VALUES[2:].copy(),
    }
    result = own.merge_block(*(value.copy() for value in given.values()))
    for name, received, expected in zip(STATE, result, (math.log(8), 1.875, 4.5), strict=True):
        expect.close(
            received,
            np.array([[expected]]),
            what=name,
            given=given,
            probably="The largest score is now ln 8, and was ln 4. So what was collected is worth "
            "ln 4 - ln 8, half as much: the sum is 1.25/2 + 1 + 1/4 = 1.875 and the output "
            "6/2 + 1·1 + 1/4·2 = 4.5. If you have "
            "3.75, it is doubled: the exponent has the wrong sign. If you have 1.386 as "
            "the top, the old one is returned.",
        )


@check(Layer.EXAMPLE, points=2)
def test_a_smaller_score(own: Any) -> None:
    """the same blocks the other way round: the top stays"""
    given = {
        "top": np.log([[8.0]]),
        "total": np.array([[1.25]]),
        "out": np.array([[1.5]]),
        "scores": SCORES[:, :2].copy(),
        "values": VALUES[:2].copy(),
    }
    result = own.merge_block(*(value.copy() for value in given.values()))
    for name, received, expected in zip(STATE, result, (math.log(8), 1.875, 4.5), strict=True):
        expect.close(
            received,
            np.array([[expected]]),
            what=name,
            given=given,
            probably="The largest score was ln 8 and still is. So the old sum stays 1.25, and the "
            "new scores count relative to ln 8 as well: 1/8 and 1/2, in sum 1.875. The output is "
            "1.5 + 1/8·8 + 1/2·4 = 4.5. If you have 1.386 as the top, the block's largest score "
            "replaces a larger one. If you have 2.5, the block is relative to its own largest "
            "score, ln 4.",
        )


@check(Layer.EXAMPLE, points=2)
def test_the_end(own: Any) -> None:
    """the result of all four, and its log-sum-exp"""
    given = {"top": np.log([[8.0]]), "total": np.array([[1.875]]), "out": np.array([[4.5]])}
    y, log_sum = own.finish_rows(*(value.copy() for value in given.values()))
    expect.close(
        y,
        np.array([[2.4]]),
        what="y",
        given=given,
        probably="The weights are 1/15, 4/15, 8/15 and 2/15, and 8/15 + 16/15 + 8/15 + 4/15 = 2.4, "
        "which is 4.5/1.875. If you have 4.5, the output is not divided by the sum.",
    )
    expect.close(
        log_sum,
        np.log([[15.0]]),
        what="log_sum",
        given=given,
        probably="The exponentials 1, 4, 8 and 2 sum to 15, and ln 15 = ln 8 + ln 1.875 = 2.708. "
        "If you have 0.6286, the largest score is left out. If you have 2.079, the sum is.",
    )


@check(Layer.RANDOM, points=2)
def test_random_blocks(own: Any) -> None:
    """random scores in random blocks, some of them masked"""
    rng = np.random.default_rng(10)
    for lead, cuts, width in (((1,), (1, 1), 1), ((3,), (2, 1, 3), 2), ((2, 3), (1, 4, 2), 3)):
        scores = (3 * rng.normal(size=(*lead, sum(cuts)))).round(1)
        values = rng.normal(size=(*lead[:-1], sum(cuts), width)).round(1)
        scores[rng.random(scores.shape) < 0.3] = -np.inf
        scores[..., 1:2, :] = -np.inf
        ends = np.cumsum(cuts)
        seen, begin = start(lead, width), 0
        for end in ends:
            part = slice(begin, end)
            seen = own.merge_block(*seen, scores[..., part].copy(), values[..., part, :].copy())
            begin = end
        given = {"scores": scores, "values": values, "blocks end at": ends}
        for name, received, expected in zip(STATE, seen, state(scores, values), strict=True):
            expect.close(
                received,
                expected,
                what=f"{name}, after the last block,",
                given=given,
                probably="Each row has a largest score of its own, and a block or a row may hold "
                "nothing but minus infinity.",
            )
        top, total, out = state(scores, values)
        some = np.where(total == 0, 1, total)
        results = own.finish_rows(top.copy(), total.copy(), out.copy())
        ends = (out / some, np.where(total == 0, np.inf, top + np.log(some)))
        for name, received, expected in zip(("y", "log_sum"), results, ends, strict=True):
            expect.close(
                received,
                expected,
                what=name,
                given={"top": top, "total": total, "out": out},
                probably="Each row ends by itself: one that has seen a key is divided by its sum, "
                "and beside it one that has seen none gets zeros and plus infinity.",
            )


@check(Layer.STABILITY)
def test_large_scores(own: Any) -> None:
    """scores of 10,000 and of -10,000, one after the other"""
    scores, values = np.array([[1e4, -1e4]]), np.array([[1.0], [5.0]])
    for order in ([0, 1], [1, 0]):
        seen = start((1,), 1)
        for s in order:
            seen = own.merge_block(*seen, scores[:, [s]], values[[s]])
        for name, received, expected in zip(STATE, seen, (1e4, 1.0, 1.0), strict=True):
            expect.close(
                received,
                np.array([[expected]]),
                what=name,
                given={"scores, one a block": scores[0, order], "values": values[order, 0]},
                probably="No exponent may be above zero: exp(10000) is too large for a float. Take "
                "off the larger of the two largest scores, the old one and the block's.",
            )


@check(Layer.STABILITY, points=2)
def test_nothing_seen(own: Any) -> None:
    """a row that has seen no key stays at zero, and waits for one"""
    nothing = np.array([[-np.inf, -np.inf]])
    seen = own.merge_block(*start((1,), 1), nothing, VALUES[:2].copy())
    given = {"scores": nothing, "values": VALUES[:2]}
    for name, received, expected in zip(STATE, seen, (-np.inf, 0.0, 0.0), strict=True):
        expect.close(
            received,
            np.array([[expected]]),
            what=name,
            given=given,
            probably="Minus infinity less minus infinity is NaN: subtract 0 where the largest "
            "score is minus infinity.",
        )
    y, log_sum = own.finish_rows(*seen)
    expect.close(
        y,
        np.zeros((1, 1)),
        what="y",
        given={"top": -np.inf, "total": 0, "out": 0},
        probably="0 / 0 is NaN: divide by 1 where the sum is 0.",
    )
    expect.close(
        log_sum,
        np.array([[np.inf]]),
        what="log_sum",
        given={"top": -np.inf, "total": 0, "out": 0},
        probably="Plus infinity is asked for here: the backward pass takes exp(score - log_sum), "
        "and gets weights of zero from it.",
    )
