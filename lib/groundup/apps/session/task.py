"""What a NumPy model is trained for: its recipe, where it is kept, how it is loaded and resumed."""

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

from groundup.apps.session.resumable_training import read_notes, unfinished_path
from groundup.lab.errors import UserError
from groundup.lab.records import runs_directory

Recipe = TypeVar("Recipe")
Model = TypeVar("Model")
Notes = dict[str, str]


@dataclass(frozen=True)
class Task(Generic[Recipe, Model]):
    """One of the models that a command trains.

    Attributes:
        name: what its checkpoints are noted as.
        folder: of the runs, where it is kept.
        command: trains it.
        recipe: the dataclass of how; its defaults are the command's.
        read: reads a checkpoint of it.
    """

    name: str
    folder: str
    command: str
    recipe: type[Recipe]
    read: Callable[[Path], tuple[Model, Notes]]

    @property
    def path(self) -> Path:
        """Where this folder's model is kept."""
        return runs_directory() / self.folder / "model.safetensors"

    def load(self, path: Path | None = None) -> tuple[Model, Notes]:
        """The kept model, and the strings beside its weights.

        Args:
            path: of the checkpoint. None: this folder's.

        Raises:
            UserError: it is missing or damaged, or it is a model of something else.
        """
        path = path or self.path
        task = read_notes(path).get("task", self.name)
        if task != self.name:
            raise UserError(f"{path} is a model of {task}, not of {self.name}")
        try:
            return self.read(path)
        except ValueError as error:
            raise UserError(f"{error}; delete it, or train again: {self.command}") from error

    def choose_recipe(self, given: dict[str, Any], path: Path, resume: bool = False) -> Recipe:
        """How to train: as the options say, or as the unfinished training was begun.

        Args:
            given: the options by field; None where an option was not given.
            path: of the model.
            resume: take up the unfinished training.

        Raises:
            UserError: an option is out of range, there is no unfinished training, or it was begun
                with another value of an option that is given.
        """
        said = {name: value for name, value in given.items() if value is not None}
        if not resume:
            try:
                return self.recipe(**said)
            except ValueError as error:
                raise UserError(str(error)) from error
        kept = unfinished_path(path)
        if not kept.exists():
            raise UserError(f"there is no unfinished training of {path}; train without --resume")
        notes = read_notes(kept)
        if notes.get("task") != self.name:
            task = notes.get("task", "nothing known")
            raise UserError(f"{kept} is a training of {task}, not {self.name}")
        # An option that is newer than the training had its default.
        defaults = {each.name: each.default for each in fields(self.recipe)}  # type: ignore[arg-type]
        begun: dict[str, Any] = defaults | json.loads(notes["recipe"])
        for name, value in said.items():
            if begun[name] != value:
                option = f"--{name.replace('_', '-')}"
                raise UserError(
                    f"the unfinished training has {option} {begun[name]}: got {value}. Leave "
                    f"{option} out to go on, or --resume to start again"
                )
        return self.recipe(**{name: begun[name] for name in defaults})

    def again(self, path: Path) -> str:
        """The command that goes on with a training, without the options of its recipe."""
        return self.command + ("" if path == self.path else f" --output {path}")


def recipe_of(notes: Notes) -> dict[str, Any]:
    """The recipe that a kept model was trained by, field by field; empty if none is noted."""
    recipe: dict[str, Any] = json.loads(notes.get("recipe", "{}"))
    return recipe
