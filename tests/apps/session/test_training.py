"""A training that is stopped, or killed, ends with the very numbers of one that was not."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from groundup.apps.digits import digit_model, two_digit_model
from groundup.apps.digits.recipes import DigitRecipe, TwoDigitRecipe
from groundup.apps.session.resumable_training import ResumableTraining, read_notes, unfinished_path
from groundup.apps.text import text_model
from groundup.data.lossless_tokenizer import CharacterTokenizer
from groundup.lab.errors import UserError, WorkError
from groundup.scratch.tasks.stories import stories
from groundup.scratch.trainer import OptimizerStep

TINY = DigitRecipe("small", 1, 50, arguments=2)  # 40 steps, measured at 20 and 40


@dataclass
class Stop:
    """Interrupts at a step, as Ctrl-C does."""

    at: int

    def __call__(self, step: OptimizerStep) -> None:
        if step.step == self.at:
            os.kill(os.getpid(), signal.SIGINT)


def nothing(_: Any) -> None:
    pass


def begin(kind: str, path: Path) -> ResumableTraining[Any]:
    if kind == "text":
        story = stories(80, seed=0)
        known = CharacterTokenizer.of(story)
        ids = known.encode(story)
        corpus = text_model.TokenizedText(known, ids[:-3000], ids[-3000:])
        recipe = text_model.TextRecipe(
            width=8, heads=2, layers=1, context=16, steps=24, batch_size=4
        )
        return text_model.begin(recipe, corpus, path)[0]
    if kind == "two-digit":
        return two_digit_model.begin(TwoDigitRecipe("small", 2, 80, seed=1), path)[0]  # 40 steps
    return digit_model.begin(replace(TINY, plain=kind == "plain"), path)[0]


@pytest.mark.parametrize("kind", ["fast", "plain", "two-digit", "text"])
def test_stopped_and_resumed_is_uninterrupted(tmp_path: Path, kind: str) -> None:
    whole = begin(kind, tmp_path / "whole.safetensors")
    whole.run(nothing, nothing)
    stopped = begin(kind, tmp_path / "model.safetensors")
    update = stopped.optimizer.step

    def interrupted(*args: Any) -> None:
        """Ctrl-C in the midst of a step: it is finished first."""
        if stopped.optimizer.step_count == 12:
            os.kill(os.getpid(), signal.SIGINT)
        update(*args)

    stopped.optimizer.step = interrupted
    with pytest.raises(KeyboardInterrupt):
        stopped.run(nothing, nothing)
    assert len(stopped.losses) == 13
    again = begin(kind, tmp_path / "model.safetensors")
    again.restore()
    again.run(nothing, nothing)
    assert again.losses == whole.losses
    assert again.points == whole.points
    for name, value in whole.model.params.items():
        np.testing.assert_array_equal(again.model.params[name], value, err_msg=name)


def test_finish_leaves_the_model_alone(tmp_path: Path) -> None:
    training = begin("fast", tmp_path / "model.safetensors")
    training.run(nothing, nothing)
    assert unfinished_path(training.path).exists()
    training.finish({"all": 0.5})
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    assert not [name for name in load_file(training.path) if name.startswith("state.")]
    assert json.loads(read_notes(training.path)["results"]) == {"all": 0.5}


def test_patience_keeps_the_best_weights_across_a_stop(tmp_path: Path) -> None:
    recipe = replace(TINY, epochs=10, patience=2)
    path = tmp_path / "model.safetensors"

    def patient(stop: int | None) -> ResumableTraining[Any]:
        training, _ = digit_model.begin(recipe, path)
        # The second of these measurements is the best of the first five: it ends at the fourth.
        script = [9.0, 3.0, 1.0, 2.0, 1.5, 0.5]
        training.measure = lambda: {"loss": script[len(training.points)]}
        if stop is not None:
            with pytest.raises(KeyboardInterrupt):
                training.run(Stop(stop), nothing)
            again, _ = digit_model.begin(recipe, path)
            again.measure = lambda: {"loss": script[len(again.points)]}
            again.restore()
            training = again
        training.run(nothing, nothing)
        return training

    whole = patient(None)
    assert [point["step"] for point in whole.points] == [0, 20, 40, 60, 80]
    at_best, _ = digit_model.begin(replace(recipe), path)
    with pytest.raises(KeyboardInterrupt):
        at_best.run(Stop(40), nothing)
    for stop in (None, 50, 80):
        training = whole if stop is None else patient(stop)
        for name, value in at_best.model.params.items():
            np.testing.assert_array_equal(training.model.params[name], value)


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    training, _ = digit_model.begin(replace(TINY, lr=1e30), tmp_path / "model.safetensors")
    with pytest.raises(WorkError, match=r"the loss is nan.*--lr"):
        training.run(nothing, nothing)
    assert list(tmp_path.iterdir()) == []
    training, _ = digit_model.begin(TINY, tmp_path / "model.safetensors")
    training.measure = lambda: {"loss": float("nan" if training.losses else 1)}
    with pytest.raises(WorkError, match="after step 20: the loss is nan"):
        training.run(nothing, nothing)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [DigitRecipe, TwoDigitRecipe, text_model.TextRecipe])
def test_what_cannot_be_is_refused_where_the_recipe_is_made(kind: Any) -> None:
    counts = ("epochs", "batch_size", "steps", "patience", "arguments", "megabytes", "vocabulary")
    shape = ("width", "layers", "heads", "context")
    wrong: dict[str, list[Any]] = {name: [0, -1, 1.5, math.nan] for name in (*counts, *shape)}
    wrong |= {"lr": [0, -1e-3, math.nan, math.inf], "seed": [-1, 0.5]}
    tried = 0
    for field in fields(kind):
        for value in wrong.get(field.name, []):
            with pytest.raises(ValueError, match=rf"{field.name}\b.*got {value}|2 to 5"):
                kind(**{field.name: value})
            tried += 1
    assert tried > 20


def test_a_recipe_goes_on_as_it_began(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(UserError, match="no unfinished training"):
        digit_model.TASK.choose_recipe({}, path, resume=True)
    begin("fast", path).save()
    given = {"lr": None, "size": "small"}
    assert digit_model.TASK.choose_recipe(given, path, resume=True) == TINY
    with pytest.raises(UserError, match=r"--batch-size 50: got 7"):
        digit_model.TASK.choose_recipe({"batch_size": 7}, path, resume=True)
    with pytest.raises(UserError, match="of digits, not text"):
        text_model.TASK.choose_recipe({}, path, resume=True)
    with pytest.raises(UserError, match="size must be"):
        digit_model.TASK.choose_recipe({"size": "huge"}, path, resume=False)
    older, _ = digit_model.begin(TINY, path)  # from before the option seed existed
    older.notes["recipe"] = json.dumps({k: v for k, v in asdict(TINY).items() if k != "seed"})
    older.save()
    again = digit_model.TASK.choose_recipe({}, path, resume=True)
    assert again == replace(TINY, seed=DigitRecipe().seed)
    begin("fast", path).save()
    other, _ = digit_model.begin(TINY, path)
    other.model.config = replace(other.model.config, max_length=9)
    with pytest.raises(UserError, match="of another model"):
        other.restore()
    unfinished_path(path).write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="not a checkpoint of this library"):
        digit_model.TASK.choose_recipe({}, path, resume=True)


def command(path: Path, *more: str) -> list[str]:
    recipe = ["--size", "small", "--epochs", "4", "--plain", "--seed", "3"]
    given = ["--resume"] if more else recipe
    train = ["digits", "train", "--output", str(path), *given]
    return [sys.executable, "-m", "groundup", *train]


def test_killed_and_resumed_at_the_command_line(tmp_path: Path) -> None:
    """``kill -9`` and Ctrl-C: the model is the one that a run in one piece writes."""
    whole, cut = tmp_path / "whole.safetensors", tmp_path / "cut.safetensors"
    subprocess.run(command(whole), check=True, capture_output=True)
    for number in (signal.SIGKILL, signal.SIGINT):
        process = subprocess.Popen(
            command(cut, "--resume") if unfinished_path(cut).exists() else command(cut),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        deadline, wanted = time.time() + 30, number == signal.SIGINT
        while time.time() < deadline:
            if unfinished_path(cut).exists() and len(_points(cut)) >= (4 if wanted else 2):
                break
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert not cut.exists()
        assert not list(tmp_path.glob("*.tmp*")) or number == signal.SIGKILL
        if number == signal.SIGINT:
            assert process.returncode == 130, (out, err)
            assert f"Go on with: groundup digits train --output {cut} --resume" in out
    subprocess.run(command(cut, "--resume"), check=True, capture_output=True)
    assert read_notes(cut) == read_notes(whole)
    ours, theirs = load_file(cut), load_file(whole)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value)


def _points(path: Path) -> list[Any]:
    points: list[Any] = json.loads(read_notes(unfinished_path(path))["points"])
    return points
