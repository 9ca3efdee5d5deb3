"""What the optimizer gets: the learning rate of each step, and groups of parameters."""

from typing import Any

import torch
from torch import nn

from groundup.train.config import LoopConfig


def learning_rate(done: float, config: LoopConfig) -> float:
    """The rate when a share of the run is done: a straight rise, then half a cosine."""
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
