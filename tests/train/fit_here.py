"""A small training run, for test_loop.py: alone, in a group, stopped, resumed.

fit_here.py WEIGHTS [--steps N] [--accumulate N] [--checkpoints FOLDER] [--slow]
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from groundup.train.config import LoopConfig
from groundup.train.loop import StepMetrics, fit


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


def network(dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(7)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 2))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("weights", type=Path)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--checkpoints", type=Path)
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--seconds", type=float)
    given = parser.parse_args()

    def tell(step: StepMetrics) -> None:
        print(step.step, flush=True)
        if given.slow:
            time.sleep(0.05)

    steps = None if given.seconds else given.steps
    config = LoopConfig(steps=steps, seconds=given.seconds, lr=0.05, accumulate=given.accumulate)
    model = network(given.dropout)
    fit(model, Ragged(given.accumulate), config, tell, given.checkpoints, 3)
    if torch.distributed.is_initialized():
        rank = torch.distributed.get_rank()
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
        if rank:
            save_file(model.state_dict(), given.weights.with_suffix(".other"))
            return
    save_file(model.state_dict(), given.weights)


if __name__ == "__main__":
    main()
