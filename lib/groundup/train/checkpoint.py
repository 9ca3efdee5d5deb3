"""The state of a training run on disk, without pickle: safetensors for tensors, JSON for the rest.

Only what can't be computed again is kept: weights, the optimizer's moments, and the position. The
loop makes batches and random numbers a function of the position, so a resumed run equals the
uninterrupted one bit for bit.
"""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import Tensor, nn

from groundup.lab.errors import UserError
from groundup.lab.files import atomic_directory, read_json, write_json

KEEP = 2


def save(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    seconds: float,
    fingerprint: Mapping[str, Any] | None = None,
) -> Path:
    """Write a state, atomically, and delete all but the newest :data:`KEEP`.

    Args:
        folder: of the states.
        model: its weights and buffers are kept.
        optimizer: of parameters of this model.
        step: optimizer steps taken.
        seconds: the run has taken.
        fingerprint: what a run that resumes must have in common with this one; JSON values by name.

    Returns:
        The directory of this state.
    """
    target = folder / f"step-{step:08d}"
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    moments: dict[str, Tensor] = {}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            moments[f"{names[parameter]}|{key}"] = value.contiguous()
    with atomic_directory(target) as temporary:
        save_model(model, str(temporary / "weights.safetensors"))
        save_file(moments, temporary / "optimizer.safetensors")
        position = {"step": step, "seconds": seconds, "fingerprint": _plain(fingerprint or {})}
        write_json(temporary / "position.json", position)
    for old in saved_states(folder)[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def saved_states(folder: Path) -> list[Path]:
    """The complete states in a folder, oldest first."""
    found = [p for p in folder.glob("step-*") if re.fullmatch(r"step-\d{8}", p.name)]
    return sorted(p for p in found if read_json(p / "position.json"))


def restore(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    fingerprint: Mapping[str, Any] | None = None,
) -> tuple[int, float]:
    """Load the newest state into a model and its optimizer.

    Args:
        folder: of the states.
        model: of the shapes that were saved.
        optimizer: a fresh one of its parameters.
        fingerprint: as for :func:`save`; must equal what the state was saved with.

    Returns:
        The step to go on from and the seconds spent so far; (0, 0.0) where there is no state.

    Raises:
        UserError: the state was made with something else. Model and optimizer are not touched.
    """
    found = saved_states(folder)
    if not found:
        return 0, 0.0
    position = read_json(found[-1] / "position.json")
    _require_same(found[-1], position.get("fingerprint", {}), _plain(fingerprint or {}))
    load_model(model, found[-1] / "weights.safetensors")
    parameters = dict(model.named_parameters())
    for name, value in load_file(found[-1] / "optimizer.safetensors").items():
        parameter, key = name.rsplit("|", 1)
        moved = value.to(parameters[parameter].device)
        optimizer.state[parameters[parameter]][key] = moved
    return int(position["step"]), float(position["seconds"])


def _plain(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they come back from a file: tuples as lists, NumPy's numbers as Python's."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(fingerprint), default=float))
    return plain


def _require_same(state: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    differences = [
        f"{name} was {then.get(name, 'not noted')!r} and is {now.get(name, 'not given')!r}"
        for name in sorted({*then, *now})
        if name not in then or name not in now or then[name] != now[name]
    ]
    if differences:
        raise UserError(
            f"{state} cannot be resumed by this run: {'; '.join(differences)}. Give what it was "
            "made with, or another folder"
        )
