"""NeoBERT's block, for encoder and decoder, and the parts of the 2017 transformer for it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from .attention import attention
from .backends import eager
from .batch_layout import BatchLayout
from .configuration import NeoBERTConfig
from .cpu_kernels import split_rotated
from .norm import RMSNorm
from .rope import rope_tables
from .swiglu import silu_gate


class BranchOutput(nn.Linear):
    """The map at the end of a branch, whose result is added to the residual stream."""


class SwiGLUFeedForward(nn.Module):
    """w3(silu(gate) · value), where w12 gives the gate first, then the value (Shazeer, 2020)."""

    def __init__(self, config: NeoBERTConfig) -> None:
        super().__init__()
        self.w12 = nn.Linear(config.hidden_size, 2 * config.swiglu_size, bias=False)
        self.w3 = BranchOutput(config.swiglu_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.w3(silu_gate(self.w12(x)))
        return y


class GELUFeedForward(nn.Module):
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
        positions: (T,) the position of each token in its own sequence; or (B, T) where rows differ.
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

    In a decoder no token attends to a later one, and several heads of queries may share a head of
    keys and values. Where transformers has switched activation checkpointing on for a block, it
    keeps only its input in training, and its base class runs ``forward`` once more in the backward
    pass.
    """

    def __init__(self, config: NeoBERTConfig, index: int = 0) -> None:
        super().__init__()
        assert config.head_dim is not None
        self.config, self.index = config, index
        self.heads, self.groups = config.num_attention_heads, config.groups
        self.window = config.window(index)
        inner = self.heads * config.head_dim
        self.attention_norm = make_norm(config)
        self.qkv = nn.Linear(config.hidden_size, config.qkv_size, bias=False)
        self.wo = BranchOutput(inner, config.hidden_size, bias=False)
        self.ffn_norm = make_norm(config)
        feed_forward = SwiGLUFeedForward if config.hidden_act == "swiglu" else GELUFeedForward
        self.ffn: nn.Module = feed_forward(config)

    def forward(
        self,
        x: Tensor,
        rotation: tuple[Tensor, Tensor] | None,
        layout: BatchLayout | None = None,
        need_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Run the block: two branches, each of which is added to the residual stream.

        Its parts are attention_norm, ffn_norm and ffn, and
        self_attention(x, rotation, layout, need_weights), which is attention from qkv to wo and
        gives (B, T, D) and the weights. norm_position in self.config says whether norms come before
        the branches or after the sums.

        Args:
            x: (B, T, D).
            rotation: cos and sin, (T, K/2) each, of the tokens' positions. None: no rotation.
            layout: the token layout, such as sequences packed end to end in a batch of one. None:
                (B, T) tokens without padding.
            need_weights: mix by the written formula, and return its weights.

        Returns:
            (B, T, D); and the attention weights, (B, H, T, T), or in rows of their own (S, H, M, M)
            for a pack of S sequences up to M long, or None.
        """
        if self.config.norm_position == "post":
            mixed, weights = self.self_attention(x, rotation, layout, need_weights)
            x = self.attention_norm(x + mixed)
            return self.ffn_norm(x + self.ffn(x)), weights
        normal = self.attention_norm(x)
        mixed, weights = self.self_attention(normal, rotation, layout, need_weights)
        x = x + mixed
        return x + self.ffn(self.ffn_norm(x)), weights

    def self_attention(
        self,
        x: Tensor,
        rotation: tuple[Tensor, Tensor] | None,
        layout: BatchLayout | None,
        need_weights: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """The branch from qkv to wo, of the arguments of :meth:`forward`."""
        q, k, v = split_rotated(self.qkv(x), self.heads, rotation, self.groups)
        packed = key_padding_mask = None
        if layout is not None:
            packed, key_padding_mask = layout.packed, layout.key_padding_mask
            if layout.cache is not None:
                k, v = layout.cache.update(k, v, self.index)
        causal = self.config.causal
        if need_weights:
            mixed, weights = eager(q, k, v, packed, self.window, causal)
            return self.wo(mixed.flatten(2)), weights
        more_keys = k.shape[2] > q.shape[2]  # lengths that change with every step: SDPA alone
        mixed = attention(
            *(q, k, v, packed),
            window=self.window,
            causal=causal,
            key_padding_mask=key_padding_mask,
            backend="sdpa" if more_keys else self.config._attn_implementation or "auto",
        )
        return self.wo(mixed), None
