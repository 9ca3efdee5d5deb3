"""One training loop, on Accelerate, that every objective plugs into.

It runs in one process or in many (torchrun), on a CPU or on GPUs, and gives the same gradient: the
loss is a sum over items, divided by the number of items of the whole accumulated global batch.
"""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from groundup.lab.errors import UserError, WorkError
from groundup.lab.fingerprint import digest
from groundup.lab.ranges import require_whole
from groundup.lab.seeds import seed_at
from groundup.train import checkpoint
from groundup.train.accelerate_state import preserve_state
from groundup.train.config import LoopConfig
from groundup.train.objective import DescribedObjective, Objective
from groundup.train.optimizer import learning_rate, parameter_groups

Result = TypeVar("Result")


@dataclass(frozen=True)
class StepMetrics:
    """One optimizer step.

    Attributes:
        step: its number, from 1.
        loss: the mean in nats over all processes, before the update.
        lr: the learning rate.
        done: the share of the run that was done before it.
        seconds: since the start of the run.
        gradient_norm: the joint norm of the mean gradient, before clipping.
    """

    step: int
    loss: float
    lr: float
    done: float
    seconds: float
    gradient_norm: float


def fit(
    model: nn.Module,
    objective: Objective,
    config: LoopConfig,
    on_step: Callable[[StepMetrics], None] | None = None,
    checkpoints: Path | None = None,
    save_every: int = 0,
) -> int:
    """Train ``model`` in place.

    At the end the model is in evaluation mode. After an error or an interruption its modules are
    in the modes they were in; either way nothing that the run attached to it is left.

    Args:
        model: any module; only parameters that require a gradient are trained.
        objective: batches and loss.
        config: the recipe.
        on_step: called in process 0 after each step.
        checkpoints: a folder for states to resume from; the run continues from the newest one.
        save_every: steps between two states; 0 writes none.

    Returns:
        The number of optimizer steps taken in all.

    Raises:
        ValueError: accumulation of an objective whose rows see each other, a negative
            ``save_every``, or a model without a parameter to train.
        UserError: the newest state was made with another recipe, model, data or number of
            processes.
        WorkError: the loss, the gradient or the weights are no longer finite, or a step has no item
            to learn from. It is raised in every process at the same step, before the step is taken
            and before anything is saved.
    """
    if objective.coupled and config.accumulate > 1:
        raise ValueError(
            f"{type(objective).__name__} couples the rows of a batch, so accumulate must be 1: "
            f"got {config.accumulate}"
        )
    require_whole(0, save_every=save_every)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(f"no parameter of {type(model).__name__} requires a gradient")
    with preserve_state(model):
        run = _Run(model, objective, config)
        try:
            step = run.train(on_step, checkpoints, save_every)
        finally:
            run.close()
    model.eval()
    return step


class _Run:
    """A model, its optimizer and the group of processes, from :func:`fit` to its end."""

    def __init__(self, model: nn.Module, objective: Objective, config: LoopConfig) -> None:
        self.model, self.objective, self.config = model, objective, config
        use_cpu = not torch.cuda.is_available()
        self.accelerator = Accelerator(cpu=use_cpu, mixed_precision=config.precision)
        model.to(self.accelerator.device).train()
        self.optimizer = torch.optim.AdamW(
            parameter_groups(model, config), lr=config.lr, betas=config.betas, fused=True
        )
        self.wrapped: nn.Module = model
        self.fingerprint: dict[str, Any] = {}

    def train(
        self,
        on_step: Callable[[StepMetrics], None] | None,
        checkpoints: Path | None,
        save_every: int,
    ) -> int:
        """See :func:`fit`."""
        step, elapsed = 0, 0.0
        if checkpoints:
            self.fingerprint = self._fingerprint()
            step, elapsed = self._restore(checkpoints)
        self.wrapped, prepared = self.accelerator.prepare(self.model, self.optimizer)
        prepared.zero_grad()  # gradients that were there before
        start = time.perf_counter() - elapsed
        while (done := self._done(step, start)) < 1:
            lr = learning_rate(done, self.config)
            for group in self.optimizer.param_groups:
                group["lr"] = lr * group["scale"]
            loss, norm = self._gradient(step)
            prepared.step()
            prepared.zero_grad()
            step += 1
            if on_step and self.accelerator.is_main_process:
                on_step(StepMetrics(step, loss, lr, done, time.perf_counter() - start, norm))
            if checkpoints and save_every and step % save_every == 0:
                self._require_finite_weights(step)
                self._save(checkpoints, step, time.perf_counter() - start)
        self._require_finite_weights(step)
        return step

    def close(self) -> None:
        """Take the hooks of DistributedDataParallel off the parameters.

        They would stay as long as something holds the wrapper, such as the traceback of an error,
        and a later backward pass of this process alone would wait for the others.
        """
        if isinstance(self.wrapped, DistributedDataParallel):
            self.wrapped._remove_autograd_hooks()

    def _gradient(self, step: int) -> tuple[float, float]:
        """The mean loss of a step, and its gradient's norm before clipping; both are finite."""
        config, objective, accelerator = self.config, self.objective, self.accelerator
        rank, processes = accelerator.process_index, accelerator.num_processes
        # Random numbers, like batches, depend on the position alone.
        torch.manual_seed(seed_at(config.seed, step, rank))
        first = step * config.accumulate
        batches = [objective.batch(first + i, rank, processes) for i in range(config.accumulate)]
        (items,) = self._sum(sum(objective.count(batch) for batch in batches))
        if not items > 0:
            raise WorkError(f"step {step + 1:,} has no item to learn from: give larger batches")
        total = torch.zeros((), device=accelerator.device)
        for i, batch in enumerate(batches):
            last = i == len(batches) - 1  # processes exchange gradients once, at the last one
            with nullcontext() if last else accelerator.no_sync(self.wrapped):
                # With bf16 Accelerate casts inside the model alone: losses stay in float32.
                loss = objective.loss(self.wrapped, batch)
                # DDP averages over processes; the mean we want is over items.
                accelerator.backward(loss * (processes / items))
            total += loss.detach()
        norm = float(accelerator.clip_grad_norm_(self.wrapped.parameters(), config.clip))
        # Sums over all processes, so that all of them go on or all of them end here.
        summed, broken = self._sum(float(total), not math.isfinite(norm))
        mean = summed / items
        if not math.isfinite(mean) or broken:
            what = f"gradient norm of step {step + 1:,} is {norm}"
            if not math.isfinite(mean):
                what = f"loss of step {step + 1:,} is {mean}"
            raise WorkError(
                f"the training ended after step {step:,}: the {what}. A lower lr may help: it was "
                f"{config.lr:g}"
            )
        return mean, norm

    def _sum(self, *values: float) -> list[float]:
        """The sum of each number over all processes."""
        own = torch.tensor(values, dtype=torch.float64, device=self.accelerator.device)
        sums: list[float] = self.accelerator.reduce(own).tolist()
        return sums

    def _require_finite_weights(self, step: int) -> None:
        trained = [p for p in self.model.parameters() if p.requires_grad]
        (broken,) = self._sum(not all(bool(p.isfinite().all()) for p in trained))
        if broken:
            raise WorkError(
                f"the training ended after step {step:,}: its weights hold NaN or infinity. A "
                f"lower lr may help: it was {self.config.lr:g}"
            )

    def _save(self, folder: Path, step: int, seconds: float) -> None:
        """Process 0 writes; the others wait, and end too if it cannot."""

        def write() -> None:
            if self.accelerator.is_main_process:
                checkpoint.save(folder, self.model, self.optimizer, step, seconds, self.fingerprint)

        self._in_all(write, f"save the state of step {step:,} in {folder}")

    def _restore(self, folder: Path) -> tuple[int, float]:
        """Load the newest state, the same one in every process."""

        def read() -> tuple[int, float]:
            return checkpoint.restore(folder, self.model, self.optimizer, self.fingerprint)

        step, seconds = self._in_all(read, f"take up the state in {folder}")
        first = broadcast(torch.tensor(step, device=self.accelerator.device))
        (differ,) = self._sum(step != int(first))
        if differ:
            raise UserError(
                f"process 0 found step {int(first):,} in {folder}, process "
                f"{self.accelerator.process_index} step {step:,}: it must be one folder for all"
            )
        return step, seconds

    def _in_all(self, work: Callable[[], Result], what: str) -> Result:
        """Do something in every process; if it fails in one, end in all, so that none waits."""
        failure: Exception | None = None
        try:
            result = work()
        except Exception as error:
            failure = error
        (failed,) = self._sum(failure is not None)
        if failure:
            raise failure
        if failed:
            raise WorkError(f"another process could not {what}")
        return result

    def _fingerprint(self) -> dict[str, Any]:
        """All that must stay the same for a resumed run to be the uninterrupted one."""
        processes = self.accelerator.num_processes
        shapes = [
            (name, tuple(p.shape), str(p.dtype), p.requires_grad)
            for name, p in self.model.named_parameters()
        ]
        objective = self.objective
        described = objective.description() if isinstance(objective, DescribedObjective) else {}
        return {
            **asdict(self.config),
            "processes": processes,
            "parameters": digest(shapes),
            **{f"data: {name}": value for name, value in described.items()},
            "first batch": digest(objective.batch(0, 0, processes)),
        }

    def _done(self, step: int, start: float) -> float:
        """Share of the run that is done; the same number in every process."""
        config = self.config
        if config.steps is not None:
            return step / config.steps
        assert config.seconds is not None
        share = (time.perf_counter() - start) / config.seconds
        if self.accelerator.num_processes == 1:
            return share
        shared = torch.tensor(share, device=self.accelerator.device)
        return float(broadcast(shared))
