"""Training the digit model. It yields what happens; the caller records or draws it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np

from groundup.scratch.digits import OPERATIONS, Examples
from groundup.scratch.encoder import Encoder
from groundup.scratch.loss import cross_entropy, cross_entropy_backward
from groundup.scratch.optim import AdamW, clip_by_norm, warmup_cosine
from groundup.scratch.types import Array, Params


@dataclass(frozen=True)
class TrainConfig:
    """How the digit model is trained. Times are in optimizer steps."""

    steps: int = 1500
    batch_size: int = 64
    lr: float = 3e-3
    warmup: int = 100
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Step:
    """One optimizer step: its number from 1, loss in nats, learning rate, gradient norm."""

    step: int
    loss: float
    lr: float
    gradient_norm: float


def batches(data: Examples, batch_size: int, seed: int) -> Iterator[Examples]:
    """Batches without end, epoch by epoch, each epoch in an order of its own.

    The order depends on the seed and the number of the epoch alone. The last examples of an
    epoch, when they do not fill a batch, are left out of it.

    Raises:
        ValueError: there are fewer examples than a batch holds.
    """
    if not 1 <= batch_size <= len(data):
        raise ValueError(f"{len(data)} examples do not fill a batch of {batch_size}")
    for epoch in count():
        order = np.random.default_rng([seed, epoch]).permutation(len(data))
        for start in range(0, len(data) - batch_size + 1, batch_size):
            yield data.take(order[start : start + batch_size])


def loss_and_gradients(model: Encoder, batch: Examples) -> tuple[float, Params]:
    """One forward and one backward pass: the mean loss in nats, and every parameter's gradient."""
    logits, cache = model.forward(batch.ids, batch.mask)
    loss, cache_loss = cross_entropy(logits, batch.answers)
    return loss, model.backward(cross_entropy_backward(cache_loss), cache)


def train(model: Encoder, data: Examples, config: TrainConfig) -> Iterator[Step]:
    """Train in place, a :class:`Step` at a time, on :func:`batches` of the data.

    Raises:
        ValueError: there are fewer examples than a batch holds.
    """
    optimizer = AdamW(model.params, weight_decay=config.weight_decay)
    source = batches(data, config.batch_size, config.seed)
    for step, batch in zip(range(config.steps), source, strict=False):
        loss, grads = loss_and_gradients(model, batch)
        norm = clip_by_norm(grads, config.clip)
        lr = warmup_cosine(step, config.steps, config.warmup, config.lr)
        optimizer.step(grads, lr)
        yield Step(step + 1, loss, lr, norm)


def predict(model: Encoder, data: Examples, batch_size: int = 500) -> Array:
    """Logits (N, C) of all examples, a batch at a time."""
    return np.concatenate(
        [
            model.forward(data.ids[i : i + batch_size], data.mask[i : i + batch_size])[0]
            for i in range(0, len(data), batch_size)
        ]
    )


def accuracy(model: Encoder, data: Examples) -> dict[str, float]:
    """Share of right answers: under ``"all"``, and under each operation's name."""
    right = predict(model, data).argmax(axis=-1) == data.answers
    result = {"all": float(right.mean())}
    for index, name in enumerate(OPERATIONS):
        chosen = data.operations == index
        if chosen.any():
            result[name] = float(right[chosen].mean())
    return result
