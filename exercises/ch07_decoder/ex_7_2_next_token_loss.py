# Stub fa1008c8265b: yours to edit. It is never written over unasked.
"""Exercise 7.2, Surprise: nats a token, bits a byte.

Write the body of ``next_token_loss``, ``next_token_loss_backward`` and ``bits_per_byte``, then run
``groundup check 7.2``.
"""

import numpy as np

from groundup.scratch.language import IGNORE
from groundup.scratch.loss import cross_entropy, cross_entropy_backward
from groundup.scratch.types import Array, Cache, IntArray


def next_token_loss(logits: Array, targets: IntArray, ignore: int = IGNORE) -> tuple[float, Cache]:
    """Mean surprise, in nats, at the tokens that came next.

    Args:
        logits: (B, T, V).
        targets: (B, T) token ids in [0, V), or ``ignore``.
        ignore: the target that is not counted.

    Returns:
        The loss in nats a token, and the cache :func:`next_token_loss_backward` needs.

    Raises:
        ValueError: the shapes differ, every target is ignored, or a target is no token.
    """
    raise NotImplementedError("7.2")


def next_token_loss_backward(cache: Cache) -> Array:
    """Gradient of :func:`next_token_loss`.

    Returns:
        dlogits (B, T, V), zero where the target was ignored.
    """
    raise NotImplementedError("7.2")


def bits_per_byte(loss: float, tokens: int, size: int) -> float:
    """Bits to write down a byte of the text, given the model: comparable across tokenizers.

    Args:
        loss: nats a token.
        tokens: how many tokens the loss is the mean of.
        size: how many bytes of text these tokens stand for.

    Raises:
        ValueError: the size is below 1, that of a text without bytes.
    """
    raise NotImplementedError("7.2")
