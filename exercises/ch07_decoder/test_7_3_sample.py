"""The checks of exercise 7.3, drawing a token at a temperature."""

import math
from typing import Any

import numpy as np

from groundup.course import expect
from groundup.course.checks import Layer, check

# Probabilities 1/8, 1/8, 6/8: the pieces of the ruler end at 0.125, 0.25 and 1.
LOGITS = np.log([[1.0, 1.0, 6.0]])
WHOLE = np.zeros(0, dtype=int)


def drawn(logits: Any, temperature: float, u: float) -> int:
    """The token of one row, for a number u, by walking along the ruler."""
    top = max(logits)
    weights = [math.exp((z - top) / temperature) for z in logits]
    place, total = 0.0, math.fsum(weights)
    for token, weight in enumerate(weights):
        place += weight / total
        if u < place:
            return token
    raise AssertionError("u lies behind the last piece")


@check(Layer.SHAPES)
def test_shape(own: Any) -> None:
    """one token for each row, a whole number"""
    rng = np.random.default_rng(0)
    for shape in ((3,), (2, 3), (2, 4, 3)):
        expect.array(
            np.asarray(own.sample(rng, np.zeros(shape))),
            like=WHOLE,
            shape=shape[:-1],
            what=f"sample of logits {shape}",
            probably="The last axis is the vocabulary; a token is chosen from it, and it is gone.",
        )


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """the logits are left as they were"""
    logits = np.array([[0.5, -1.0, 2.0]])
    with expect.unchanged(logits=logits):
        own.sample(np.random.default_rng(0), logits, 0.5)


@check(Layer.EXAMPLE)
def test_one_number(own: Any) -> None:
    """probabilities 1/8, 1/8, 6/8 and four numbers u"""
    rng = np.random.default_rng(0)
    u = np.random.default_rng(0).random(4).round(4)
    received = [int(np.asarray(own.sample(rng, LOGITS.copy())).reshape(-1)[0]) for _ in range(4)]
    expect.close(
        np.array(received),
        np.array([2, 2, 0, 0]),
        what="The tokens drawn",
        given={"logits": LOGITS, "temperature": 1.0, "u": u},
        probably="The pieces end at 0.125, 0.25 and 1. So 0.637 and 0.2698 fall into the third, "
        "0.041 and 0.0165 into the first.",
    )


@check(Layer.EXAMPLE)
def test_temperature(own: Any) -> None:
    """temperature 1/2 squares the weights, 2 takes their root"""
    u = np.random.default_rng(2).random(8)
    logits = np.log([[1.0, 2.0]])
    for temperature, first in ((0.5, 1 / 5), (2.0, 1 / (1 + math.sqrt(2)))):
        rng = np.random.default_rng(2)
        received = [int(np.asarray(own.sample(rng, logits.copy(), temperature))[0]) for _ in u]
        expect.close(
            np.array(received),
            (u >= first).astype(int),
            what="The tokens drawn",
            given={"logits": logits, "temperature": temperature, "u": u.round(3)},
            probably=f"Token 0 has the probability {first:.4g} at this temperature, so it is drawn "
            "when u is below that. The temperature divides the logits, before the softmax.",
        )


class Fixed(np.random.Generator):
    """A generator whose every number is the same."""

    def __init__(self, u: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.u = u

    def random(self, size: Any = None, *_: Any, **__: Any) -> Any:
        """The number, or an array of it."""
        return self.u if size is None else np.full(size, self.u)

    def uniform(self, low: float = 0.0, high: float = 1.0, size: Any = None) -> Any:
        """The same between two limits."""
        return low + (high - low) * self.random(size)


@check(Layer.EXAMPLE)
def test_boundary(own: Any) -> None:
    """a number u that is where a piece ends falls into the next one"""
    almost = 1 - 2.0**-53  # the largest u; ten times 0.1 sum to no more in floats
    for logits, u, token in (
        ([0.0, 0.0], 0.5, 1),
        ([0.0, 0.0], 0.0, 0),
        ([-np.inf, 0.0], 0.0, 1),
        ([0.0] * 10 + [-np.inf], almost, 9),
        ([-np.inf] + [0.0] * 10, almost, 10),
    ):
        expect.close(
            np.asarray(own.sample(Fixed(u), np.array([logits]))),
            np.array([token]),
            what="The token drawn",
            given={"logits": np.array([logits]), "u": u},
            probably="The token is the first whose cumulated probability exceeds u. To equal u is "
            "not enough, and minus infinity has no piece, also where rounding leaves the sum of "
            "the probabilities below u.",
        )


@check(Layer.EXAMPLE)
def test_zero_is_greedy(own: Any) -> None:
    """temperature 0 takes the likeliest token, and draws nothing"""
    logits = np.array([[0.0, 0.1, -3.0], [2.0, 1.9, 1.8]])
    rng = np.random.default_rng(0)
    for _ in range(3):
        expect.close(
            np.asarray(own.sample(rng, logits.copy(), 0)),
            np.array([1, 0]),
            what="The tokens at temperature 0",
            given={"logits": logits},
            probably="Temperature 0 stands for greedy, which is imported.",
        )
    expect.close(
        float(rng.random()),
        float(np.random.default_rng(0).random()),
        what="The next number of the generator",
        probably="At temperature 0 no number is drawn, so the generator is where it was.",
    )


@check(Layer.EXAMPLE)
def test_refuses(own: Any) -> None:
    """a negative or infinite temperature, an empty row: ValueError"""
    logits = np.array([[0.5, -1.0, 2.0]])
    for temperature in (-1.0, np.inf, np.nan):
        with expect.raises(ValueError, f"the temperature is {temperature}", {"logits": logits}):
            own.sample(np.random.default_rng(0), logits.copy(), temperature)
    for row in ([-np.inf] * 3, [np.nan, 0.0, 0.0], [np.inf, 0.0, 0.0]):
        for temperature in (1.0, 0.0):
            given = {"logits": np.array([row]), "temperature": temperature}
            with expect.raises(ValueError, "no token of the row is the likeliest", given):
                own.sample(np.random.default_rng(0), np.array([row]), temperature)


@check(Layer.RANDOM, points=3)
def test_random(own: Any) -> None:
    """random rows: each has a number of its own, and its own pieces"""
    rng = np.random.default_rng(73)
    for rows, vocabulary in ((1, 2), (2, 3), (6, 5)):
        logits = rng.normal(size=(rows, vocabulary), scale=2).round(1)
        temperature = float(rng.choice([0.5, 0.8, 1.5]))
        for seed in range(3):
            u = np.random.default_rng(seed).random(rows)
            expect.close(
                np.asarray(own.sample(np.random.default_rng(seed), logits.copy(), temperature)),
                np.array([drawn(z, temperature, x) for z, x in zip(logits, u, strict=True)]),
                what="The tokens drawn",
                given={"logits": logits, "temperature": temperature, "u": u.round(4)},
                probably="Each row has a number u of its own, and pieces along the last axis.",
            )


@check(Layer.STABILITY)
def test_extremes(own: Any) -> None:
    """large logits, tiny temperatures and removed tokens"""
    cases = (
        ([[10_000.0, 10_000.0, -10_000.0]], 1.0, 1),
        ([[3.0, 3.1, 3.0]], 1e-9, 1),
        ([[-np.inf, -np.inf, 0.0]], 1.0, 2),
    )
    for logits, temperature, expected in cases:
        with np.errstate(all="ignore"):
            received = own.sample(np.random.default_rng(0), np.array(logits), temperature)
        expect.close(
            np.asarray(received),
            np.array([expected]),
            what="The token drawn",
            given={"logits": np.array(logits), "temperature": temperature, "u": 0.637},
            probably="Shift the largest logit to zero before the exponential; scale does.",
        )
