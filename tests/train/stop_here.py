"""Run by test_stopping.py in every process of a group: one of them meets what is not finite.

stop_here.py FOLDER, where each process writes what it met as JSON.
"""

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from groundup.lab.errors import GroundUpError
from groundup.train import checkpoint
from groundup.train.checkpoint import saved_states
from groundup.train.config import LoopConfig
from groundup.train.loop import fit

BROKEN_AT = 4  # the micro-batch, from 0, at which process 1 goes wrong


class Poisoned:
    """Squared error; process 1 meets its poison at one micro-batch, process 0 never does."""

    coupled = False

    def __init__(self, poison: str) -> None:
        self.poison = poison

    def batch(self, index: int, rank: int, processes: int) -> tuple[Tensor, str]:
        x = torch.randn(3, 4, generator=torch.Generator().manual_seed(2 * index + rank))
        return x, self.poison if (index, rank) == (BROKEN_AT, 1) else ""

    def count(self, batch: tuple[Tensor, str]) -> int:
        return len(batch[0])

    def loss(self, model: nn.Module, batch: tuple[Tensor, str]) -> Tensor:
        x, poison = batch
        loss = model(x).square().sum()
        if poison == "loss":
            return loss * torch.inf
        if poison == "gradient":  # √|x| at 0: the value is 0, the slope is not a number
            return loss + (loss - loss.detach()).abs().sqrt()
        return loss


def network() -> nn.Module:
    torch.manual_seed(7)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))


def meet(poison: str, folder: Path) -> dict[str, object]:
    """How a run ends: what was raised, the states there are, the last good weights."""
    model = network()
    config = LoopConfig(steps=6, lr=0.05)
    try:
        fit(model, Poisoned(poison), config, None, folder, save_every=2)
    except GroundUpError as error:
        raised = f"{type(error).__name__}: {error}"
    else:
        raised = "nothing"
    finite = all(bool(p.isfinite().all()) for p in model.parameters())
    return {"raised": raised, "states": [p.name for p in saved_states(folder)], "finite": finite}


def disk_full(folder: Path) -> str:
    """Process 0 cannot write a state, and process 1 does not wait for it."""

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    save, checkpoint.save = checkpoint.save, full
    try:
        fit(network(), Poisoned(""), LoopConfig(steps=2), None, folder, save_every=1)
    except (OSError, GroundUpError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        checkpoint.save = save
    return "nothing"


def another_state(folder: Path) -> str:
    """Process 1 finds no state where process 0 finds one: its folder is on another disk."""
    fit(network(), Poisoned(""), LoopConfig(steps=2), None, folder / "0", save_every=1)
    try:
        fit(network(), Poisoned(""), LoopConfig(steps=2), None, folder / str(dist.get_rank()))
    except GroundUpError as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def backward_alone() -> str:
    """Both processes end between forward and backward; then process 0 goes on by itself."""

    class Interrupted(Poisoned):
        def loss(self, model: nn.Module, batch: tuple[Tensor, str]) -> Tensor:
            super().loss(model, batch)
            raise KeyboardInterrupt

    model = network()
    held = None  # its traceback holds the wrapped model
    try:
        fit(model, Interrupted(""), LoopConfig(steps=1))
    except KeyboardInterrupt as error:
        held = error
    assert held is not None
    if dist.get_rank() == 0:
        model(torch.ones(1, 4)).sum().backward()  # hooks of the group would wait for process 1
        dist.barrier()
    else:
        dist.barrier()
    return "done"


def main() -> None:
    folder = Path(sys.argv[1])
    dist.init_process_group("gloo")
    result = {poison: meet(poison, folder / poison) for poison in ("loss", "gradient")}
    result["alone"] = backward_alone()
    ends = {"full": disk_full(folder / "full"), "apart": another_state(folder / "apart")}
    (folder / f"{dist.get_rank()}.json").write_text(json.dumps([result, ends]))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
