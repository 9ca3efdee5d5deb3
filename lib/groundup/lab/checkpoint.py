"""The state of a training run on disk, without pickle: safetensors for tensors, JSON for the rest.

Only what can't be computed again is kept: weights, the optimizer's moments, and the position. The
loop makes batches and random numbers a function of the position, so a resumed run equals the
uninterrupted one bit for bit.
"""

import re
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import Tensor, nn

from groundup.lab.files import atomic_directory, read_json, write_json

KEEP = 2


def save(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int, seconds: float
) -> Path:
    """Write a state, atomically, and delete all but the newest :data:`KEEP`.

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
        write_json(temporary / "position.json", {"step": step, "seconds": seconds})
    for old in states(folder)[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def states(folder: Path) -> list[Path]:
    """The complete states in a folder, oldest first."""
    found = [p for p in folder.glob("step-*") if re.fullmatch(r"step-\d{8}", p.name)]
    return sorted(p for p in found if read_json(p / "position.json"))


def restore(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
    """Load the newest state into a model and its optimizer.

    Returns:
        The step to go on from and the seconds spent so far; (0, 0.0) where there is no state.
    """
    found = states(folder)
    if not found:
        return 0, 0.0
    load_model(model, found[-1] / "weights.safetensors")
    parameters = dict(model.named_parameters())
    for name, value in load_file(found[-1] / "optimizer.safetensors").items():
        parameter, key = name.rsplit("|", 1)
        moved = value.to(parameters[parameter].device)
        optimizer.state[parameters[parameter]][key] = moved
    position = read_json(found[-1] / "position.json")
    return int(position["step"]), float(position["seconds"])
