"""One training loop for every objective: configuration, checkpoints, many processes."""

from typing import TYPE_CHECKING

from groundup.lab.lazy import attach

__all__ = [
    "DescribedObjective",
    "LoopConfig",
    "Objective",
    "StepMetrics",
    "evaluation_mode",
    "fit",
    "learning_rate",
    "parameter_groups",
    "send_message",
    "torchrun",
]

if TYPE_CHECKING:
    from groundup.train.config import LoopConfig
    from groundup.train.launch import send_message, torchrun
    from groundup.train.loop import StepMetrics, fit
    from groundup.train.module_mode import evaluation_mode
    from groundup.train.objective import DescribedObjective, Objective
    from groundup.train.optimizer import learning_rate, parameter_groups
else:
    __getattr__, __dir__ = attach(__name__)
