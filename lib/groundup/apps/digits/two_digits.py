"""The two-digit model of the command line: a decoder that writes its answer digit by digit."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from groundup.apps.digits.questions import Question
from groundup.apps.session.training import Training, read_notes
from groundup.lab.errors import UserError
from groundup.lab.ranges import require_whole
from groundup.lab.records import runs_directory
from groundup.scratch import checkpoint, language
from groundup.scratch.activations import softmax
from groundup.scratch.decoder import Decoder
from groundup.scratch.tasks.digits import EOS, OPERATIONS, SIZES, VOCABULARY
from groundup.scratch.tasks.two_digits import (
    MODEL,
    TRAINING,
    Questions,
    exact_match,
    make_splits,
    prompt,
)
from groundup.scratch.trainer import TrainConfig
from groundup.scratch.types import Array

TASK = "two-digit numbers"
_MEASURED = 200  # validation questions that are answered at a measurement


@dataclass(frozen=True)
class Recipe:
    """How ``groundup digits train --two-digit`` trains. The fields are its options.

    Attributes:
        size: questions that are drawn, eight in ten of them to train on; see
            :data:`groundup.scratch.tasks.digits.SIZES`.
        epochs: passes over the training part.
        batch_size: questions in a step.
        lr: the peak learning rate.
        arguments: numbers in a question.
        seed: of the split, the first weights and the order.
        patience: see :class:`~groundup.apps.session.training.Training`.
    """

    size: str = "medium"
    epochs: int = TRAINING.steps * TRAINING.batch_size // (SIZES["medium"] * 8 // 10)
    batch_size: int = TRAINING.batch_size
    lr: float = TRAINING.lr
    arguments: int = 3
    seed: int = 0
    patience: int | None = None

    def __post_init__(self) -> None:
        require_whole(epochs=self.epochs, batch_size=self.batch_size, arguments=self.arguments)
        if self.patience is not None:
            require_whole(patience=self.patience)
        if self.size not in SIZES:
            raise ValueError(f"size must be {', '.join(SIZES)}: got {self.size!r}")
        if not 2 <= self.arguments <= 5:
            raise ValueError(f"arguments: a question has 2 to 5 numbers: got {self.arguments}")
        if self.batch_size > self.rows:
            raise ValueError(
                f"batch_size: {self.rows} questions do not fill a batch of {self.batch_size}"
            )
        _ = self.config  # refuses what can't be

    @property
    def rows(self) -> int:
        """Questions to train on."""
        return SIZES[self.size] * 8 // 10

    @property
    def config(self) -> TrainConfig:
        """The same in steps."""
        count = self.rows * self.epochs // self.batch_size
        return replace(
            TRAINING,
            steps=count,
            batch_size=self.batch_size,
            lr=self.lr,
            warmup=min(TRAINING.warmup, count // 4),
            seed=self.seed,
        )


def checkpoint_path() -> Path:
    """Where the two-digit model of this folder is kept."""
    return runs_directory() / "two-digits" / "model.safetensors"


def begin(recipe: Recipe, path: Path) -> tuple[Training[Decoder], Questions]:
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

    training = Training(
        TASK,
        recipe,
        model,
        config,
        optimizer,
        lambda: language.train(model, rows, config, optimizer),
        measure,
        path,
        every=max(20, config.steps // 40),
        patience=recipe.patience,
    )
    return training, splits.test


def load(path: Path) -> Decoder:
    """The kept two-digit model.

    Raises:
        UserError: there is none, it is damaged, or it is a model of something else.
    """
    task = read_notes(path).get("task")
    if task != TASK:
        raise UserError(f"{path} is a model of {task}, not of {TASK}")
    try:
        return checkpoint.load_decoder(path)[0]
    except ValueError as error:
        raise UserError(f"{error}; train again: groundup digits train --two-digit") from error


@dataclass(frozen=True)
class Written:
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


def ask(model: Decoder, question: Question, arguments: int = 3) -> list[Written]:
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
    written: list[Written] = []
    while len(written) < 3:
        logits, cache = model.forward(np.array([ids]))
        probabilities = softmax(logits[0, -1])
        best = int(probabilities.argmax())
        weights = model.attention_maps(cache)[-1][0, :, -1]
        read = [VOCABULARY[i] for i in ids]
        written.append(Written(VOCABULARY[best], probabilities, read, weights))
        ids = [*ids, best]
        if best == EOS:
            break
    return written
