"""The digit model at the command line: train it, keep it, ask it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from groundup.lab.errors import UserError
from groundup.lab.records import runs_directory
from groundup.scratch import checkpoint
from groundup.scratch.activations import softmax
from groundup.scratch.digits import EOS, VOCABULARY, make_splits, parse
from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.trainer import Step, TrainConfig, accuracy, train
from groundup.scratch.types import Array


def checkpoint_path() -> Path:
    """Where the digit model of this folder is kept."""
    return runs_directory() / "digits" / "model.safetensors"


def train_digits(
    config: TrainConfig, path: Path, on_step: Callable[[Step], None]
) -> tuple[Encoder, dict[str, float]]:
    """Train a digit model and keep it.

    Args:
        config: the recipe; its seed also makes the split and the initial weights.
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
    checkpoint.save(model, path, {"test_accuracy": f"{result['all']:.4f}"})
    return model, result


def load_digits(path: Path) -> Encoder:
    """The kept digit model.

    Raises:
        UserError: the file is damaged.
    """
    try:
        return checkpoint.load(path)[0]
    except ValueError as error:
        raise UserError(f"{error}; delete it, or train again: groundup digits train") from error


def ask(model: Encoder, question: str) -> tuple[Array, list[str], Array]:
    """Ask one question.

    Args:
        model: a digit model.
        question: such as ``"Max ( 5 3 9 )"``.

    Returns:
        The probability of each digit (10,); the tokens that were read; and how much the answer's
        position looked at each of them in the last layer, the mean over heads.

    Raises:
        UserError: the question is not one the model can read.
    """
    try:
        ids = parse(question)
    except ValueError as error:
        raise UserError(str(error)) from error
    logits, cache = model.forward(np.array([ids]))
    weights = model.attention_maps(cache)[-1][0].mean(0)[0]  # the first token's row
    tokens = ["[EOS]" if i == EOS else VOCABULARY[i] for i in ids]
    return softmax(logits[0]), tokens, weights
