"""Language modelling: rows of text and their targets, the loss in nats, and what it means."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from groundup.scratch.decoder import Decoder
from groundup.scratch.loss import cross_entropy, cross_entropy_backward
from groundup.scratch.optim import AdamW, clip_by_norm, warmup_cosine
from groundup.scratch.trainer import Step, TrainConfig
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


def windows(ids: IntArray, length: int) -> Rows:
    """Cut a long text into rows, one after the other.

    The targets are the same text one token later, across the end of a row too. Both are views:
    a corpus lies in memory once. A rest shorter than a row is left out.

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


def batches(rows: Rows, batch_size: int, seed: int, start: int = 0) -> Iterator[Rows]:
    """Batches without end, epoch by epoch, each epoch in an order of its own.

    Batch number n depends on the seed and on n alone: a run that stopped after n batches goes on
    with ``start=n`` and sees what it would have seen. The last rows of an epoch, when they do not
    fill a batch, are left out of it.

    Args:
        rows: what to draw from, as :func:`windows` or :func:`question_rows` make it.
        batch_size: B.
        seed: of the order.
        start: the number of the first batch, from 0.

    Raises:
        ValueError: there are fewer rows than a batch holds, or start is negative.
    """
    if not 1 <= batch_size <= len(rows) or start < 0:
        raise ValueError(
            f"{len(rows)} rows do not fill a batch of {batch_size}, or start is negative: {start}"
        )
    whole = len(rows) // batch_size
    for epoch in count(start // whole):
        order = np.random.default_rng([seed, epoch]).permutation(len(rows))
        for i in range(start % whole if epoch == start // whole else 0, whole):
            yield rows.take(order[i * batch_size : (i + 1) * batch_size])


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
        ValueError: the text has no bytes.
    """
    if size < 1:
        raise ValueError(f"bits per byte need at least one byte of text: got {size}")
    return loss * tokens / (np.log(2) * size)


def loss_and_gradients(model: Decoder, batch: Rows) -> tuple[float, Params]:
    """One forward and one backward pass: the mean loss in nats, and every parameter's gradient."""
    logits, cache = model.forward(batch.ids, batch.mask)
    loss, cache_loss = next_token_loss(logits, batch.targets)
    return loss, model.backward(next_token_loss_backward(cache_loss), cache)


def train(model: Decoder, rows: Rows, config: TrainConfig) -> Iterator[Step]:
    """Train in place, a :class:`~groundup.scratch.trainer.Step` at a time.

    Raises:
        ValueError: there are fewer rows than a batch holds.
    """
    optimizer = AdamW(
        model.params, weight_decay=config.weight_decay, no_decay=("embedding", "positions")
    )
    source = batches(rows, config.batch_size, config.seed)
    for step, batch in zip(range(config.steps), source, strict=False):
        loss, grads = loss_and_gradients(model, batch)
        norm = clip_by_norm(grads, config.clip)
        lr = warmup_cosine(step, config.steps, config.warmup, config.lr)
        optimizer.step(grads, lr)
        yield Step(step + 1, loss, lr, norm)


def evaluate(model: Decoder, rows: Rows, batch_size: int = 64) -> tuple[float, int]:
    """The loss over all rows together, each counted token alike.

    Returns:
        The loss in nats a token, and how many tokens were counted.
    """
    total, tokens = 0.0, 0
    for i in range(0, len(rows), batch_size):
        part = rows.take(np.arange(i, min(i + batch_size, len(rows))))
        loss, _ = next_token_loss(model.forward(part.ids, part.mask)[0], part.targets)
        counted = int((part.targets != IGNORE).sum())
        total, tokens = total + loss * counted, tokens + counted
    return total / tokens, tokens
