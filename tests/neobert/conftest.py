"""Small models, with random weights away from their initial values, and their gradients."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.modeling import NeoBERTForMaskedLM

SHAPE: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 64,
    "max_length": 32,
}


def build_config(kind: type[NeoBERTConfig] = NeoBERTConfig, **changes: Any) -> NeoBERTConfig:
    return kind(**{**SHAPE, **changes})


def build_model(
    kind: Any = NeoBERTForMaskedLM,
    *,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    noise: float = 0.2,
    **changes: Any,
) -> Any:
    torch.manual_seed(seed)
    made = kind(build_config(kind.config_class, **changes)).to(dtype).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(noise * torch.randn_like(parameter))
    return made


def take_gradients(net: nn.Module) -> dict[str, Tensor]:
    taken = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
    assert len(taken) == len(list(net.parameters()))
    net.zero_grad()
    return taken


@pytest.fixture(scope="session")
def small() -> Callable[..., NeoBERTConfig]:
    """Makes a small configuration, with changes by name."""
    return build_config


@pytest.fixture(scope="session")
def model() -> Callable[..., Any]:
    """Makes a small model in evaluation mode; a file may narrow it by a fixture of this name."""
    return build_model


@pytest.fixture(scope="session")
def gradients() -> Callable[[nn.Module], dict[str, Tensor]]:
    """Takes the gradients of all parameters by name, and clears them."""
    return take_gradients
