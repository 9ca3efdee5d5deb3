"""The checks of exercise 9.4, from pairs to halves and back."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check


def rows(count: int) -> Tensor:
    """Row r is the number r."""
    return torch.arange(count, dtype=torch.float64)[:, None]


def turned(x: Any, angles: Any, halves: bool) -> NDArray[np.complex128]:
    """The pairs of each head as complex numbers, turned: (H, K/2) from (H, K)."""
    half = x.shape[-1] // 2
    first, second = (x[:, :half], x[:, half:]) if halves else (x[:, 0::2], x[:, 1::2])
    return np.asarray((first + 1j * second) * np.exp(1j * angles))


def scores(wq: Any, wk: Any, x: Any, heads: int, halves: bool) -> NDArray[np.float64]:
    """q·k of two positions in each head (H,), one vector at each, by either rotation."""
    angles = [np.linspace(0.3, 2.0, wq.shape[0] // heads // 2) * p for p in (1, 4)]
    q, k = (
        turned((np.asarray(w) @ at).reshape(heads, -1), angle, halves)
        for w, at, angle in zip((wq, wk), x, angles, strict=True)
    )
    return np.asarray((q * k.conj()).real.sum(axis=-1))


@check(Layer.SHAPES)
def test_shapes(own: Any) -> None:
    """matrices, biases and more keep their shape, both ways"""
    for shape in ((8, 3), (8,), (4, 2, 3)):
        weight = torch.ones(shape)
        for name in ("pairs_to_halves", "halves_to_pairs"):
            result = getattr(own, name)(weight, 4)
            expect.array(result, like=weight, shape=shape, what=f"The result of {name}")


@check(Layer.SHAPES)
def test_refuses(own: Any) -> None:
    """an odd K, or rows that are no whole heads, raise ValueError"""
    for name in ("pairs_to_halves", "halves_to_pairs"):
        for count, head_dim in ((6, 4), (6, 3), (2, 4)):
            with expect.raises(ValueError, f"{name} gets {count} rows, and head_dim is {head_dim}"):
                getattr(own, name)(rows(count), head_dim)


@check(Layer.INPUTS)
def test_weight_unchanged(own: Any) -> None:
    """the weight is left as it was"""
    weight = rows(6)
    with expect.unchanged(weight=weight):
        own.pairs_to_halves(weight, 6)
        own.halves_to_pairs(weight, 6)


@check(Layer.EXAMPLE)
def test_one_head_to_halves(own: Any) -> None:
    """one head of K = 6: to halves"""
    given = {"weight": rows(6), "head_dim": 6}
    expect.close(
        own.pairs_to_halves(*given.values()),
        np.array([[0.0], [2], [4], [1], [3], [5]]),
        what="The order of the rows",
        given=given,
        probably="Rows 0, 2 and 4 are the first members of their pairs and make the first half. If "
        "you have 1 at [2, 0], this is the way back. If you have 1 at [0, 0], the second members "
        "come first. If you have 5 at [3, 0], the second half is in reverse.",
    )


@check(Layer.EXAMPLE)
def test_one_head_to_pairs(own: Any) -> None:
    """one head of K = 6: back to pairs"""
    given = {"weight": rows(6), "head_dim": 6}
    expect.close(
        own.halves_to_pairs(*given.values()),
        np.array([[0.0], [3], [1], [4], [2], [5]]),
        what="The order of the rows",
        given=given,
        probably="Rows 0 and 3 were i and i + K/2, so they become neighbours. If you have 2 at "
        "[1, 0], this is the way to halves. If you have 3 at [0, 0], the members of each pair have "
        "changed places.",
    )


@check(Layer.EXAMPLE, points=2)
def test_two_heads(own: Any) -> None:
    """two heads of K = 4: each keeps its rows"""
    given = {"weight": rows(8), "head_dim": 4}
    probably = (
        "Rows 0 to 3 are head 0 and stay in front. If you have 4 at [2, 0], the rows of all heads "
        "are taken together."
    )
    wanted = np.array([[0.0], [2], [1], [3], [4], [6], [5], [7]])
    what = "The order of the rows"
    expect.close(
        own.pairs_to_halves(*given.values()), wanted, what=what, given=given, probably=probably
    )
    probably = "If you have 4 at [1, 0], the halves are those of all rows and not of each head."
    expect.close(
        own.halves_to_pairs(*given.values()), wanted, what=what, given=given, probably=probably
    )
    given["weight"] = rows(8)[:, 0]
    for name in ("pairs_to_halves", "halves_to_pairs"):
        expect.close(
            getattr(own, name)(*given.values()),
            wanted[:, 0],
            what=f"The order of a bias by {name}",
            given=given,
            probably="A bias (H·K,) moves as the rows do, which it is added to.",
        )


@check(Layer.EXAMPLE)
def test_rows_and_not_columns(own: Any) -> None:
    """rows move, columns stay"""
    weight = torch.arange(16, dtype=torch.float64).view(4, 4)
    given = {"weight": weight, "head_dim": 4}
    wanted = np.arange(16.0).reshape(4, 4)[[0, 2, 1, 3]]
    for name in ("pairs_to_halves", "halves_to_pairs"):
        expect.close(
            getattr(own, name)(*given.values()),
            wanted,
            what=f"The result of {name}",
            given=given,
            probably="torch keeps a linear map as (out, in): a row makes one entry of the query. "
            "If you have 2 at [0, 1], the columns have moved.",
        )


@check(Layer.RANDOM, points=3)
def test_scores(own: Any) -> None:
    """the scores of rotation by halves are those of neighbours"""
    rng = np.random.default_rng(0)
    for heads, head_dim in ((1, 2), (1, 6), (2, 4), (3, 10)):
        wq, wk = rng.normal(size=(2, heads * head_dim, 3)).round(1)
        x = rng.normal(size=(2, 3)).round(1)
        moved = [own.pairs_to_halves(torch.tensor(w), head_dim).numpy() for w in (wq, wk)]
        expect.close(
            scores(*moved, x, heads, halves=True),
            scores(wq, wk, x, heads, halves=False),
            what="q·k in each head",
            given={"heads": heads, "head_dim": head_dim, "the query's weight": wq},
            probably="Entries that turned together must do so after the move, by the same angle, "
            "and stay in their head.",
        )
        back = [own.halves_to_pairs(torch.tensor(w), head_dim).numpy() for w in (wq, wk)]
        expect.close(
            scores(*back, x, heads, halves=False),
            scores(wq, wk, x, heads, halves=True),
            what="q·k in each head, the other way",
            given={"heads": heads, "head_dim": head_dim, "the query's weight": wq},
            probably="Entries that turned together must do so after the move, by the same angle, "
            "and stay in their head.",
        )
