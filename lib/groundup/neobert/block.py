"""NeoBERT's block, and the forms of its parts that the 2017 transformer had."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from .attention import attention, split_qkv
from .backends import eager
from .batch_layout import Packed
from .configuration import NeoBERTConfig
from .cpu_kernels import split_rotated
from .norm import RMSNorm
from .rope import rope_tables
from .swiglu import silu_gate


class BranchOutput(nn.Linear):
    """The map at the end of a branch, whose result is added to the residual stream."""


class SwiGLU(nn.Module):
    """w3(silu(gate) · value), where w12 gives the gate first, then the value (Shazeer, 2020)."""

    def __init__(self, config: NeoBERTConfig) -> None:
        super().__init__()
        self.w12 = nn.Linear(config.hidden_size, 2 * config.swiglu_size, bias=False)
        self.w3 = BranchOutput(config.swiglu_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.w3(silu_gate(self.w12(x)))
        return y


class GELU(nn.Module):
    """w3(gelu(w1 x)): two matrices, each half as large again as one of SwiGLU's three."""

    def __init__(self, config: NeoBERTConfig) -> None:
        super().__init__()
        self.w1 = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.w3 = BranchOutput(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.w3(F.gelu(self.w1(x)))
        return y


def make_norm(config: NeoBERTConfig) -> nn.Module:
    """A norm of the width of the residual stream."""
    kind = RMSNorm if config.norm_type == "rms_norm" else nn.LayerNorm
    return kind(config.hidden_size, config.norm_eps)


def rotation(
    config: NeoBERTConfig, positions: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor] | None:
    """The rotary tables that all layers share; None where positions are a learned table.

    Args:
        config: of the model.
        positions: (T,) the place of each token in its own sequence; or (B, T) where rows differ.
        dtype: of the residual stream.

    Returns:
        cos and sin, each (T, K/2), or (B, 1, T, K/2).
    """
    if config.position_embedding_type != "rotary":
        return None
    assert config.head_dim is not None
    precise = positions.to(torch.promote_types(dtype, torch.float32))
    flat = precise.flatten()
    cos, sin = rope_tables(flat, config.head_dim, config.rope_theta, config.rope_scale)
    if positions.dim() == 1:
        return cos, sin
    shape = (len(positions), 1, positions.shape[1], -1)
    return cos.view(shape), sin.view(shape)


class NeoBERTLayer(GradientCheckpointingLayer):
    """x += wo(attention(norm(x))), then x += ffn(norm(x)). No biases in the published form.

    Where transformers has switched activation checkpointing on for a block, it keeps its input
    alone in training, and its base class runs ``forward`` once more in the backward pass.
    """

    def __init__(self, config: NeoBERTConfig, index: int = 0) -> None:
        super().__init__()
        assert config.head_dim is not None
        self.config = config
        self.heads = config.num_attention_heads
        self.window = config.window(index)
        inner = self.heads * config.head_dim
        self.attention_norm = make_norm(config)
        self.qkv = nn.Linear(config.hidden_size, config.qkv_size, bias=False)
        self.wo = BranchOutput(inner, config.hidden_size, bias=False)
        self.ffn_norm = make_norm(config)
        self.ffn: nn.Module = SwiGLU(config) if config.hidden_act == "swiglu" else GELU(config)

    def forward(
        self,
        x: Tensor,
        rotation: tuple[Tensor, Tensor] | None,
        packed: Packed | None = None,
        need_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Run the block: two branches, each of which is added to the residual stream.

        Its parts are attention_norm, ffn_norm and ffn, and _mix(x, rotation, packed, need_weights),
        which is attention from qkv to wo and gives (B, T, D) and the weights. norm_position in
        self.config says whether norms stand before the branches or after the sums.

        Args:
            x: (B, T, D).
            rotation: cos and sin, (T, K/2) each, of the tokens' positions. None: no rotation.
            packed: sequences of unequal length lie end to end in a batch of one.
            need_weights: mix by the written formula, and return its weights.

        Returns:
            (B, T, D); and the attention weights, (B, H, T, T), or in rows of their own (S, H, M, M)
            for a pack of S sequences up to M long, or None.
        """
        if self.config.norm_position == "post":
            mixed, weights = self._mix(x, rotation, packed, need_weights)
            x = self.attention_norm(x + mixed)
            return self.ffn_norm(x + self.ffn(x)), weights
        mixed, weights = self._mix(self.attention_norm(x), rotation, packed, need_weights)
        x = x + mixed
        return x + self.ffn(self.ffn_norm(x)), weights

    def _mix(
        self,
        x: Tensor,
        rotation: tuple[Tensor, Tensor] | None,
        packed: Packed | None,
        need_weights: bool,
    ) -> tuple[Tensor, Tensor | None]:
        if rotation is None:
            q, k, v = split_qkv(self.qkv(x), self.heads)
        else:
            q, k, v = split_rotated(self.qkv(x), self.heads, *rotation)
        if need_weights:
            mixed, weights = eager(q, k, v, packed, self.window, causal=False)
            return self.wo(mixed.flatten(2)), weights
        backend = self.config._attn_implementation or "auto"
        mixed = attention(q, k, v, packed, window=self.window, backend=backend)
        return self.wo(mixed), None
