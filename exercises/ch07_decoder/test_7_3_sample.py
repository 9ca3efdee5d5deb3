"""The checks of exercise 7.3, drawing a token at a temperature."""

import math
from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

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


def starting_with(u: float) -> np.random.Generator:
    """A generator whose first number is u."""
    bits = np.random.SFC64()
    state = bits.state
    state["state"]["state"] = np.array([int(u * 2**64), 0, 0, 0], np.uint64)
    bits.state = state
    return np.random.Generator(bits)


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
        what="ids",
        given={"logits": LOGITS, "temperature": 1.0, "u": u},
        probably="The pieces end at 0.125, 0.25 and 1. So 0.637 and 0.2698 fall into the third, "
        "0.041 and 0.0165 into the first. Each call draws one number u, for its one row.",
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
            what="ids",
            given={"logits": logits, "temperature": temperature, "u": u.round(3)},
            probably=f"Token 0 has the probability {first:.4g} at this temperature, so it is drawn "
            "when u is below that. The temperature divides the logits, before the softmax.",
        )


@check(Layer.EXAMPLE)
def test_zero_is_greedy(own: Any) -> None:
    """temperature 0 takes the likeliest token, and draws nothing"""
    logits = np.array([[0.0, 0.1, -3.0], [2.0, 1.9, 1.8], [0.5, 0.7, 0.7]])
    rng = np.random.default_rng(0)
    for _ in range(3):
        expect.close(
            np.asarray(own.sample(rng, logits.copy(), 0)),
            np.array([1, 0, 1]),
            what="ids at temperature 0",
            given={"logits": logits},
            probably="Temperature 0 means greedy: the likeliest token, and of equals the first.",
        )
    if rng.random() != np.random.default_rng(0).random():
        expect.fail("At temperature 0 the generator is used, and there is nothing to draw.")


@check(Layer.EXAMPLE)
def test_on_the_edge(own: Any) -> None:
    """u at the very end of a piece: the next one; u = 0: the first"""
    cases = (
        ([[0.0, 0.0, 0.0, 0.0]], 0.25, 1),
        ([[0.0, 0.0, 0.0, 0.0]], 0.75, 3),
        ([[0.0, 0.0]], 0.0, 0),
        ([[-np.inf, 0.0, 0.0]], 0.0, 1),
    )
    for logits, u, expected in cases:
        expect.close(
            np.asarray(own.sample(starting_with(u), np.array(logits))),
            np.array([expected]),
            what="The token drawn",
            given={"logits": np.array(logits), "u": u},
            probably="The token is the first whose cumulated probability exceeds u: equal is not "
            "enough.",
        )


@check(Layer.EXAMPLE)
def test_refuses(own: Any) -> None:
    """bad temperatures and rows without a largest number: ValueError"""
    rng = np.random.default_rng(0)
    for temperature in (-1.0, -1e-9, np.inf, np.nan):
        with (
            np.errstate(all="ignore"),
            expect.raises(ValueError, f"the temperature is {temperature}"),
        ):
            own.sample(rng, LOGITS.copy(), temperature)
    for row in ([1.0, np.nan], [1.0, np.inf], [-np.inf, -np.inf]):
        for temperature in (1.0, 0):
            logits = np.array([[1.0, 2.0], row])
            given = {"logits": logits, "temperature": temperature}
            with np.errstate(all="ignore"), expect.raises(ValueError, f"a row is {row}", given):
                own.sample(rng, logits, temperature)


@check(Layer.RANDOM, points=3)
def test_random(own: Any) -> None:
    """random rows: each has a number of its own, and its own pieces"""
    rng = np.random.default_rng(73)
    for shape in ((2,), (1, 2), (2, 3), (6, 5), (2, 3, 4)):
        logits = rng.normal(size=shape, scale=2).round(1)
        temperature = float(rng.choice([0.5, 0.8, 1.5]))
        for seed in range(3):
            u = np.random.default_rng(seed).random(shape[:-1])
            expected = np.zeros(shape[:-1], int)
            for row in np.ndindex(shape[:-1]):
                expected[row] = drawn(logits[row], temperature, u[row])
            expect.close(
                np.asarray(own.sample(np.random.default_rng(seed), logits.copy(), temperature)),
                expected,
                what="ids",
                given={"logits": logits, "temperature": temperature, "u": u.round(4)},
                probably="Each row has a number u of its own, drawn in the order of the rows, and "
                "pieces of its own along the last axis.",
            )


@check(Layer.STABILITY)
def test_extremes(own: Any) -> None:
    """large logits, tiny temperatures and removed tokens"""
    cases = (
        ([[10_000.0, 10_000.0, -10_000.0]], 1.0, 1),
        ([[3.0, 3.1, 3.0]], 1e-9, 1),
        ([[3.1, 3.0, 3.1]], 1e-9, 2),
        ([[3.0, 3.1, 3.0]], 1e-310, 1),
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
            probably="The exponential of a large number overflows, and that of minus infinity is "
            "0. scale moves the largest logit of a row to zero first. Two that are equally likely "
            "share the ruler at any temperature above 0.",
        )


@check(Layer.STABILITY)
def test_end_of_the_ruler(own: Any) -> None:
    """the largest u below 1 draws the last token, also in float32"""
    u = 1 - 2.0**-53
    for vocabulary, dtype in ((7, np.float64), (10, np.float64), (12, np.float32)):
        for out in (0, 2):
            logits = np.array([[0.0] * vocabulary + [-np.inf] * out], dtype)
            expect.close(
                np.asarray(own.sample(starting_with(u), logits)),
                np.array([vocabulary - 1]),
                what="The token drawn",
                given={"logits": logits, "type": np.dtype(dtype).name, "u": "1 - 2**-53"},
                probably="Rounded, the probabilities may add up to a little less than 1, so that u "
                "is beyond the last piece. The last piece ends where the sum does, and minus "
                "infinity has none.",
            )
