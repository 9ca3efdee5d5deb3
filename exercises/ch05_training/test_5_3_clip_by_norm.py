"""The checks of exercise 5.3, clipping by the norm."""

import math
from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check


def three() -> dict[str, Any]:
    """Two arrays whose joint norm is √(6² + 2² + 3²) = 7."""
    return {"a": np.array([6.0, 2.0]), "b": np.array([[3.0]])}


# PyTorch divides by the norm + 1e-6, which is right too.
PYTORCH = 7 / (7 + 1e-6)


@check(Layer.SHAPES)
def test_norm_is_a_number(own: Any) -> None:
    """a number comes back"""
    grads = three()
    expect.number(
        own.clip_by_norm(grads, 1.4),
        what="The result",
        probably="The gradients are changed in place. What comes back is their norm before that.",
    )


@check(Layer.INPUTS)
def test_small_gradients_stay(own: Any) -> None:
    """gradients within the limit stay as they are"""
    for limit in (30.0, 10.0, 5.0, math.inf):
        grads = {"a": np.array([3.0]), "b": np.array([4.0])}
        held = dict(grads)
        given = {"a": grads["a"].copy(), "b": grads["b"].copy(), "limit": limit}
        norm = own.clip_by_norm(grads, limit)
        expect.close(norm, 5.0, what="The norm", given=given)
        expect.close(
            held["a"],
            np.array([3.0]),
            what="a, afterwards,",
            also=[np.array([3.0]) * min(1.0, limit / (5 + 1e-6))],
            given=given,
            probably="The norm is 5, and the limit is that or more. If you have 18 at [0], "
            "every gradient is brought to the limit, the short ones too.",
        )
        # A norm that nothing was done to is found again.
        expect.close(
            own.clip_by_norm(held, limit),
            5.0,
            what="The norm in a second call",
            given=given,
            also=[5 * min(1.0, limit / (5 + 1e-6))],
        )


@check(Layer.EXAMPLE)
def test_norm(own: Any) -> None:
    """the norm before clipping, worked by hand"""
    expect.close(
        own.clip_by_norm(three(), 1.4),
        7.0,
        what="The norm",
        given=three() | {"limit": 1.4},
        probably="It is √(36 + 4 + 9) = 7, over all entries of all arrays. If you have 9.325, the "
        "norms of the arrays are added; norms are not sums. If you have 49, the root is missing. "
        "If you have 11, these are sizes without squares. If you have 6, it is the largest entry. "
        "If you have 3, only the last array counts. If you have 4.041, it is a mean. If you have "
        "1.4, it is the norm afterwards.",
    )


@check(Layer.EXAMPLE, points=2)
def test_clipped(own: Any) -> None:
    """all arrays are scaled by one factor, in place"""
    grads = three()
    held = dict(grads)  # someone else holds the arrays: a model, an optimizer
    own.clip_by_norm(grads, 1.4)
    expect.close(
        held["a"],
        np.array([1.2, 0.4]),
        what="a, after clipping,",
        given=three() | {"limit": 1.4},
        also=[np.array([1.2, 0.4]) * PYTORCH],
        probably="The norm is 7 and the limit 1.4, so every entry becomes a fifth, in the array "
        "that was passed: g = g * factor makes a new one, and g *= factor writes into it. If you "
        "have 1.328 at [0], each array is clipped by itself. If you have 1.4 at [1], entries are "
        "cut off one by one, which turns the arrow. If you have 0.8571 at [0], the norm becomes 1 "
        "and not the limit. If you have 30 at [0], the factor is upside down.",
    )
    expect.close(
        held["b"],
        np.array([[0.6]]),
        what="b, after clipping,",
        given=three() | {"limit": 1.4},
        also=[np.array([[0.6]]) * PYTORCH],
        probably="One factor, found before anything is scaled, serves all arrays. If you have "
        "1.291 at [0, 0], the norm was taken again when a was shorter already.",
    )


@check(Layer.EXAMPLE)
def test_once_is_enough(own: Any) -> None:
    """a second clipping finds the limit"""
    grads = three()
    held = dict(grads)
    given = three() | {"limit": 1.4}
    own.clip_by_norm(grads, 1.4)
    first, second = own.clip_by_norm(dict(held), 100.0), own.clip_by_norm(grads, 100.0)
    for name, norm in (("of the arrays", first), ("in the dictionary", second)):
        what = f"The norm {name} after clipping"
        expect.close(norm, 1.4, what=what, given=given, also=[1.4 * PYTORCH])


@check(Layer.EXAMPLE)
def test_refuses(own: Any) -> None:
    """NaN, infinity, and a limit that is not above 0 raise ValueError"""
    for limit in (0.0, -1.0, math.nan):
        with expect.raises(ValueError, f"the limit is {limit}"):
            own.clip_by_norm(three(), limit)
    for bad in (math.nan, math.inf, -math.inf):
        for place in range(4):
            entries = np.where(np.arange(4) == place, bad, 1.0)
            grads = {"a": entries[:2], "b": entries[None, 2:]}
            given = {name: g.copy() for name, g in grads.items()}
            with expect.raises(ValueError, f"a gradient is {bad}: no factor repairs it", given):
                own.clip_by_norm(grads, 1.0)


@check(Layer.RANDOM, points=2)
def test_random(own: Any) -> None:
    """random gradients: the definition, entry by entry"""
    rng = np.random.default_rng(53)
    for shapes in (((1,),), ((2,), (3,)), ((2, 3), (4,), (1, 2, 2))):
        for limit in (0.7, 5.0):
            before = {f"g{i}": rng.normal(size=s).round(1) for i, s in enumerate(shapes)}
            grads = {name: g.copy() for name, g in before.items()}
            given = before | {"limit": limit}
            norm = math.sqrt(math.fsum(x * x for g in before.values() for x in g.ravel().tolist()))
            expect.close(own.clip_by_norm(grads, limit), norm, what="The norm", given=given)
            for name, g in before.items():
                wanted, torchs = (g * min(1.0, limit / n) for n in (norm, norm + 1e-6))
                what = f"{name}, afterwards,"
                expect.close(grads[name], wanted, what=what, given=given, also=[torchs])


@check(Layer.STABILITY)
def test_zeros(own: Any) -> None:
    """gradients of zero stay zero"""
    grads = {"a": np.zeros(2), "b": np.zeros((1, 1))}
    given = {"a": np.zeros(2), "b": np.zeros((1, 1)), "limit": 1.0}
    expect.close(own.clip_by_norm(grads, 1.0), 0.0, what="The norm", given=given)
    expect.close(
        grads["a"],
        np.zeros(2),
        what="a, afterwards,",
        given=given,
        probably="limit / 0 is infinite, and infinity times 0 is not a number: scale only what is "
        "longer than the limit.",
    )


@check(Layer.STABILITY)
def test_float32(own: Any) -> None:
    """large float32 gradients, whose squares do not fit into float32"""
    unit = 2.0**66  # 7.4e19
    grads = {name: np.array([n * unit], np.float32) for name, n in (("a", 3), ("b", 4))}
    given = {name: g.copy() for name, g in grads.items()} | {"limit": 1.0}
    norm = own.clip_by_norm(grads, 1.0)
    probably = (
        "float32 ends at 3e38, and the square of 2e20 is 4e40. Add up the squares in float64."
    )
    expect.close(norm, 5 * unit, like=grads["a"], what="The norm", given=given, probably=probably)
    wanted = np.array([0.6], np.float32)
    expect.array(grads["a"], like=wanted, shape=(1,), what="a, afterwards,")
    expect.close(grads["a"], wanted, what="a, afterwards,", given=given)
