"""Training a model. It yields what happens; the caller records or draws it."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Protocol, Self, TypeVar

import numpy as np

from groundup.scratch.encoder import Encoder
from groundup.scratch.examples import Examples
from groundup.scratch.inputs import require_whole
from groundup.scratch.loss import cross_entropy, cross_entropy_backward
from groundup.scratch.optim import AdamW, clip_by_norm, warmup_cosine
from groundup.scratch.types import Array, IntArray, Params


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained. The defaults are the digit model's. Times are in optimizer steps.

    Attributes:
        steps: how many there are.
        batch_size: examples in a batch.
        lr: the peak learning rate.
        warmup: the steps in which it rises.
        weight_decay: of matrices.
        clip: the highest joint norm of the gradients; infinity for no limit.
        seed: of the order of the examples and of dropout.
        accumulate: batches whose gradients are added up for one step.
    """

    steps: int = 1500
    batch_size: int = 64
    lr: float = 3e-3
    warmup: int = 100
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 0
    accumulate: int = 1

    def __post_init__(self) -> None:
        require_whole(steps=self.steps, batch_size=self.batch_size, accumulate=self.accumulate)
        require_whole(0, warmup=self.warmup, seed=self.seed)
        if not 0 < self.lr < float("inf"):
            raise ValueError(f"lr must be positive and finite: got {self.lr}")
        if not self.clip > 0:
            raise ValueError(f"clip must be positive: got {self.clip}")
        if not 0 <= self.weight_decay < float("inf"):
            raise ValueError(f"weight_decay must be at least 0 and finite: got {self.weight_decay}")


@dataclass(frozen=True)
class OptimizerStep:
    """One optimizer step: its number from 1, loss in nats, learning rate, gradient norm."""

    step: int
    loss: float
    lr: float
    gradient_norm: float


class Dataset(Protocol):
    """What a model is trained on: examples, row by row."""

    def __len__(self) -> int:
        """How many rows there are."""

    def take(self, rows: IntArray, /) -> Self:
        """These rows, in this order."""

    @property
    def counted(self) -> int:
        """How many answers the mean loss of these rows is taken over."""


Model = TypeVar("Model")
Data = TypeVar("Data", bound=Dataset)
Objective = Callable[[Model, Data, np.random.Generator | None], tuple[float, Params]]
"""One forward and one backward pass: the mean loss in nats, and every parameter's gradient."""


def batches(data: Data, batch_size: int, seed: int, start: int = 0) -> Iterator[Data]:
    """Batches without end, epoch by epoch, each epoch in an order of its own.

    Batch number n depends on the seed and on n alone: a run that stopped after n batches goes on
    with ``start=n`` and sees what it would have seen. The last examples of an epoch, when they do
    not fill a batch, are left out of it.

    Args:
        data: what to draw from.
        batch_size: B.
        seed: of the order.
        start: the number of the first batch, from 0.

    Raises:
        ValueError: there are fewer examples than a batch holds, or start is negative.
    """
    if not 1 <= batch_size <= len(data):
        raise ValueError(f"{len(data)} examples do not fill a batch of {batch_size}")
    if start < 0:
        raise ValueError(f"start must not be negative: got {start}")
    whole = len(data) // batch_size
    epoch, first = divmod(start, whole)
    for number in count(epoch):
        order = np.random.default_rng([seed, number]).permutation(len(data))
        for i in range(first, whole):
            yield data.take(order[i * batch_size : (i + 1) * batch_size])
        first = 0


def loss_and_gradients(
    model: Encoder, batch: Examples, rng: np.random.Generator | None = None
) -> tuple[float, Params]:
    """One forward and one backward pass: the mean loss in nats, and every parameter's gradient.

    Args:
        model: the encoder.
        batch: what it reads.
        rng: draws the dropout, if the model has any. None: nothing is dropped.
    """
    logits, cache = model.forward(batch.ids, batch.mask, rng)
    loss, cache_loss = cross_entropy(logits, batch.answers)
    return loss, model.backward(cross_entropy_backward(cache_loss), cache)


def accumulate(
    objective: Objective[Model, Data],
    model: Model,
    parts: Sequence[Data],
    rng: np.random.Generator | None = None,
) -> tuple[float, Params]:
    r"""The mean loss and the gradients of one large batch, from parts that fit into memory.

    Args:
        objective: called as ``objective(model, part, rng)``; gives the part's mean loss over its
            ``counted`` answers, and the gradients by name, in arrays that are its own: it may
            write over them at the next call.
        model: passed on.
        parts: the large batch, cut into pieces of any sizes.
        rng: passed on.

    Returns:
        The loss and the gradients that the whole batch has, in one piece.

    Raises:
        ValueError: no part has an answer to count.

    Derivation:
        With :math:`n_i` answers in part :math:`i` the mean over all is
        :math:`\sum_i \frac{n_i}{\sum_j n_j} \ell_i`, and the gradient of a sum is the sum of the
        gradients. The plain mean of the parts' means would be another number.
    """
    counted = [part for part in parts if part.counted]
    if not counted:
        raise ValueError(f"there is no answer to learn from in {len(parts)} parts")
    total = sum(part.counted for part in counted)
    loss, grads = 0.0, dict[str, Array]()
    for part in counted:
        share = part.counted / total
        part_loss, part_grads = objective(model, part, rng)
        loss += share * part_loss
        for name, gradient in part_grads.items():
            grads[name] = grads[name] + share * gradient if name in grads else share * gradient
    return loss, grads


def train(
    model: Encoder, data: Examples, config: TrainConfig, optimizer: AdamW | None = None
) -> Iterator[OptimizerStep]:
    """Train in place, a :class:`OptimizerStep` at a time, on :func:`batches` of the data.

    Where a run is, its optimizer knows: learning rate, batches and dropout are functions of the
    number of the step. Given the weights and the optimizer that another run had after n steps,
    training goes on with step n + 1, and nothing differs from a run in one piece.

    Raises:
        ValueError: there are fewer examples than a batch holds, or the loss or a gradient is not
            finite.
    """
    optimizer = optimizer or AdamW(model.params, weight_decay=config.weight_decay)
    return optimize(model, data, config, optimizer, loss_and_gradients)


def optimize(
    model: Model,
    data: Data,
    config: TrainConfig,
    optimizer: AdamW,
    objective: Objective[Model, Data],
) -> Iterator[OptimizerStep]:
    """The loop of :func:`train`, for any model and objective.

    Raises:
        ValueError: as :func:`train`; or the loss or a gradient is not finite. The step that met it
            is not taken.
    """
    made = optimizer.step_count
    source = batches(data, config.batch_size, config.seed, start=made * config.accumulate)
    for step in range(made, config.steps):
        rng = np.random.default_rng([config.seed, step])
        parts = list(islice(source, config.accumulate))
        loss, grads = accumulate(objective, model, parts, rng)
        norm = clip_by_norm(grads, config.clip)
        if not math.isfinite(loss):
            raise ValueError(f"the loss is {loss}: the model has diverged")
        lr = warmup_cosine(step, config.steps, config.warmup, config.lr)
        optimizer.step(grads, lr)
        yield OptimizerStep(step + 1, loss, lr, norm)


class EarlyStopping:
    """Ends a run when the validation loss no longer falls, and keeps the best weights.

    Args:
        patience: so many checks in a row without a better loss, and it is time to stop; at least 1.
        least: by how much a loss must be lower to count as better; at least 0.

    Raises:
        ValueError: patience or least is lower than that.

    Attributes:
        best: the lowest validation loss so far.
        params: a copy of the parameters that had it.
        waited: checks since then.
    """

    def __init__(self, patience: int, least: float = 0.0) -> None:
        require_whole(patience=patience)
        if not 0 <= least < float("inf"):
            raise ValueError(f"least must be at least 0 and finite: got {least}")
        self.patience = patience
        self.least = least
        self.best = float("inf")
        self.params: Params = {}
        self.waited = 0

    def update(self, loss: float, params: Params) -> bool:
        """Tell it a validation loss and the parameters that have it. True: stop."""
        if loss < self.best - self.least:
            self.best, self.waited = loss, 0
            self.params = {name: value.copy() for name, value in params.items()}
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, params: Params) -> None:
        """Put the best weights back, in place."""
        for name, value in self.params.items():
            params[name][...] = value


def predict(model: Encoder, data: Examples, batch_size: int = 500) -> Array:
    """Logits (N, C) of all examples, a batch at a time.

    Raises:
        ValueError: there is no example, a batch holds none, or the model has diverged: the
            largest of several NaN would count as an answer.
    """
    if not len(data) or batch_size < 1:
        raise ValueError(
            "predict needs examples and a batch size of at least 1: "
            f"got {len(data)} examples, {batch_size}"
        )
    logits = np.concatenate(
        [
            model.forward(data.ids[i : i + batch_size], data.mask[i : i + batch_size])[0]
            for i in range(0, len(data), batch_size)
        ]
    )
    if not np.isfinite(logits).all():
        raise ValueError("the logits hold NaN or infinity: the model has diverged")
    return logits
