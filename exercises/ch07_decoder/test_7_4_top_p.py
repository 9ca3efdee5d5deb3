"""The checks of exercise 7.4, the nucleus."""

import math
from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

# Probabilities 1/8, 4/8, 1/16, 5/16; from the likeliest on their sums are 8, 13, 15, 16 over 16.
LOGITS = np.log([[2.0, 8.0, 1.0, 5.0]])
OUT = -np.inf


def nucleus(logits: Any, p: float) -> list[float]:
    """One row, by the definition: walk from the likeliest token on until p is reached."""
    weights = [math.exp(z - max(logits)) for z in logits]
    total = math.fsum(weights)
    kept: list[int] = []
    for token in sorted(range(len(logits)), key=lambda i: (-logits[i], i)):
        if math.fsum(weights[i] for i in kept) / total >= p:
            break
        kept.append(token)
    return [z if i in kept else OUT for i, z in enumerate(logits)]


@check(Layer.SHAPES)
def test_shape(own: Any) -> None:
    """an array like the logits, of their shape and dtype"""
    for shape in ((4,), (2, 4), (2, 3, 4)):
        logits = np.arange(math.prod(shape), dtype=np.float32).reshape(shape) / 10
        expect.array(own.top_p(logits, 0.5), like=logits, shape=shape, what="top_p(logits, 0.5)")


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """the logits are left as they were"""
    logits = LOGITS.copy()
    with expect.unchanged(logits=logits):
        own.top_p(logits, 0.6)


@check(Layer.EXAMPLE, points=2)
def test_crossing(own: Any) -> None:
    """p = 0.6: the token that crosses p stays, and the next goes"""
    expect.close(
        own.top_p(LOGITS.copy(), 0.6),
        np.array([[OUT, math.log(8), OUT, math.log(5)]]),
        what="top_p(logits, 0.6)",
        given={"logits": LOGITS, "probabilities": np.array([[2, 8, 1, 5]]) / 16},
        probably="From the likeliest on: 8/16 is not yet 0.6, and 13/16 is. So tokens 1 and 3 "
        "stay, with their logits, and the others become minus infinity. If you have 0 at [0, 0], "
        "what is out has a logit of 0, and exp(0) is 1.",
    )


@check(Layer.EXAMPLE)
def test_first_is_always_kept(own: Any) -> None:
    """p = 0.1: the likeliest token alone exceeds p, and it stays"""
    expect.close(
        own.top_p(LOGITS.copy(), 0.1),
        np.array([[OUT, math.log(8), OUT, OUT]]),
        what="top_p(logits, 0.1)",
        given={"logits": LOGITS, "probabilities": np.array([[2, 8, 1, 5]]) / 16},
        probably="Before the first token the sum is 0, which is below any p.",
    )


@check(Layer.EXAMPLE)
def test_exactly_reached(own: Any) -> None:
    """probabilities 1/4, 1/2, 1/4: of equals the first is kept"""
    logits = np.log([[2.0, 4.0, 2.0]])
    expect.close(
        own.top_p(logits, 0.75 - 1e-12),
        np.array([[math.log(2), math.log(4), OUT]]),
        what="top_p(logits, 0.75 - 1e-12)",
        given={"logits": logits, "probabilities": np.array([[0.25, 0.5, 0.25]])},
        probably="1/2 and 1/4 are enough. Tokens 0 and 2 are equally likely, and one of them "
        "completes the nucleus: the one with the lower id.",
    )


@check(Layer.EXAMPLE)
def test_reached_to_the_last_bit(own: Any) -> None:
    """four tokens of 1/4: at p = 3/4 three are enough"""
    for p, kept in ((0.25, 1), (0.5, 2), (0.75, 3)):
        expect.close(
            own.top_p(np.zeros((1, 4)), p),
            np.array([[0.0] * kept + [OUT] * (4 - kept)]),
            what=f"top_p(logits, {p})",
            given={"logits": np.zeros((1, 4)), "probabilities": np.full((1, 4), 0.25)},
            probably="A token is kept if those before it do not yet reach p, and a sum that "
            "equals p reaches it.",
        )


@check(Layer.EXAMPLE)
def test_one_keeps_all(own: Any) -> None:
    """p = 1 keeps every token, however unlikely"""
    logits = np.array([[0.0, -50.0, -800.0]])
    expect.close(
        own.top_p(logits.copy(), 1.0),
        logits,
        what="top_p(logits, 1)",
        given={"logits": logits},
        probably="In floats the sum reaches 1 before the last tokens. At p = 1 return the logits.",
    )


@check(Layer.EXAMPLE)
def test_refuses_no_share(own: Any) -> None:
    """p outside (0, 1] raises ValueError"""
    for p in (0.0, -0.1, 1.1, np.nan):
        with expect.raises(ValueError, f"p is {p}"):
            own.top_p(LOGITS.copy(), p)


@check(Layer.EXAMPLE)
def test_refuses_a_row(own: Any) -> None:
    """a row with no finite largest logit raises ValueError"""
    for row in ([1.0, np.nan], [1.0, np.inf], [OUT, OUT]):
        for p in (0.5, 1.0):
            logits = np.array([[1.0, 2.0], row])
            given = {"logits": logits, "p": p}
            with np.errstate(all="ignore"), expect.raises(ValueError, f"a row is {row}", given):
                own.top_p(logits, p)


@check(Layer.RANDOM, points=3)
def test_random(own: Any) -> None:
    """random rows: the fewest tokens that reach p, row by row"""
    rng = np.random.default_rng(74)
    for shape in ((1, 3), (3,), (2, 3), (4, 6), (2, 2, 5)):
        logits = rng.normal(size=shape, scale=1.5).round(2)
        rows = logits.reshape(-1, shape[-1])
        for p in (0.3, 0.7, 0.95):
            expect.close(
                own.top_p(logits.copy(), p),
                np.array([nucleus(row, p) for row in rows]).reshape(shape),
                what=f"top_p(logits, {p})",
                given={"logits": logits},
                probably="Each row is sorted by itself, and what is kept goes back to the order "
                "of the ids.",
            )
    shares = np.array([0.5 - 1e-9, 0.5 + 1e-9])
    expect.close(
        own.top_p(np.log(shares), 0.5 + 2e-9),
        np.log(shares),
        what="top_p(logits, 0.5 + 2e-9)",
        given={"probabilities": "0.5 - 1e-9 and 0.5 + 1e-9"},
        probably="Token 1 does not reach p by itself, which float64 can tell and float32 can't.",
    )


@check(Layer.STABILITY)
def test_large_logits(own: Any) -> None:
    """logits of ±10,000, and tokens that top_k has removed"""
    logits = np.array([[10_000.0, -10_000.0, 9_999.0], [OUT, 1.0, OUT]])
    with np.errstate(all="ignore"):
        received = own.top_p(logits.copy(), 0.9)
    expect.close(
        received,
        np.array([[10_000.0, OUT, 9_999.0], [OUT, 1.0, OUT]]),
        what="top_p(logits, 0.9)",
        given={"logits": logits},
        probably="exp(10000) is too large for a float, and minus infinity has the probability 0. "
        "softmax subtracts the largest logit first.",
    )
