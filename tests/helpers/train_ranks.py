"""Small objectives, and what two processes do with them: equal one, stop together, never wait.

train_ranks.py FOLDER, where each process of a group writes its results; with ``--until-killed``,
one process trains slowly and saves its state there.
"""

import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor, nn

from groundup.lab.errors import GroundUpError
from groundup.train import checkpoint
from groundup.train.checkpoint import saved_states
from groundup.train.config import LoopConfig
from groundup.train.loop import StepMetrics, fit

BROKEN_AT = 4  # the micro-batch, from 0, at which process 1 goes wrong
CONFIG = LoopConfig(steps=20, lr=0.05)
KILLED = LoopConfig(steps=30, lr=0.05)


@dataclass
class Ragged:
    """Squared error on batches of unequal sizes, which differ from process to process.

    The global batch i holds 12 rows of one fixed set; a cut at an uneven place shares them out
    over micro-batches and processes.
    """

    accumulate: int = 1
    coupled: bool = False

    def batch(self, index: int, rank: int, processes: int) -> tuple[Tensor, Tensor]:
        step, part = divmod(index, self.accumulate)
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(12, 4, generator=generator)
        y = torch.randn(12, 2, generator=generator)
        pieces = self.accumulate * processes
        cuts = [0, *(1 + 2 * i for i in range(pieces - 1)), 12]  # 1, 2, 2, …, the rest
        mine = part * processes + rank
        rows = slice(cuts[mine], cuts[mine + 1])
        return x[rows], y[rows]

    def count(self, batch: tuple[Tensor, Tensor]) -> int:
        return len(batch[0])

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return (model(batch[0]) - batch[1]).square().sum()


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


def network(dropout: float = 0.0) -> nn.Sequential:
    torch.manual_seed(7)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 2))


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

    full = OSError("no space left on device")
    try:
        with patch.object(checkpoint, "save", side_effect=full):
            fit(network(), Poisoned(""), LoopConfig(steps=2), None, folder, save_every=1)
    except (OSError, GroundUpError) as error:
        return f"{type(error).__name__}: {error}"
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
    held: BaseException | None = None  # its traceback holds the wrapped model
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


def equal_one(weights: Path) -> None:
    """A run to compare with one process: unequal counts, micro-batches accumulated as well."""
    model = network()
    fit(model, Ragged(2), replace(CONFIG, accumulate=2))
    save_file(model.state_dict(), weights)


def time_box(weights: Path) -> None:
    """A run that ends by the clock."""
    model = network()
    fit(model, Ragged(), LoopConfig(seconds=0.3, lr=0.05))
    save_file(model.state_dict(), weights)


def train_until_killed(folder: Path) -> None:
    """Print each step, slowly."""

    def tell(step: StepMetrics) -> None:
        print(step.step, flush=True)
        time.sleep(0.05)

    fit(network(0.3), Ragged(), KILLED, tell, folder, save_every=3)


def main() -> None:
    folder = Path(sys.argv[1])
    if "--until-killed" in sys.argv:
        train_until_killed(folder)
        return
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    result: dict[str, object] = {
        poison: meet(poison, folder / poison) for poison in ("loss", "gradient")
    }
    result["alone"] = backward_alone()
    ends = {"full": disk_full(folder / "full"), "apart": another_state(folder / "apart")}
    (folder / f"{rank}.json").write_text(json.dumps([result, ends]))
    equal_one(folder / f"{rank}.equal.safetensors")
    time_box(folder / f"{rank}.time.safetensors")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
