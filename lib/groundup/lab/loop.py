"""One training loop, on Accelerate, that every objective plugs into.

It runs in one process or in many (torchrun), on a CPU or on GPUs, and gives the same gradient: the
loss is a sum over items, divided by the number of items of the whole accumulated global batch.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast
from torch import Tensor, nn

from groundup.lab import checkpoint


class Objective(Protocol):
    """What is trained: batches as a function of position, and a loss that is a sum.

    Attributes:
        coupled: the rows of a batch see each other (contrastive losses). Accumulating micro-batches
            would then be another loss, and the loop refuses it.
    """

    coupled: bool

    def batch(self, index: int, rank: int, processes: int) -> Any:
        """Micro-batch ``index`` of this process. It depends on the arguments alone, so a resumed
        run goes on exactly where the first one stopped."""
        ...

    def count(self, batch: Any) -> int:
        """How many items the loss of this batch sums over."""
        ...

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """The summed loss in nats, a scalar. Call ``model`` itself, not a method of it."""
        ...


@dataclass(frozen=True)
class LoopConfig:
    """How to train. Give ``steps`` or ``seconds``.

    Attributes:
        steps: optimizer steps.
        seconds: a time box instead; the schedule then follows the clock of process 0.
        lr: peak learning rate.
        lr_scale: factors on lr by a prefix of the parameter's name; the longest prefix counts.
        warmup: share of the run in which the rate rises to its peak.
        floor: the last rate, as a share of lr; half a cosine leads there.
        weight_decay: for matrices; vectors and what ``no_decay`` names do not decay.
        no_decay: prefixes of names that do not decay.
        betas: of AdamW.
        clip: largest joint norm of the gradient.
        accumulate: micro-batches an optimizer step.
        precision: "no" (float32) or "bf16".
        seed: of torch's generator, with the step and the process's rank.
    """

    steps: int | None = None
    seconds: float | None = None
    lr: float = 1e-3
    lr_scale: dict[str, float] = field(default_factory=dict)
    warmup: float = 0.1
    floor: float = 0.0
    weight_decay: float = 0.0
    no_decay: tuple[str, ...] = ()
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0
    accumulate: int = 1
    precision: str = "no"
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.seconds is None):
            raise ValueError(f"give steps or seconds: got {self.steps} and {self.seconds}")
        if self.accumulate < 1:
            raise ValueError(f"accumulate must be at least 1: got {self.accumulate}")


@dataclass(frozen=True)
class Step:
    """One optimizer step: number from 1, mean loss in nats over all processes, learning rate,
    share of the run that is done, seconds since the start."""

    step: int
    loss: float
    lr: float
    done: float
    seconds: float


def schedule(done: float, config: LoopConfig) -> float:
    """Learning rate when a share of the run is done: a straight rise, then half a cosine."""
    if done < config.warmup:
        return config.lr * done / config.warmup
    fall = min((done - config.warmup) / max(1 - config.warmup, 1e-9), 1.0)
    cosine = 0.5 * (1 + float(torch.cos(torch.tensor(fall * torch.pi))))
    return config.lr * (config.floor + (1 - config.floor) * cosine)


def parameter_groups(model: nn.Module, config: LoopConfig) -> list[dict[str, Any]]:
    """Trainable parameters by rate and decay; each group carries its ``scale`` on the rate."""
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        prefixes = [p for p in config.lr_scale if name.startswith(p)]
        scale = config.lr_scale[max(prefixes, key=len)] if prefixes else 1.0
        decays = parameter.dim() > 1 and not name.startswith(config.no_decay)
        decay = config.weight_decay if decays else 0.0
        group = groups.setdefault(
            (scale, decay), {"params": [], "scale": scale, "weight_decay": decay}
        )
        group["params"].append(parameter)
    return list(groups.values())


def fit(
    model: nn.Module,
    objective: Objective,
    config: LoopConfig,
    on_step: Callable[[Step], None] | None = None,
    checkpoints: Path | None = None,
    save_every: int = 0,
) -> int:
    """Train ``model`` in place.

    Args:
        model: any module; only parameters that require a gradient are trained.
        objective: batches and loss.
        config: the recipe.
        on_step: called in process 0 after each step.
        checkpoints: a folder for states to resume from; the newest one there is taken up.
        save_every: steps between two states; 0 writes none.

    Returns:
        The number of optimizer steps taken in all.

    Raises:
        ValueError: accumulation of an objective whose rows see each other.
    """
    if objective.coupled and config.accumulate > 1:
        raise ValueError(
            f"{type(objective).__name__} couples the rows of a batch, so accumulate must be 1: "
            f"got {config.accumulate}"
        )
    use_cpu = not torch.cuda.is_available()
    AcceleratorState._reset_state()  # it remembers the last run's precision and refuses another
    accelerator = Accelerator(cpu=use_cpu, mixed_precision=config.precision)
    rank, processes = accelerator.process_index, accelerator.num_processes
    model.to(accelerator.device).train()
    optimizer = torch.optim.AdamW(
        parameter_groups(model, config), lr=config.lr, betas=config.betas, fused=True
    )
    step, elapsed = checkpoint.restore(checkpoints, model, optimizer) if checkpoints else (0, 0.0)
    wrapped, prepared = accelerator.prepare(model, optimizer)

    start = time.perf_counter() - elapsed
    while (done := _done(step, start, config, accelerator)) < 1:
        # Random numbers, like batches, depend on the position alone.
        torch.manual_seed(hash((config.seed, step, rank)))
        lr = schedule(done, config)
        for group in optimizer.param_groups:
            group["lr"] = lr * group["scale"]
        first = step * config.accumulate
        batches = [objective.batch(first + i, rank, processes) for i in range(config.accumulate)]
        counts = torch.tensor(float(sum(objective.count(batch) for batch in batches)))
        items = accelerator.reduce(counts.to(accelerator.device)).clamp(min=1)
        total = torch.zeros((), device=accelerator.device)
        for i, batch in enumerate(batches):
            last = i == len(batches) - 1  # processes exchange gradients once, at the last one
            with nullcontext() if last else accelerator.no_sync(wrapped):
                # With bf16 Accelerate casts inside the model alone: losses stay in float32.
                loss = objective.loss(wrapped, batch)
                # DDP averages over processes; the mean we want is over items.
                accelerator.backward(loss * (processes / items))
            total += loss.detach()
        accelerator.clip_grad_norm_(wrapped.parameters(), config.clip)
        prepared.step()
        prepared.zero_grad()
        step += 1
        mean = accelerator.reduce(total) / items
        if on_step and accelerator.is_main_process:
            seconds = time.perf_counter() - start
            on_step(Step(step, float(mean), lr, done, seconds))
        if checkpoints and save_every and step % save_every == 0:
            if accelerator.is_main_process:
                checkpoint.save(checkpoints, model, optimizer, step, time.perf_counter() - start)
            accelerator.wait_for_everyone()
    # What Accelerate put there, to cast and to skip a model it has seen: the next run begins anew.
    for name in ("forward", "_original_forward", "_is_accelerate_prepared"):
        vars(model).pop(name, None)
    model.eval()
    return step


def _done(step: int, start: float, config: LoopConfig, accelerator: Accelerator) -> float:
    """Share of the run that is done; every process must hear the same number."""
    if config.steps is not None:
        return step / config.steps
    assert config.seconds is not None
    share = (time.perf_counter() - start) / config.seconds
    if accelerator.num_processes == 1:
        return share
    told = torch.tensor(share, device=accelerator.device)
    return float(broadcast(told))
