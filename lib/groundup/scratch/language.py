"""Language modelling: rows of text and their targets, the loss in nats, and what it means."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from groundup.scratch.decoder import Decoder
from groundup.scratch.loss import cross_entropy, cross_entropy_backward
from groundup.scratch.optim import AdamW
from groundup.scratch.trainer import OptimizerStep, TrainConfig, optimize
from groundup.scratch.types import Array, BoolArray, Cache, IntArray, Params

IGNORE = -100
"""A target that is not counted: padding, or a token that was given. PyTorch's choice too."""


@dataclass(frozen=True)
class Rows:
    """Sequences and what comes next in them.

    Attributes:
        ids: (N, T) token ids.
        targets: (N, T) the token after each one, or :data:`IGNORE`.
        mask: (N, T), True at real tokens. None: no padding.
    """

    ids: IntArray
    targets: IntArray
    mask: BoolArray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: IntArray) -> "Rows":
        """These rows, in this order."""
        mask = None if self.mask is None else self.mask[rows]
        return Rows(self.ids[rows], self.targets[rows], mask)

    @property
    def counted(self) -> int:
        """How many targets are not ignored."""
        return int((self.targets != IGNORE).sum())


def windows(ids: IntArray, length: int) -> Rows:
    """Cut a long text into rows, one after the other.

    The targets are the same text one token later, across the end of a row too. Both are views:
    a corpus is in memory once. A rest shorter than a row is left out.

    Args:
        ids: (N,) the tokens of the text.
        length: T, the tokens of a row.

    Raises:
        ValueError: the text does not fill a row and its last target.
    """
    if ids.ndim != 1 or length < 1 or len(ids) <= length:
        raise ValueError(
            f"rows of {length} tokens need a text (N,) of at least {length + 1}: got shape "
            f"{ids.shape}"
        )
    used = (len(ids) - 1) // length * length
    return Rows(ids[:used].reshape(-1, length), ids[1 : used + 1].reshape(-1, length))


def question_rows(
    questions: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], pad: int = 0
) -> Rows:
    """Questions with their answers behind them, padded; only the answers are targets.

    Args:
        questions: the token ids of each question, at least one.
        answers: the token ids of each answer, an end token included if one is to be learned.
        pad: the id that fills the rows up, on the right.

    Returns:
        One row a question. The last token of the question has the first of the answer as its
        target; the last of the answer is a target only, so a row is a token shorter than the two.

    Raises:
        ValueError: there is no question, one is empty, or they are not as many as answers.
    """
    if not questions or len(questions) != len(answers) or not all([*questions, *answers]):
        raise ValueError(
            "question_rows takes at least one question and an answer to each, none of them empty: "
            f"got {len(questions)} questions, {len(answers)} answers"
        )
    lengths = [len(q) + len(a) - 1 for q, a in zip(questions, answers, strict=True)]
    ids = np.full((len(questions), max(lengths)), pad)
    targets = np.full(ids.shape, IGNORE)
    for i, (q, a) in enumerate(zip(questions, answers, strict=True)):
        ids[i, : lengths[i]] = [*q, *a[:-1]]
        targets[i, len(q) - 1 : lengths[i]] = a
    return Rows(ids, targets, np.arange(ids.shape[1]) < np.array(lengths)[:, None])


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
    if logits.shape[:-1] != targets.shape:
        raise ValueError(
            f"next_token_loss takes logits (B, T, V) and targets (B, T): got {logits.shape} and "
            f"{targets.shape}"
        )
    kept = targets != ignore
    if not kept.any():
        raise ValueError(f"next_token_loss needs a target: all {targets.size} are {ignore}")
    loss, cache = cross_entropy(logits[kept], targets[kept])
    return loss, (cache, kept, logits.shape)


def next_token_loss_backward(cache: Cache) -> Array:
    """Gradient of :func:`next_token_loss`.

    Returns:
        dlogits (B, T, V), zero where the target was ignored.
    """
    cache_loss, kept, shape = cache
    counted = cross_entropy_backward(cache_loss)
    dlogits = np.zeros(shape, counted.dtype)
    dlogits[kept] = counted
    return dlogits


def perplexity(loss: float) -> float:
    """exp(loss): between how many equally likely tokens the model seems to choose.

    Args:
        loss: nats a token.
    """
    return float(np.exp(loss))


def bits_per_byte(loss: float, tokens: int, size: int) -> float:
    """Bits to write down a byte of the text, given the model: comparable across tokenizers.

    Args:
        loss: nats a token.
        tokens: how many tokens the loss is the mean of.
        size: how many bytes of text these tokens stand for.

    Raises:
        ValueError: the size is below 1, that of a text without bytes.
    """
    if size < 1:
        raise ValueError(f"bits per byte need at least one byte of text: got {size}")
    return loss * tokens / (np.log(2) * size)


def loss_and_gradients(
    model: Decoder, batch: Rows, rng: np.random.Generator | None = None
) -> tuple[float, Params]:
    """One forward and one backward pass: the mean loss in nats, and every parameter's gradient.

    Args:
        model: the decoder.
        batch: what it reads.
        rng: not used: a decoder has no dropout.
    """
    logits, cache = model.forward(batch.ids, batch.mask)
    loss, cache_loss = next_token_loss(logits, batch.targets)
    return loss, model.backward(next_token_loss_backward(cache_loss), cache)


def optimizer_of(model: Decoder, config: TrainConfig) -> AdamW:
    """The optimizer of :func:`train`: neither table of vectors decays, words and positions."""
    return AdamW(
        model.params, weight_decay=config.weight_decay, no_decay=("embedding", "positions")
    )


def train(
    model: Decoder, rows: Rows, config: TrainConfig, optimizer: AdamW | None = None
) -> Iterator[OptimizerStep]:
    """Train in place, as :func:`groundup.scratch.trainer.train` does.

    Raises:
        ValueError: there are fewer rows than a batch holds.
    """
    optimizer = optimizer or optimizer_of(model, config)
    return optimize(model, rows, config, optimizer, loss_and_gradients)


def evaluate(model: Decoder, rows: Rows, batch_size: int = 64) -> tuple[float, int]:
    """The loss over all rows together, each counted token alike.

    Returns:
        The loss in nats a token, and how many tokens were counted.

    Raises:
        ValueError: no target counts.
    """
    total, tokens = 0.0, 0
    for i in range(0, len(rows), batch_size):
        part = rows.take(np.arange(i, min(i + batch_size, len(rows))))
        if not part.counted:
            continue
        loss, _ = next_token_loss(model.forward(part.ids, part.mask)[0], part.targets)
        total, tokens = total + loss * part.counted, tokens + part.counted
    if not tokens:
        raise ValueError(f"there is nothing to evaluate: no target of {len(rows)} rows counts")
    return total / tokens, tokens
