"""The checks of exercise 7.2, the surprise at what comes next."""

import math
from typing import Any

import numpy as np

from groundup.course import expect
from groundup.course.checks import Layer, check

SKIP = -100
# One row of three tokens, vocabulary of two; the exponentials are whole numbers.
LOGITS = np.log([[[1.0, 3.0], [1.0, 7.0], [1.0, 1.0]]])
TARGETS = np.array([[1, SKIP, 0]])
GIVEN = {"logits": LOGITS, "targets": TARGETS}


@check(Layer.SHAPES)
def test_loss_is_a_number(own: Any) -> None:
    """the forward pass returns a number and a cache"""
    result = own.next_token_loss(LOGITS.copy(), TARGETS.copy())
    expect.parts(result, ("loss", "cache"))
    expect.number(result[0], what="The loss", probably="Take the mean over the tokens that count.")


@check(Layer.SHAPES)
def test_gradient_shape(own: Any) -> None:
    """the backward pass returns an array like the logits"""
    logits = LOGITS.astype(np.float32)
    _, cache = own.next_token_loss(logits, TARGETS.copy())
    expect.array(
        own.next_token_loss_backward(cache),
        like=logits,
        shape=logits.shape,
        what="dlogits",
        probably="The rows that were left out have a gradient too: zero.",
    )


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """logits and targets are left as they were, by both passes"""
    logits, targets = LOGITS.copy(), TARGETS.copy()
    with expect.unchanged(logits=logits, targets=targets):
        _, cache = own.next_token_loss(logits, targets)
        own.next_token_loss_backward(cache)


@check(Layer.EXAMPLE)
def test_two_tokens_count(own: Any) -> None:
    """three tokens, one ignored: the mean of two surprises"""
    loss, _ = own.next_token_loss(LOGITS.copy(), TARGETS.copy())
    expect.close(
        loss,
        (math.log(4 / 3) + math.log(2)) / 2,
        what="The loss",
        given=GIVEN,
        probably="The probabilities of the targets are 3/4 and 1/2; the second token has none. The "
        "mean of 0.2877 and 0.6931 is 0.4904. If you have 0.3269, the sum is divided by three. If "
        "you have 0.9808, the sum is not divided. If you have 0.7075, the loss is in bits. If you "
        "have 1.02, the ignored target is taken for token 0.",
    )


@check(Layer.EXAMPLE)
def test_rows_of_unequal_weight(own: Any) -> None:
    """two rows with three tokens and one: each token counts alike"""
    logits = np.log([[[1.0, 3.0]] * 3, [[1.0, 1.0], [1.0, 7.0], [1.0, 7.0]]])
    targets = np.array([[1, 1, 1], [0, SKIP, SKIP]])
    loss, _ = own.next_token_loss(logits, targets)
    expect.close(
        loss,
        (3 * math.log(4 / 3) + math.log(2)) / 4,
        what="The loss",
        given={"logits": logits, "targets": targets},
        probably="Four tokens count, three with 0.2877 and one with 0.6931. If you have 0.4904, "
        "this is the mean of the rows' means, and a token in a short row weighs more.",
    )


@check(Layer.EXAMPLE)
def test_gradient_by_hand(own: Any) -> None:
    """the gradient of the three tokens, worked by hand"""
    _, cache = own.next_token_loss(LOGITS.copy(), TARGETS.copy())
    expect.close(
        own.next_token_loss_backward(cache),
        np.array([[[1 / 8, -1 / 8], [0.0, 0.0], [-1 / 4, 1 / 4]]]),
        what="dlogits",
        given=GIVEN,
        probably="The probabilities, minus one at the target, divided by the two tokens that "
        "count; the gradient of the ignored token is zero. If you have 0.08333 at [0, 0, 0], they "
        "are divided by three. If you have 0.25 at [0, 0, 0], they are not divided. If you have "
        "-0.25 at [0, 1, 0], the gradients have lost their places.",
    )


@check(Layer.EXAMPLE)
def test_another_ignore(own: Any) -> None:
    """ignore is the caller's: here token 0 is the one left out"""
    targets = np.array([[1, 0, 0]])
    loss, _ = own.next_token_loss(LOGITS.copy(), targets, ignore=0)
    expect.close(
        loss,
        math.log(4 / 3),
        what="The loss",
        given={"logits": LOGITS, "targets": targets, "ignore": 0},
        probably="Compare the targets with the argument ignore, and not with -100.",
    )


@check(Layer.EXAMPLE, points=2)
def test_bits_per_byte(own: Any) -> None:
    """two tokens of one bit each, written in eight bytes"""
    given = {"loss": math.log(2), "tokens": 2, "size": 8}
    expect.close(
        own.bits_per_byte(math.log(2), 2, 8),
        0.25,
        what="bits_per_byte",
        given=given,
        probably="ln 2 nats are 1 bit. Two tokens are 2 bits, over 8 bytes 0.25. If you have "
        "0.1733, these are nats. If you have 1, they are bits a token. If you have 4, tokens and "
        "bytes have changed places. If you have 0.1201, the nats are multiplied by ln 2. If you "
        "have 0.03125, a byte is divided into bits once more.",
    )
    expect.close(
        own.bits_per_byte(1.3, 7, 30),
        1.3 * 7 / 30 / math.log(2),
        what="bits_per_byte",
        given={"loss": 1.3, "tokens": 7, "size": 30},
        probably="All nats together, as bits, over all bytes.",
    )


@check(Layer.EXAMPLE)
def test_refuses_what_cannot_be(own: Any) -> None:
    """no target, shapes that differ, no bytes: ValueError"""
    with expect.raises(ValueError, "every target is ignored", {"targets": np.array([[SKIP] * 3])}):
        own.next_token_loss(LOGITS.copy(), np.array([[SKIP] * 3]))
    with expect.raises(ValueError, "there are three tokens and two targets"):
        own.next_token_loss(LOGITS.copy(), np.array([[1, 0]]))
    with expect.raises(ValueError, "the targets are (3, 2) and the logits (2, 3, 2)"):
        own.next_token_loss(np.zeros((2, 3, 2)), np.zeros((3, 2), int))
    for token in (2, -1):
        with expect.raises(ValueError, f"a target is {token}, and the tokens are 0 and 1"):
            own.next_token_loss(LOGITS.copy(), np.array([[1, SKIP, token]]))
    with expect.raises(ValueError, "the text has no bytes"):
        own.bits_per_byte(1.0, 1, 0)


@check(Layer.RANDOM, points=2)
def test_random(own: Any) -> None:
    """random rows: the mean of -log p over the tokens that count"""
    rng = np.random.default_rng(72)
    for batch, length, vocabulary in ((1, 2, 2), (2, 3, 4), (3, 4, 6)):
        logits = rng.normal(size=(batch, length, vocabulary), scale=2).round(1)
        targets = rng.integers(vocabulary, size=(batch, length))
        targets[rng.random(targets.shape) < 0.4] = SKIP
        targets[0, -1] = 0
        losses = [
            math.log(math.fsum(math.exp(z) for z in logits[b, t])) - logits[b, t, targets[b, t]]
            for b in range(batch)
            for t in range(length)
            if targets[b, t] != SKIP
        ]
        expect.close(
            own.next_token_loss(logits.copy(), targets.copy())[0],
            math.fsum(losses) / len(losses),
            what="The loss",
            given={"logits": logits, "targets": targets},
            probably="The mean runs over all tokens that count, in all rows together.",
        )


@check(Layer.GRADIENTS, points=2)
def test_gradient(own: Any) -> None:
    """the backward pass is the derivative of the forward pass"""
    rng = np.random.default_rng(73)
    for batch, length, vocabulary in ((1, 2, 2), (2, 3, 3)):
        logits = rng.normal(size=(batch, length, vocabulary)).round(1)
        targets = rng.integers(vocabulary, size=(batch, length))
        targets[0, 0] = SKIP
        _, cache = own.next_token_loss(logits.copy(), targets.copy())
        expect.gradient(
            own.next_token_loss_backward(cache),
            of=lambda x, targets=targets: own.next_token_loss(x, targets.copy())[0],
            at=logits,
            what="dlogits",
            given={"logits": logits, "targets": targets},
            probably="This is the derivative of your own forward pass, by differences. An ignored "
            "token has the gradient zero, at its own place.",
        )
