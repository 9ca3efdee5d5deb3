"""The checks of exercise 9.3, the angles of RoPE."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check


def at(*positions: float) -> Tensor:
    """Positions in float64."""
    return torch.tensor(positions, dtype=torch.float64)


def tables(own: Any, *args: Any) -> Any:
    result = own.rope_tables(*args)
    expect.parts(result, ("cos", "sin"))
    return result


def angle(position: float, pair: int, head_dim: int, theta: float, scale: float = 1.0) -> float:
    """As the definition says it."""
    return position / scale / theta ** (2 * pair / head_dim)


@check(Layer.SHAPES)
def test_shapes(own: Any) -> None:
    """two tables (T, K/2), one column a pair"""
    for length, head_dim in ((1, 2), (3, 8), (0, 4)):
        positions = torch.zeros(length)
        for name, table in zip(("cos", "sin"), tables(own, positions, head_dim, 1e4), strict=True):
            expect.array(
                table,
                like=positions,
                shape=(length, head_dim // 2),
                what=name,
                probably="A pair has one angle, and a head of K entries has K/2 pairs.",
            )


@check(Layer.SHAPES)
def test_dtypes(own: Any) -> None:
    """float32, whatever the positions are; float64 if they are"""
    for dtype in (torch.int64, torch.int32, torch.bfloat16, torch.float32, torch.float64):
        positions = torch.ones(2, dtype=dtype)
        wanted = torch.float64 if dtype == torch.float64 else torch.float32
        for name, table in zip(("cos", "sin"), tables(own, positions, 4, 1e4), strict=True):
            like = torch.zeros(1, dtype=wanted)
            expect.array(table, like=like, shape=(2, 2), what=f"{name} for {dtype} positions")


@check(Layer.INPUTS)
def test_positions_unchanged(own: Any) -> None:
    """the positions are left as they were"""
    positions = at(3, 1)
    with expect.unchanged(positions=positions):
        tables(own, positions, 4, 100.0, 2.0)


@check(Layer.EXAMPLE)
def test_first_pair(own: Any) -> None:
    """the first pair turns by one radian a position"""
    given = {"positions": at(0, 1), "head_dim": 2, "theta": 100.0}
    cos, sin = tables(own, *given.values())
    expect.close(
        cos,
        np.array([[1.0], [math.cos(1)]]),
        what="cos",
        given=given,
        probably="Position 0 does not turn, position 1 by one radian: 1 and 0.5403. If you have 0 "
        "at [0, 0], cos and sin have changed places. If you have 0.5403 at [0, 0], positions begin "
        "at 1. Angles are in radians, neither in degrees nor in whole turns.",
    )
    expect.close(
        sin,
        np.array([[0.0], [math.sin(1)]]),
        what="sin",
        given=given,
        probably="Position 0 does not turn, position 1 by one radian: 0 and 0.8415. If you have "
        "-0.8415 at [1, 0], the pairs turn the other way.",
    )


@check(Layer.EXAMPLE, points=2)
def test_second_pair(own: Any) -> None:
    """the second of two pairs turns by one over the root of theta"""
    given = {"positions": at(1), "head_dim": 4, "theta": 100.0}
    expect.close(
        tables(own, *given.values())[1],
        np.array([[math.sin(1), math.sin(0.1)]]),
        what="sin",
        given=given,
        probably="K = 4, so the exponents -2i/K are 0 and -1/2, and 100 to the power -1/2 is 0.1. "
        "If you have 0.3109 at [0, 1], the exponent is i/K. If you have 0.01 at [0, 1], the "
        "last pair is made to turn by 1/theta. If you have -0.544 at [0, 1], the exponent lacks "
        "its minus. If you have 0.09983 at [0, 0], the pairs are in the opposite order.",
    )


@check(Layer.EXAMPLE)
def test_positions_are_used(own: Any) -> None:
    """the rows are those of the positions that are given"""
    given = {"positions": at(5, 0, 2), "head_dim": 2, "theta": 100.0}
    expect.close(
        tables(own, *given.values())[1],
        np.array([[math.sin(5)], [0.0], [math.sin(2)]]),
        what="sin",
        given=given,
        probably="Where sequences lie end to end, positions begin at 0 in each. If you have 0 at "
        "[0, 0], you count the rows and do not look at the positions.",
    )


@check(Layer.EXAMPLE)
def test_scale(own: Any) -> None:
    """a scale of 2: position 3 turns like position 1.5"""
    given = {"positions": at(2, 3), "head_dim": 2, "theta": 100.0, "scale": 2.0}
    expect.close(
        tables(own, *given.values())[1],
        np.array([[math.sin(1)], [math.sin(1.5)]]),
        what="sin",
        given=given,
        probably="Positions are divided by the scale. If you have -0.7568 at [0, 0], they are "
        "multiplied by it. theta stays."
        " If you "
        "have 0.8415 at [1, 0], positions are rounded down.",
    )
    positions = torch.tensor([200, 201]), torch.tensor([200, 202], dtype=torch.bfloat16)
    for given["positions"], last in zip(positions, (67.0, 202 / 3), strict=True):
        given["scale"] = 3.0
        sin = tables(own, *given.values())[1]
        expect.close(
            sin,
            np.array([[math.sin(200 / 3)], [math.sin(last)]]),
            like=torch.zeros(1),
            what=f"sin for positions in {given['positions'].dtype}",
            given=given,
            probably="200 / 3 is 66.667 in float32, 66.5 in bfloat16, and 66 where whole numbers "
            "are divided with //. Turn positions into float32 before you divide.",
        )


@check(Layer.RANDOM, points=2)
def test_random(own: Any) -> None:
    """random positions, widths, thetas and scales"""
    rng = np.random.default_rng(0)
    for head_dim in (2, 4, 6, 10):
        theta, scale = float(rng.integers(2, 10**5)), float(rng.integers(1, 9))
        positions = at(*rng.integers(0, 50, size=3).tolist())
        angles = np.array(
            [
                [angle(float(p), i, head_dim, theta, scale) for i in range(head_dim // 2)]
                for p in positions
            ]
        )
        given = {"positions": positions, "head_dim": head_dim, "theta": theta, "scale": scale}
        cos, sin = tables(own, *given.values())
        for name, table, wanted in (("cos", cos, np.cos(angles)), ("sin", sin, np.sin(angles))):
            expect.close(
                table,
                wanted,
                what=name,
                given=given,
                probably="Position p turns pair i by p / scale · theta^(-2i/K), and float64 "
                "positions stay float64 all the way.",
            )


@check(Layer.STABILITY)
def test_far_position(own: Any) -> None:
    """position 1,001 of whole numbers: nothing is rounded to 16 bits"""
    positions = torch.tensor([1001])
    given = {"positions": positions, "head_dim": 4, "theta": 10_000.0}
    # An angle of 1,001 radians is known to 3e-5 in float32; 16 bits are off by whole radians.
    received = [float(each) for each in tables(own, *given.values())[1].flatten()]
    expected = [math.sin(1001), math.sin(10.01)]
    expect.close(
        np.round(received, 3),
        np.round(expected, 3),
        what="sin, to three decimals",
        given=given,
        probably="bfloat16 knows 1,000 and 1,004, and nothing between. Turn positions into float32 "
        "before you multiply, and make the speeds in float32. If you have 0.827 at [0], the "
        "position was rounded.",
    )
