"""The two-digit model of the command line: a decoder that writes its answer digit by digit."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from groundup.apps.digits.questions import Question
from groundup.apps.digits.recipes import TwoDigitRecipe
from groundup.apps.session.resumable_training import ResumableTraining
from groundup.apps.session.task import Task
from groundup.lab.errors import UserError
from groundup.scratch import checkpoint, language
from groundup.scratch.activations import softmax
from groundup.scratch.decoder import Decoder
from groundup.scratch.tasks.digits import EOS, OPERATIONS, SIZES, VOCABULARY
from groundup.scratch.tasks.two_digits import (
    MODEL,
    Questions,
    exact_match,
    make_splits,
    prompt,
)
from groundup.scratch.types import Array

TASK = Task(
    "two-digit numbers",
    "two-digits",
    "groundup digits train --two-digit",
    TwoDigitRecipe,
    checkpoint.load_decoder,
)
_MEASURED = 200  # validation questions that are answered at a measurement


def begin(recipe: TwoDigitRecipe, path: Path) -> tuple[ResumableTraining[Decoder], Questions]:
    """A training that has not begun, and the test questions, which it never sees.

    Raises:
        UserError: there are not as many different questions.
    """
    try:
        splits = make_splits(
            np.random.default_rng(recipe.seed), SIZES[recipe.size], recipe.arguments
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    model = Decoder.create(MODEL, np.random.default_rng([recipe.seed, 1]))
    config = recipe.config
    optimizer = language.optimizer_of(model, config)
    rows, validation = splits.train.rows(), splits.validation.rows()
    some = splits.validation.take(np.arange(min(len(splits.validation), _MEASURED)))

    def measure() -> dict[str, float]:
        loss, _ = language.evaluate(model, validation, batch_size=500)
        if not np.isfinite(loss):  # nothing can be written; the training says so
            return {"loss": loss}
        return {"loss": loss, "accuracy": exact_match(model, some)["all"]}

    training = ResumableTraining(
        task=TASK.name,
        recipe=recipe,
        model=model,
        config=config,
        optimizer=optimizer,
        steps=lambda: language.train(model, rows, config, optimizer),
        measure=measure,
        path=path,
        every=max(20, config.steps // 40),
        patience=recipe.patience,
    )
    return training, splits.test


@dataclass(frozen=True)
class WrittenToken:
    """One token of an answer.

    Attributes:
        token: what was written, the likeliest one.
        probabilities: (V,) of each token.
        read: the tokens that stood before it.
        attention: (H, T) how much the last of them looked at each, in the last layer.
    """

    token: str
    probabilities: Array
    read: list[str]
    attention: Array


def ask(model: Decoder, question: Question, arguments: int = 3) -> list[WrittenToken]:
    """Ask one question; the answer is written a token at a time, [EOS] included.

    Args:
        model: a two-digit model.
        question: see :func:`groundup.apps.digits.questions.read_question`.
        arguments: numbers in the questions that it was trained on.

    Raises:
        UserError: the question has another number of numbers.
    """
    if len(question.numbers) != arguments:
        example = " ".join(["53", "9", "70", "8", "26"][:arguments])
        raise UserError(
            f"the model answers {', '.join(OPERATIONS)} of {arguments} numbers from 0 to 99, as in "
            f'"Max ( {example} )": got {str(question)!r}'
        )
    ids = prompt(question.operation, question.numbers)
    written: list[WrittenToken] = []
    while len(written) < 3:
        logits, cache = model.forward(np.array([ids]))
        probabilities = softmax(logits[0, -1])
        best = int(probabilities.argmax())
        weights = model.attention_maps(cache)[-1][0, :, -1]
        read = [VOCABULARY[i] for i in ids]
        written.append(WrittenToken(VOCABULARY[best], probabilities, read, weights))
        ids = [*ids, best]
        if best == EOS:
            break
    return written
