"""The digit model of the command line: its training, its answers."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from groundup.apps.digits.questions import Question
from groundup.apps.digits.recipes import DigitRecipe
from groundup.apps.session.resumable_training import ResumableTraining
from groundup.apps.session.task import Task
from groundup.lab.errors import UserError
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
)
from groundup.scratch.trainer import OptimizerStep, TrainConfig, predict, train
from groundup.scratch.types import Array

TASK = Task("digits", "digits", "groundup digits train", DigitRecipe, checkpoint.load)
MEASURED = 2_000
"""At most so many validation examples are asked at a measurement."""


def uses_plain_functions() -> bool:
    """Whether ``GROUNDUP_PLAIN`` asks for plain functions, as a run with a learner's own does."""
    return os.environ.get("GROUNDUP_PLAIN", "0") != "0"


def begin(recipe: DigitRecipe, path: Path) -> tuple[ResumableTraining[Encoder], Examples]:
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

    training = ResumableTraining(
        task=TASK.name,
        recipe=recipe,
        model=model,
        config=config,
        optimizer=optimizer,
        steps=lambda: train_on(splits.train),
        measure=measure,
        path=path,
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
    checkpoint.save(model, path, {"task": TASK.name, "test_accuracy": f"{result['all']:.4f}"})
    return model, result


@dataclass(frozen=True)
class DigitAnswer:
    """What the model says, and where it looked.

    Attributes:
        tokens: what was read.
        probabilities: (10,) of each digit.
        attention: (H, T) the last layer's weights where the answer is read, at the first token.
    """

    tokens: list[str]
    probabilities: Array
    attention: Array


def ask(model: Encoder, question: Question, arguments: int = 3) -> DigitAnswer:
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
    return DigitAnswer(tokens, softmax(logits[0]), model.attention_maps(cache)[-1][0, :, 0])


def token_ids(question: Question, arguments: int = 3) -> list[int]:
    """What the digit model reads.

    Raises:
        UserError: it has another number of numbers, or one above 9.
    """
    try:
        return parse(str(question), arguments)
    except ValueError as error:
        raise UserError(str(error)) from error
