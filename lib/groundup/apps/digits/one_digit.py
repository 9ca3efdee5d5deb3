"""The digit model of the command line: its recipe, its training, its answers."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from groundup.apps.digits.questions import Question
from groundup.apps.session.training import Training, read_notes
from groundup.lab.errors import UserError
from groundup.lab.ranges import require_whole
from groundup.lab.records import runs_directory
from groundup.scratch import checkpoint
from groundup.scratch.activations import softmax
from groundup.scratch.checkpoint import Moments
from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.examples import Examples
from groundup.scratch.fast import FastTrainer
from groundup.scratch.loss import cross_entropy
from groundup.scratch.optim import AdamW
from groundup.scratch.tasks.digits import (
    EOS,
    SIZES,
    VOCABULARY,
    accuracy,
    make_splits,
    parse,
    steps,
)
from groundup.scratch.trainer import OptimizerStep, TrainConfig, predict, train
from groundup.scratch.types import Array

TASK = "digits"
MEASURED = 2_000
"""At most so many validation examples are asked at a measurement."""


@dataclass(frozen=True)
class Recipe:
    """How ``groundup digits train`` trains. The fields are its options.

    Attributes:
        size: of an epoch, see :data:`groundup.scratch.tasks.digits.SIZES`.
        epochs: how many.
        batch_size: examples in a step.
        lr: the peak learning rate.
        arguments: digits in a question.
        seed: of the split, the first weights and the order.
        patience: see :class:`~groundup.apps.session.training.Training`.
        plain: train with the functions the chapters explain, not with their fast twin.
    """

    size: str = "medium"
    epochs: int = 4
    batch_size: int = 64
    lr: float = 2e-3
    arguments: int = 3
    seed: int = 0
    patience: int | None = None
    plain: bool = False

    def __post_init__(self) -> None:
        require_whole(epochs=self.epochs, batch_size=self.batch_size, arguments=self.arguments)
        if self.patience is not None:
            require_whole(patience=self.patience)
        _ = self.config  # refuses what can't be
        if not 2 <= self.arguments <= 5:
            raise ValueError(f"arguments: a question has 2 to 5 digits: got {self.arguments}")
        # Eight in ten of 5 · 10ⁿ inputs are trained on.
        if self.batch_size > (available := 4 * 10**self.arguments):
            raise ValueError(
                f"batch_size: there are {available} inputs to train on: got a batch size of "
                f"{self.batch_size}"
            )

    @property
    def config(self) -> TrainConfig:
        """The same in steps."""
        count = steps(self.size, self.epochs, self.batch_size)
        warmup = min(100, count // 4)
        return TrainConfig(count, self.batch_size, self.lr, warmup=warmup, seed=self.seed)


def checkpoint_path() -> Path:
    """Where the digit model of this folder is kept."""
    return runs_directory() / "digits" / "model.safetensors"


def uses_plain_functions() -> bool:
    """Whether ``GROUNDUP_PLAIN`` asks for plain functions, as a run with a learner's own does."""
    return os.environ.get("GROUNDUP_PLAIN", "0") != "0"


def begin(recipe: Recipe, path: Path) -> tuple[Training[Encoder], Examples]:
    """A training that has not begun, and the test examples, which it never sees."""
    splits = make_splits(np.random.default_rng(recipe.seed), recipe.arguments)
    model = Encoder.create(EncoderConfig(), np.random.default_rng([recipe.seed, 1]))
    config = recipe.config
    optimizer, train_on = _trainer(model, config, recipe.plain or uses_plain_functions())
    validation = splits.validation.take(np.arange(min(len(splits.validation), MEASURED)))

    def measure() -> dict[str, float]:
        logits = predict(model, validation)
        loss, _ = cross_entropy(logits, validation.answers)
        right = float((logits.argmax(axis=-1) == validation.answers).mean())
        return {"loss": loss, "accuracy": right}

    training = Training(
        TASK,
        recipe,
        model,
        config,
        optimizer,
        lambda: train_on(splits.train),
        measure,
        path,
        every=max(20, SIZES[recipe.size] // recipe.batch_size // 4),
        patience=recipe.patience,
    )
    return training, splits.test


def _trainer(
    model: Encoder, config: TrainConfig, plain: bool
) -> tuple[Moments, Callable[[Examples], Iterator[OptimizerStep]]]:
    """An optimizer of a model, and the loop that uses it."""
    if plain:
        optimizer = AdamW(model.params, weight_decay=config.weight_decay)
        return optimizer, lambda data: train(model, data, config, optimizer)
    fast = FastTrainer(model, config.weight_decay, config.clip)
    return fast.optimizer, lambda data: fast.train(data, config)


def train_digits(
    config: TrainConfig, path: Path, on_step: Callable[[OptimizerStep], None]
) -> tuple[Encoder, dict[str, float]]:
    """Train a digit model in one go and keep it, as a stage of the tour does.

    With the plain functions: a learner's, which take their place, are compared step by step.

    Args:
        config: how; its seed also makes the split and the initial weights.
        path: where the checkpoint goes.
        on_step: called after each optimizer step.

    Returns:
        The model, and its accuracy on inputs that were never trained on, by operation.
    """
    splits = make_splits(np.random.default_rng(config.seed))
    model = Encoder.create(EncoderConfig(), np.random.default_rng([config.seed, 1]))
    for step in train(model, splits.train, config):
        on_step(step)
    result = accuracy(model, splits.test)
    checkpoint.save(model, path, {"task": TASK, "test_accuracy": f"{result['all']:.4f}"})
    return model, result


def load_digits(path: Path) -> Encoder:
    """The kept digit model.

    Raises:
        UserError: there is none, it is damaged, or it is a model of something else.
    """
    task = read_notes(path).get("task", TASK)
    if task != TASK:
        raise UserError(f"{path} is a model of {task}, not of {TASK}")
    try:
        return checkpoint.load(path)[0]
    except ValueError as error:
        raise UserError(f"{error}; delete it, or train again: groundup digits train") from error


@dataclass(frozen=True)
class Answer:
    """What the model says, and where it looked.

    Attributes:
        tokens: what was read.
        probabilities: (10,) of each digit.
        attention: (H, T) the last layer's weights where the answer is read, at the first token.
    """

    tokens: list[str]
    probabilities: Array
    attention: Array


def ask(model: Encoder, question: Question, arguments: int = 3) -> Answer:
    """Ask one question.

    Args:
        model: a digit model.
        question: see :func:`groundup.apps.digits.questions.read_question`.
        arguments: digits in the questions that it was trained on.

    Raises:
        UserError: the question is not one the model can read.
    """
    ids = token_ids(question, arguments)
    logits, cache = model.forward(np.array([ids]))
    tokens = ["[EOS]" if i == EOS else VOCABULARY[i] for i in ids]
    return Answer(tokens, softmax(logits[0]), model.attention_maps(cache)[-1][0, :, 0])


def token_ids(question: Question, arguments: int = 3) -> list[int]:
    """What the digit model reads.

    Raises:
        UserError: it has another number of numbers, or one above 9.
    """
    try:
        return parse(str(question), arguments)
    except ValueError as error:
        raise UserError(str(error)) from error
