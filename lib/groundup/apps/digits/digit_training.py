"""The digit models in the terminal: how they train, and how good they are."""

import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rich.text import Text

from groundup.apps.digits import digit_model, step_by_step, two_digit_model
from groundup.apps.digits.recipes import TwoDigitRecipe
from groundup.apps.session import training_display
from groundup.apps.session.resumable_training import Point, ResumableTraining
from groundup.lab.console import console
from groundup.scratch.analysis import confusion, overfitting_warning
from groundup.scratch.decoder import Decoder
from groundup.scratch.encoder import Encoder
from groundup.scratch.examples import Examples
from groundup.scratch.tasks.digits import VOCABULARY, accuracy
from groundup.scratch.tasks.two_digits import exact_match
from groundup.scratch.trainer import predict

_DIGITS = "0123456789"
_TRIED = 5  # steps that are timed before a long training begins


def train(
    given: dict[str, Any], path: Path | None, resume: bool = False, question: str | None = None
) -> None:
    """Train the digit model, keep it, and say how good it is on inputs it never saw.

    Args:
        given: fields of :class:`~groundup.apps.digits.recipes.DigitRecipe`; None: not given.
        path: of the model. None: this folder's.
        resume: go on with the unfinished training.
        question: show what it changes for this question, step by step.
    """
    path = path or digit_model.TASK.path
    recipe = digit_model.TASK.choose_recipe(given, path, resume)
    training, test = digit_model.begin(recipe, path)
    if resume:
        training.restore()
    config = recipe.config
    plain = digit_model.uses_plain_functions() or recipe.plain
    console.print(
        f"Training the digit model: NumPy, every gradient by hand.\n"
        f"{_epochs(recipe.epochs)} of the {recipe.size} size, {config.steps:,} steps of "
        f"{config.batch_size}, {'plain functions' if plain else 'the fast step'}."
    )
    training_display.announce(training)
    show = None if question is None else step_by_step.begin(training, question, recipe)
    seconds = training_display.run(training, digit_model.TASK.again(path), show)
    result = accuracy(training.model, test)
    console.print(_shares(result, "inputs never seen in training"))
    for line in describe_mistakes(training.model, test):
        console.print(Text(line))
    _warn(training.points)
    training_display.close(training, seconds, result)


def train_two_digit(given: dict[str, Any], path: Path | None, resume: bool = False) -> None:
    """The same for the model of two-digit numbers, which says first how long it will take."""
    path = path or two_digit_model.TASK.path
    recipe = two_digit_model.TASK.choose_recipe(given, path, resume)
    training, test = two_digit_model.begin(recipe, path)
    if resume:
        training.restore()
    config = recipe.config
    console.print(
        f"Training the two-digit model: a decoder in NumPy writes its answers digit by digit.\n"
        f"{_epochs(recipe.epochs)} of {recipe.rows:,} questions, {config.steps:,} steps of "
        f"{config.batch_size}: about {_duration(_predict_seconds(recipe, training))} here. "
        "Ctrl-C stops it, --resume goes on."
    )
    training_display.announce(training)
    seconds = training_display.run(training, two_digit_model.TASK.again(path))
    result = exact_match(training.model, test)
    console.print(_shares(result, "questions never seen in training"))
    _warn(training.points)
    training_display.close(training, seconds, result)


def describe_mistakes(model: Encoder, data: Examples, most: int = 5) -> list[str]:
    """Lines that say which digits were taken for which, and an example of each."""
    answers = predict(model, data).argmax(axis=-1)
    counts = confusion(data.answers, answers, len(_DIGITS))
    np.fill_diagonal(counts, 0)
    if not counts.any():
        return [f"No mistake in {len(data):,} questions."]
    lines = [f"{counts.sum():,} mistakes in {len(data):,} questions, the most frequent:"]
    for place in counts.ravel().argsort(kind="stable")[::-1][:most]:
        right, said = divmod(int(place), len(_DIGITS))
        if counts[right, said]:
            row = int(((data.answers == right) & (answers == said)).argmax())
            text = " ".join(VOCABULARY[i] for i in data.ids[row][:-1])
            lines.append(f"  {counts[right, said]:4,} × {said} for {right}, as in {text}")
    return lines


def _warn(points: Sequence[Point]) -> None:
    pairs = [(p["train_loss"], p["loss"]) for p in points if "train_loss" in p]
    train_losses, held_out = ([pair[i] for pair in pairs] for i in (0, 1))
    warning = overfitting_warning(train_losses, held_out)
    if warning:
        console.print(Text(f"{warning} --patience N ends a run there."))


def _shares(result: dict[str, float], of: str) -> str:
    shares = ", ".join(f"{name} {share:.1%}" for name, share in result.items() if name != "all")
    return f"Right on {result['all']:.1%} of {of} ({shares})."


def _predict_seconds(recipe: TwoDigitRecipe, training: ResumableTraining[Decoder]) -> float:
    """The seconds that are left, from a few steps of a model that is thrown away."""
    trial, _ = two_digit_model.begin(recipe, training.path)
    steps = trial.steps()
    next(steps)  # the first one warms up
    began = time.perf_counter()
    tried = list(islice(steps, _TRIED))
    seconds = time.perf_counter() - began
    left = training.config.steps - training.optimizer.step_count
    return seconds / max(len(tried), 1) * left


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count:,} epochs"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"
