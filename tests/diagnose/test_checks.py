"""The checks pass a sound encoder and find the fault planted in each broken one."""

from typing import Any

import pytest
import torch
from torch import Tensor

from groundup.diagnose.checks import diagnose
from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.modeling import NeoBERTModel


def sound() -> NeoBERTModel:
    torch.manual_seed(0)
    return NeoBERTModel(
        NeoBERTConfig(
            vocab_size=50,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            initializer_range=0.2,
        )
    )


class IgnoresMask(NeoBERTModel):
    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any) -> Any:
        return super().forward(input_ids, None)


class MixesBatch(NeoBERTModel):
    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any) -> Any:
        output = super().forward(input_ids, attention_mask)
        output.last_hidden_state = output.last_hidden_state - output.last_hidden_state.mean(0)
        return output


class Detached(NeoBERTModel):
    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any) -> Any:
        self.transformer_encoder[0].requires_grad_(False)
        return super().forward(input_ids, attention_mask)


class OneLength(NeoBERTModel):
    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any) -> Any:
        if input_ids.shape[1] < 7:
            raise ValueError("at least 7 tokens")
        return super().forward(input_ids, attention_mask)


def failed(model: NeoBERTModel) -> set[str]:
    return {finding.check for finding in diagnose(model, 50) if not finding.passed}


def test_sound_model_passes_and_is_untouched() -> None:
    model = sound().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert failed(model) == set()
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        (IgnoresMask, "padding"),
        (MixesBatch, "batch"),
        (Detached, "gradients"),
        (OneLength, "shapes"),
    ],
)
def test_planted_fault_is_found(fault: type[NeoBERTModel], check: str) -> None:
    model = fault(sound().config)
    model.load_state_dict(sound().state_dict())
    assert check in failed(model)
