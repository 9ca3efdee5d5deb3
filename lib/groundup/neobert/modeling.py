"""NeoBERT (Le Breton et al., 2025, arXiv 2502.19587) for transformers, with the published keys.

This file and its siblings import nothing but each other, torch and transformers: transformers
copies exactly such files beside saved weights.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput

from .attention import attention, split_qkv
from .configuration import NeoBERTConfig
from .norm import RMSNorm
from .rope import rope_tables, rotate_pairs


def pad_tokens(rows: Tensor, places: Tensor, shape: torch.Size) -> Tensor:
    """Put rows (N, E) at their places of a (B, T, E) tensor of zeros; ``shape`` is (B, T)."""
    padded = rows.new_zeros(shape.numel(), rows.shape[-1])
    return padded.index_copy(0, places, rows).view(*shape, -1)


class BranchOutput(nn.Linear):
    """The map at the end of a branch, whose result is added to the residual stream."""


class SwiGLU(nn.Module):
    """w3(silu(gate) · value), where w12 gives the gate first, then the value (Shazeer, 2020)."""

    def __init__(self, config: NeoBERTConfig) -> None:
        super().__init__()
        self.w12 = nn.Linear(config.hidden_size, 2 * config.swiglu_size, bias=False)
        self.w3 = BranchOutput(config.swiglu_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.w12(x).chunk(2, dim=-1)
        y: Tensor = self.w3(F.silu(gate) * value)
        return y


class NeoBERTLayer(nn.Module):
    """x += wo(attention(norm(x))), then x += ffn(norm(x)). No biases anywhere."""

    def __init__(self, config: NeoBERTConfig) -> None:
        super().__init__()
        assert config.head_dim is not None
        self.heads = config.num_attention_heads
        inner = self.heads * config.head_dim
        self.attention_norm = RMSNorm(config.hidden_size, config.norm_eps)
        self.qkv = nn.Linear(config.hidden_size, 3 * inner, bias=False)
        self.wo = BranchOutput(inner, config.hidden_size, bias=False)
        self.ffn_norm = RMSNorm(config.hidden_size, config.norm_eps)
        self.ffn = SwiGLU(config)

    def forward(
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        mask: Tensor | None = None,
        places: Tensor | None = None,
    ) -> Tensor:
        """Run the block.

        Args:
            x: (B, T, D); or, with ``places``, the N real tokens alone, (N, D).
            cos: (T, K/2), sin: (T, K/2), the rotary tables.
            mask: (B, T) bool, True at real tokens.
            places: (N,) where the real tokens stand in the flattened mask. Everything but the
                mixing itself then leaves padding out.

        Returns:
            The shape of x.
        """
        qkv = self.qkv(self.attention_norm(x))
        if places is not None:
            assert mask is not None
            qkv = pad_tokens(qkv, places, mask.shape)
        q, k, v = split_qkv(qkv, self.heads)
        q, k = rotate_pairs(q, cos, sin), rotate_pairs(k, cos, sin)
        mixed = attention(q, k, v, mask)
        if places is not None:
            mixed = mixed.flatten(0, 1)[places]
        x = x + self.wo(mixed)
        y: Tensor = x + self.ffn(self.ffn_norm(x))
        return y


class NeoBERTPreTrainedModel(PreTrainedModel):
    """What all NeoBERT classes share: the configuration, the initialisation, the name's prefix."""

    config_class = NeoBERTConfig
    base_model_prefix = "model"
    _no_split_modules = ["NeoBERTLayer"]  # noqa: RUF012 (transformers' own form)

    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        """Save the weights, the configuration and this code, as transformers does.

        transformers notes the saved class alone in ``auto_map``. AutoModel, and with it
        sentence-transformers, must find the encoder in the directory of any class.
        """
        module = NeoBERTModel.__module__.rsplit(".", 1)[-1]
        self.config.auto_map = {"AutoModel": f"{module}.{NeoBERTModel.__name__}"}
        super().save_pretrained(*args, **kwargs)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        config = self.config
        if isinstance(module, nn.RMSNorm):
            init.ones_(module.weight)
        elif isinstance(module, nn.Embedding):
            if config.embedding_std is None:
                init.uniform_(module.weight, -config.initializer_range, config.initializer_range)
            else:
                init.normal_(module.weight, 0.0, config.embedding_std)
        elif isinstance(module, nn.Linear):
            ends_branch = isinstance(module, BranchOutput)
            limit = 0.0 if ends_branch and config.zero_residual else config.initializer_range
            init.uniform_(module.weight, -limit, limit)
            if module.bias is not None:
                init.zeros_(module.bias)


class NeoBERTModel(NeoBERTPreTrainedModel):
    """The encoder: token ids to one vector a token."""

    def __init__(self, config: NeoBERTConfig) -> None:
        super().__init__(config)
        self.encoder: nn.Module = nn.Embedding(config.vocab_size, config.hidden_size)
        self.transformer_encoder = nn.ModuleList(
            NeoBERTLayer(config) for _ in range(config.num_hidden_layers)
        )
        self.layer_norm = RMSNorm(config.hidden_size, config.norm_eps)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The token embedding; published as ``encoder``."""
        return self.encoder

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embedding."""
        self.encoder = value

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: object
    ) -> BaseModelOutput:
        """Run the encoder.

        Args:
            input_ids: (B, T) token ids.
            attention_mask: (B, T), nonzero at real tokens. None: nothing is padded.

        Returns:
            ``last_hidden_state`` (B, T, D), after the final norm; zeros where the mask is zero.

        Raises:
            ValueError: the sequence is too long, or the mask has another shape than the ids.
        """
        length = input_ids.shape[1]
        if length > self.config.max_length:
            raise ValueError(f"at most max_length={self.config.max_length} tokens: got {length}")
        mask = places = None
        if attention_mask is not None:
            if attention_mask.shape != input_ids.shape:
                raise ValueError(
                    f"attention_mask must be (B, T) = {tuple(input_ids.shape)}: "
                    f"got {tuple(attention_mask.shape)}"
                )
            mask = attention_mask.bool()
            places = mask.flatten().nonzero().squeeze(1)
            input_ids = input_ids.flatten()[places]
        x = self.encoder(input_ids)  # (B, T, D), or (N, D) of the real tokens
        cos, sin = rope_tables(
            length, self.config.head_dim, self.config.rope_theta, x.device, x.dtype
        )
        for layer in self.transformer_encoder:
            x = layer(x, cos, sin, mask, places)
        x = self.layer_norm(x)
        if places is not None:
            assert mask is not None
            x = pad_tokens(x, places, mask.shape)
        return BaseModelOutput(last_hidden_state=x)


class NeoBERTForMaskedLM(NeoBERTPreTrainedModel):
    """The encoder with a linear map to the vocabulary; embedding and decoder are not tied."""

    def __init__(self, config: NeoBERTConfig) -> None:
        super().__init__(config)
        self.model = NeoBERTModel(config)
        self.decoder: nn.Module = nn.Linear(config.hidden_size, config.vocab_size)
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        """The map to the vocabulary."""
        return self.decoder

    def set_output_embeddings(self, value: nn.Module) -> None:
        """Replace the map to the vocabulary."""
        self.decoder = value

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **_: object,
    ) -> MaskedLMOutput:
        """Predict every token.

        Args:
            input_ids: (B, T).
            attention_mask: (B, T), nonzero at real tokens.
            labels: (B, T) the right tokens, −100 where none is asked for.
            num_items_in_batch: what the summed loss is divided by, for accumulated batches.
                None: the number of labelled tokens, at least 1.

        Returns:
            ``logits`` (B, T, V); with labels also ``loss``, the cross-entropy in nats over the
            labelled tokens. With labels and ``config.sparse_prediction``, logits are computed for
            the labelled tokens alone, (N, V): at 20% masking that leaves out four fifths of the
            model's largest matrix product.
        """
        hidden = self.model(input_ids, attention_mask).last_hidden_state
        if labels is None:
            return MaskedLMOutput(logits=self.decoder(hidden))
        if self.config.sparse_prediction:
            chosen = labels != -100
            hidden, labels = hidden[chosen], labels[chosen]
        logits = self.decoder(hidden)
        total = F.cross_entropy(
            logits.flatten(0, -2), labels.flatten(), ignore_index=-100, reduction="sum"
        )
        if num_items_in_batch is None:
            num_items_in_batch = (labels != -100).sum().clamp(min=1)
        return MaskedLMOutput(loss=total / num_items_in_batch, logits=logits)


NeoBERTConfig.register_for_auto_class()
NeoBERTModel.register_for_auto_class("AutoModel")
NeoBERTForMaskedLM.register_for_auto_class("AutoModelForMaskedLM")
