"""A NumPy training that is kept on disk: stopped at any moment, it goes on as if never stopped."""

import json
import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Generic, NoReturn, TypeVar

import numpy as np

from groundup.lab.errors import UserError, WorkError
from groundup.lab.ranges import require_whole
from groundup.scratch import checkpoint
from groundup.scratch.checkpoint import Moments
from groundup.scratch.decoder import Decoder
from groundup.scratch.encoder import Encoder
from groundup.scratch.trainer import EarlyStopping, OptimizerStep, TrainConfig

Point = dict[str, float]
"""A measurement: ``step``, ``loss`` on held-out data, ``train_loss`` since the one before, more."""

Model = TypeVar("Model", bound=Encoder | Decoder)


def unfinished_path(path: Path) -> Path:
    """Where a training keeps its state until the model at ``path`` is done."""
    return path.with_suffix(".unfinished.safetensors")


def read_notes(path: Path) -> dict[str, str]:
    """The strings that are kept beside the weights.

    Raises:
        UserError: there is no such file, or it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return file.metadata() or {}
    except FileNotFoundError as error:
        raise UserError(f"no checkpoint at {path}") from error
    except OSError as error:  # safetensors names neither the file nor, of a folder, the reason
        reason = "it is a folder" if path.is_dir() else str(error)
        raise UserError(f"{path} can't be read as a checkpoint: {reason}") from error
    except SafetensorError as error:
        raise UserError(
            f"{path} is not a checkpoint of this library: {error}; delete it, or train again"
        ) from error


@dataclass
class ResumableTraining(Generic[Model]):
    """A model, its optimizer, and all that is needed to go on after the process has died.

    Attributes:
        task: what it learns, such as ``"digits"``.
        recipe: the dataclass it was made from.
        model: trained in place.
        config: how many steps there are, and of what.
        optimizer: knows how many steps were made.
        steps: trains from the step that the optimizer has reached.
        measure: ``loss`` on held-out data, and whatever else is worth a curve.
        path: where the finished model goes.
        every: steps between two measurements; each of them writes a checkpoint.
        patience: end after so many measurements without a lower loss, and keep the best weights.
        notes: more strings to keep with the model.
        losses: of each step so far.
        points: the measurements so far; the first is from before the first step.
    """

    task: str
    recipe: Any
    model: Model
    config: TrainConfig
    optimizer: Moments
    steps: Callable[[], Iterator[OptimizerStep]]
    measure: Callable[[], dict[str, float]]
    path: Path
    every: int
    patience: int | None = None
    notes: dict[str, str] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.notes = {"task": self.task, "recipe": json.dumps(asdict(self.recipe)), **self.notes}
        require_whole(every=self.every)
        self._stopping = EarlyStopping(
            self.config.steps if self.patience is None else self.patience
        )
        self._interrupt = Interrupt()

    def restore(self) -> None:
        """Take up the unfinished training: weights, optimizer, curves.

        Raises:
            UserError: its file is damaged.
        """
        path = unfinished_path(self.path)
        load = checkpoint.load if isinstance(self.model, Encoder) else checkpoint.load_decoder
        try:
            model, notes = load(path)
            if model.config != self.model.config:
                raise ValueError(f"{path} is of another model: {model.config}")
            state = checkpoint.load_state(path)
            checkpoint.restore_optimizer(self.optimizer, state)
        except ValueError as error:
            raise UserError(f"{error}; train without --resume") from error
        for name, value in model.params.items():
            self.model.params[name][...] = value
        self.losses = state["losses"].tolist()
        self.points = json.loads(notes["points"])
        best = {n.removeprefix("best."): v for n, v in state.items() if n.startswith("best.")}
        self._stopping.params = best
        self._stopping.best, self._stopping.waited = json.loads(notes["stopping"])

    def run(
        self, on_step: Callable[[OptimizerStep], None], on_point: Callable[[Point], None]
    ) -> None:
        """Train to the end, or until the held-out loss no longer falls.

        A Ctrl-C waits for the end of a step, then the state is written. A killed process loses at
        most the steps since the last measurement, and makes the same ones again.

        Raises:
            KeyboardInterrupt: as it came, after the state was written.
            WorkError: the loss is not finite.
        """
        with self._interrupt, np.errstate(over="ignore", invalid="ignore"):
            if not self.points:
                self._note(on_point, {"step": 0.0})
            for step in self._steps():
                self.losses.append(step.loss)
                if step.step % self.every == 0 or step.step == self.config.steps:
                    since = int(self.points[-1]["step"])
                    recent = float(np.mean(self.losses[since:]))
                    self._note(on_point, {"step": float(step.step), "train_loss": recent})
                try:
                    on_step(step)
                    self._interrupt.check()
                except KeyboardInterrupt:
                    self.save()
                    raise
                if self._patience_is_over():
                    break
        if self.patience:
            self._stopping.restore(self.model.params)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While a listener waits for a key, a Ctrl-C need not wait: no step is under way."""
        self._interrupt.at_once = True
        try:
            yield
        finally:
            self._interrupt.at_once = False

    def save(self) -> None:
        """Write all that :meth:`restore` needs, atomically."""
        state = checkpoint.optimizer_state(self.optimizer)
        state["losses"] = np.array(self.losses)
        state |= {f"best.{name}": value for name, value in self._stopping.params.items()}
        stopping = json.dumps([self._stopping.best, self._stopping.waited])
        notes = {**self.notes, "points": json.dumps(self.points), "stopping": stopping}
        checkpoint.save(self.model, unfinished_path(self.path), notes, state)

    def finish(self, results: dict[str, float]) -> None:
        """Write the model under its name, with what it reached; the training's state goes."""
        notes = {**self.notes, "results": json.dumps(results)}
        checkpoint.save(self.model, self.path, notes)
        unfinished_path(self.path).unlink(missing_ok=True)

    def _note(self, on_point: Callable[[Point], None], point: Point) -> None:
        point |= self.measure()
        self._check(point["loss"])
        self.points.append(point)
        if self.patience and point["step"]:
            self._stopping.update(point["loss"], self.model.params)
        self.save()
        on_point(point)

    def _patience_is_over(self) -> bool:
        return self.patience is not None and self._stopping.waited >= self.patience

    def _steps(self) -> Iterator[OptimizerStep]:
        try:
            for step in () if self._patience_is_over() else self.steps():
                self._check(step.loss)
                yield step
        except ValueError as error:  # from the trainer, which refuses what is not a number
            self._diverged(str(error), error)

    def _check(self, loss: float) -> None:
        if not math.isfinite(loss):
            self._diverged(f"the loss is {loss}")

    def _diverged(self, what: str, cause: Exception | None = None) -> NoReturn:
        unfinished_path(self.path).unlink(missing_ok=True)  # to go on would end the same way
        raise WorkError(
            f"the training ended after step {self.optimizer.step_count:,}: {what}. "
            f"A lower --lr may help: it was {self.config.lr:g}"
        ) from cause


class Interrupt:
    """Ctrl-C, put off until :meth:`check`. A second one does not wait."""

    def __init__(self) -> None:
        self.at_once = False
        self._asked = False
        self._before: Any = None

    def __enter__(self) -> None:
        self._asked = False
        # A process in the background may have been told to ignore it; and only the main thread
        # may say what a signal does.
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGINT)
            if self._before not in (signal.SIG_IGN, None):
                signal.signal(signal.SIGINT, self._heard)

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        self._before = None

    def check(self) -> None:
        """Raise what was put off.

        Raises:
            KeyboardInterrupt: there was a Ctrl-C.
        """
        if self._asked:
            raise KeyboardInterrupt

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self._asked or self.at_once:
            raise KeyboardInterrupt
        self._asked = True
