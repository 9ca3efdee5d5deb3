"""The checks of exercise 7.2, the surprise at what comes next."""

import math
from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

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
        "mean of 0.2877 and 0.6931 is 0.4904. If you have 0.3269, it is divided by three. If you "
        "have 0.9808, it is their sum. If you have 0.7075, it is in bits. If you have 1.02, the "
        "ignored target is taken for token 0.",
    )


@check(Layer.EXAMPLE)
def test_rows_of_unequal_weight(own: Any) -> None:
    """two rows with three tokens and one: each token counts alike"""
    logits = np.log([[[1.0, 3.0]] * 3, [[1.0, 1.0], [1.0, 5.0], [1.0, 5.0]]])
    targets = np.array([[1, 1, 1], [0, SKIP, SKIP]])
    loss, _ = own.next_token_loss(logits, targets)
    expect.close(
        loss,
        (3 * math.log(4 / 3) + math.log(2)) / 4,
        what="The loss",
        given={"logits": logits, "targets": targets},
        probably="Four tokens count, three with 0.2877 and one with 0.6931. If you have 0.4904, it "
        "is the mean of the rows' means, and a token in a short row weighs more.",
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
        "count; the ignored token has no gradient. If you have 0.08333 at [0, 0, 0], it is divided "
        "by three. If you have 0.25 at [0, 0, 0], it is not divided. If you have -0.25 at "
        "[0, 1, 0], the gradients are not at the places of their tokens.",
    )


@check(Layer.EXAMPLE)
def test_another_ignore(own: Any) -> None:
    """ignore is the caller's: here token 0 is the one left out"""
    targets = np.array([[1, 0, 0]])
    loss, cache = own.next_token_loss(LOGITS.copy(), targets, ignore=0)
    expect.close(
        loss,
        math.log(4 / 3),
        what="The loss",
        given={"logits": LOGITS, "targets": targets, "ignore": 0},
        probably="Only the first token counts: the targets are to be compared with the argument "
        "ignore.",
    )
    expect.close(
        own.next_token_loss_backward(cache),
        np.array([[[1 / 4, -1 / 4], [0.0, 0.0], [0.0, 0.0]]]),
        what="dlogits",
        given={"logits": LOGITS, "targets": targets, "ignore": 0},
        probably="Only the first token counts. What was ignored in the forward pass is not in the "
        "arguments of the backward pass: the cache must tell it.",
    )


@check(Layer.EXAMPLE, points=2)
def test_bits_per_byte(own: Any) -> None:
    """two tokens of one bit each, written in ten bytes"""
    given = {"loss": math.log(2), "tokens": 2, "size": 10}
    expect.close(
        own.bits_per_byte(math.log(2), 2, 10),
        0.2,
        what="bits_per_byte",
        given=given,
        probably="ln 2 nats are 1 bit. Two tokens are 2 bits, over 10 bytes 0.2. If you have "
        "0.1386, these are nats. If you have 1, they are bits a token. If you have 5, tokens and "
        "bytes have changed places. If you have 0.09609, the nats are multiplied by ln 2. If you "
        "have 0.025, a byte is divided into bits once more.",
    )


@check(Layer.EXAMPLE)
def test_refuses_what_cannot_be(own: Any) -> None:
    """no target, shapes that differ, no bytes: ValueError"""
    with expect.raises(ValueError, "every target is ignored", {"targets": np.array([[SKIP] * 3])}):
        own.next_token_loss(LOGITS.copy(), np.array([[SKIP] * 3]))
    for targets in (np.array([[1, 0]]), np.array([1, 0, 1]), np.array([[1], [0], [1]])):
        shapes = f"logits are of shape (1, 3, 2) and targets of shape {targets.shape}"
        with expect.raises(ValueError, shapes):
            own.next_token_loss(LOGITS.copy(), targets)
    with expect.raises(ValueError, "the targets are (3, 2) and the logits (2, 3, 2)"):
        own.next_token_loss(np.zeros((2, 3, 2)), np.zeros((3, 2), int))
    for size in (0, -1):
        with expect.raises(ValueError, f"the size of the text is {size}"):
            own.bits_per_byte(1.0, 1, size)


@check(Layer.EXAMPLE)
def test_refuses_what_is_no_token(own: Any) -> None:
    """a target that is no token, and is not ignored, raises ValueError"""
    for wrong, ignore in ((2, SKIP), (-1, SKIP), (-100, 0), (-2, -1)):
        with expect.raises(ValueError, f"a target is {wrong}, of 2 tokens, and ignore is {ignore}"):
            own.next_token_loss(LOGITS.copy(), np.array([[1, wrong, 1]]), ignore)


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
            probably="It is the sum of -log p over all tokens that count, of whatever row, "
            "divided by their number.",
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
            probably="By hand it is, at a token that counts, the softmax minus one at the target, "
            "divided by the number of tokens that count; at the others it is zero.",
        )


@check(Layer.GRADIENTS)
def test_two_passes_at_once(own: Any) -> None:
    """two forward passes, then both backward ones"""
    targets = (TARGETS, np.array([[SKIP, 0, SKIP]]))
    caches = [own.next_token_loss(LOGITS.copy(), each.copy())[1] for each in targets]
    expected = (
        np.array([[[1 / 8, -1 / 8], [0.0, 0.0], [-1 / 4, 1 / 4]]]),
        np.array([[[0.0, 0.0], [-7 / 8, 7 / 8], [0.0, 0.0]]]),
    )
    for each, cache, right in zip(targets, caches, expected, strict=True):
        expect.close(
            own.next_token_loss_backward(cache),
            right,
            what="dlogits",
            given={"logits": LOGITS, "targets": each},
            probably="Two forward passes were made, then the backward passes in the same order. "
            "What a backward pass needs belongs into the cache of its own forward pass.",
        )


@check(Layer.STABILITY)
def test_large_logits(own: Any) -> None:
    """logits of ±10,000 give the exact loss and a finite gradient"""
    logits = np.array([[[10_000.0, 0.0], [-10_000.0, -10_000.0], [5.0, 5.0]]])
    targets = np.array([[1, 0, SKIP]])
    given = {"logits": logits, "targets": targets}
    probably = "exp(10000) is too large for a float, and exp(-10000) is zero, whose logarithm is "
    probably += "an infinity. cross_entropy avoids both."
    with np.errstate(all="ignore"):
        loss, cache = own.next_token_loss(logits.copy(), targets)
        dlogits = own.next_token_loss_backward(cache)
    right = (10_000 + math.log(2)) / 2
    expect.close(loss, right, what="The loss", given=given, probably=probably)
    right = np.array([[[0.5, -0.5], [-0.25, 0.25], [0.0, 0.0]]])
    expect.close(dlogits, right, what="dlogits", given=given, probably=probably)
