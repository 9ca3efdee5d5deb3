"""The configuration of the training loop."""

import math
from dataclasses import dataclass, field

from groundup.lab.ranges import (
    require_choice,
    require_number,
    require_positive,
    require_share,
    require_whole,
)

PRECISIONS = ("no", "bf16")


@dataclass(frozen=True)
class LoopConfig:
    """How to train. Give ``steps`` or ``seconds``.

    Attributes:
        steps: optimizer steps, at least 1.
        seconds: a time box instead; the schedule then follows the clock of process 0.
        lr: peak learning rate.
        lr_scale: factors on lr by a prefix of the parameter's name; the longest prefix counts.
        warmup: share of the run in which the rate rises to its peak.
        floor: the last rate, as a share of lr; half a cosine leads there.
        weight_decay: for matrices; vectors and what ``no_decay`` names do not decay.
        no_decay: prefixes of names that do not decay.
        betas: of AdamW.
        clip: largest joint norm of the gradient; infinity for no limit.
        accumulate: micro-batches an optimizer step.
        precision: "no" (float32) or "bf16". There is no fp16: its range is so small that steps
            whose gradient is infinite are normal, and this loop ends at the first.
        seed: of torch's generator, with the step and the process's rank.

    Raises:
        ValueError: a value that cannot be, with its name and what is allowed.
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
        if self.steps is not None:
            require_whole(steps=self.steps)
        if self.seconds is not None:
            require_positive(seconds=self.seconds)
        require_positive(lr=self.lr)
        if self.clip != math.inf:
            require_positive(clip=self.clip)
        require_number("weight_decay", self.weight_decay, 0)
        require_share(warmup=self.warmup, floor=self.floor)
        for prefix, scale in self.lr_scale.items():
            require_number(f"lr_scale[{prefix!r}]", scale, 0)
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be two numbers from 0 to below 1: got {self.betas}")
        require_whole(accumulate=self.accumulate)
        require_whole(0, seed=self.seed)
        require_choice(PRECISIONS, precision=self.precision)
