"""A training as it looks in the terminal: its bar, its measurements, how to go on."""

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.text import Text

from groundup.apps.session import figures
from groundup.apps.session.resumable_training import Point, ResumableTraining, unfinished_path
from groundup.lab.console import console, progress_bar
from groundup.lab.hyperlinks import link_paths
from groundup.lab.records import RECORD, Record, runs_directory
from groundup.scratch.trainer import OptimizerStep

_LINES = 9  # measurements that are printed


def run(
    training: ResumableTraining[Any],
    command: str,
    on_step: Callable[[OptimizerStep], None] | None = None,
    on_point: Callable[[Point], None] | None = None,
) -> float:
    """Train with a bar and a line at every few measurements.

    Args:
        training: new or restored.
        command: that goes on with it, without the options of the recipe.
        on_step: called after each step. With it there is no bar: it prints by itself.
        on_point: called after each line.

    Returns:
        The seconds it took.

    Raises:
        KeyboardInterrupt: as it came, after a line that says how to go on.
    """
    total = training.config.steps
    stride = -(-total // training.every // (_LINES - 1)) or 1
    began = time.perf_counter()
    _print_points(training.points[::stride])

    def point_line(point: Point) -> None:
        number = len(training.points) - 1
        if number % stride == 0 or point["step"] == total:
            _print_points([point])
            if on_point:
                on_point(point)

    try:
        if on_step:
            training.run(on_step, point_line)
        else:
            with progress_bar("steps") as bar:

                def show(step: OptimizerStep) -> None:
                    bar.update(step.step / total, f"step {step.step:,}  loss {step.loss:.3f}")

                training.run(show, point_line)
    except KeyboardInterrupt:
        _print(
            f"\nStopped after step {training.optimizer.step_count:,} of {total:,}. "
            f"Go on with: {command} --resume"
        )
        raise
    made = training.optimizer.step_count
    if made < total:
        console.print(
            f"Stopped at step {made:,} of {total:,}: the validation loss did not fall in "
            f"{training.patience} measurements. The weights with the lowest are kept."
        )
    return time.perf_counter() - began


def announce(training: ResumableTraining[Any]) -> None:
    """Say whether a training goes on, or takes the place of one that was not finished."""
    made, total = training.optimizer.step_count, training.config.steps
    if made:
        console.print(f"Going on after step {made:,} of {total:,}.")
    elif unfinished_path(training.path).exists():
        console.print("An unfinished training is replaced; --resume would have gone on with it.")


def close(training: ResumableTraining[Any], seconds: float, results: dict[str, float]) -> None:
    """Keep the model, its curves and its record, and say where."""
    training.finish(results)
    steps = training.optimizer.step_count
    _print(f"{steps:,} steps, {seconds:.1f} s. Kept in {training.path}")
    if figures.installed():
        _print(f"Curves: {figures.draw_training(training)}")
    if find_spec("pyarrow") and training.path.parent.parent == runs_directory():
        _record(training, seconds, results)


def _record(training: ResumableTraining[Any], seconds: float, results: dict[str, float]) -> None:
    """Note the run where ``groundup runs`` finds it; it replaces that of the model before."""
    directory: Path = training.path.parent
    (directory / RECORD).unlink(missing_ok=True)
    record = Record.open(directory)
    for step, loss in enumerate(training.losses, start=1):
        record.add("train", step, loss=loss)
    record.rows[0]["time"] -= seconds  # a run is as long as its rows are apart
    for point in training.points:
        measured = {n: v for n, v in point.items() if n not in ("step", "train_loss")}
        record.add("held out", int(point["step"]), **measured)
    record.add("test", training.optimizer.step_count, **results)
    record.save()


def _print_points(points: list[Point]) -> None:
    for point in points:
        words = [f"  step {int(point['step']):6,}", f"held-out loss {point['loss']:7.4f}"]
        if "train_loss" in point:
            words.insert(1, f"loss {point['train_loss']:7.4f}")
        else:
            words.insert(1, " " * len("loss 0.0000 "))
        if "accuracy" in point:
            words.append(f"right {point['accuracy']:6.1%}")
        if "perplexity" in point:
            words.append(f"perplexity {point['perplexity']:,.2f}")
        console.print("  ".join(words))


def _print(line: str) -> None:
    console.print(link_paths(Text(line)), soft_wrap=True)  # a path or a command is one to copy
