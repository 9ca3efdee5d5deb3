"""What NeoBERT's encoder and decoder share: the base class, and the stack of layers.

This file and its siblings import nothing but each other, torch and transformers: transformers
copies exactly such files beside saved weights.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput

from .batch_layout import BatchLayout, pad_tokens, unpack_attention_weights
from .block import BranchOutput, NeoBERTLayer, make_norm, rotation
from .configuration import NeoBERTConfig
from .dispatch import BACKENDS, import_error


class NeoBERTPreTrainedModel(PreTrainedModel):
    """What all classes here share: the configuration, the initialisation, the keys' prefix."""

    config: NeoBERTConfig
    config_class = NeoBERTConfig
    base_model_prefix = "model"
    encoder_class: ClassVar[type[PreTrainedModel]]  # the one that AutoModel is to find
    supports_gradient_checkpointing = True
    _no_split_modules = ["NeoBERTLayer"]  # noqa: RUF012 (transformers' own form)

    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        """Save the weights, the configuration and this code, as transformers does.

        transformers notes the saved class alone in ``auto_map``. AutoModel, and with it
        sentence-transformers, must find the encoder in the directory of any class.
        """
        module = self.encoder_class.__module__.rsplit(".", 1)[-1]
        self.config.auto_map = {"AutoModel": f"{module}.{self.encoder_class.__name__}"}
        super().save_pretrained(*args, **kwargs)

    def get_correct_attn_implementation(
        self, requested_attention: str | None, is_init_check: bool = False
    ) -> str:
        """The backend by its name in transformers, "varlen", or "auto" where none is asked for.

        A configuration that asks every pass for attention weights gets eager, as transformers'
        own rule for such a configuration wants it.

        Raises:
            ValueError: there is no such backend.
            ImportError: it is not installed.
        """
        if requested_attention is None or requested_attention == "auto":
            return "eager" if self.config.output_attentions else "auto"
        if requested_attention not in BACKENDS:
            raise ValueError(
                f"attn_implementation must be auto, {', '.join(BACKENDS)}: "
                f"got {requested_attention!r}"
            )
        if missing := import_error(requested_attention):
            raise missing
        return requested_attention

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        config = self.config
        if isinstance(module, nn.RMSNorm | nn.LayerNorm):
            init.ones_(module.weight)
            if isinstance(module, nn.LayerNorm):
                init.zeros_(module.bias)
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


class NeoBERTStack(NeoBERTPreTrainedModel):
    """Embedding, layers and final norm, under the published names."""

    def __init__(self, config: NeoBERTConfig) -> None:
        super().__init__(config)
        self.encoder: nn.Module = nn.Embedding(config.vocab_size, config.hidden_size)
        if config.position_embedding_type == "absolute":
            self.positions = nn.Embedding(config.max_length, config.hidden_size)
        self.transformer_encoder = nn.ModuleList(
            NeoBERTLayer(config, index) for index in range(config.num_hidden_layers)
        )
        final = config.norm_position == "pre"  # after a post-norm block there is nothing to norm
        self.layer_norm = make_norm(config) if final else nn.Identity()
        self.gradient_checkpointing = False
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The token embedding; published as ``encoder``."""
        return self.encoder

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embedding."""
        self.encoder = value

    def check_inputs(self, input_ids: Tensor | None, inputs_embeds: Tensor | None) -> Tensor:
        """What is given of the two.

        Raises:
            ValueError: both or neither are, the shape is wrong, or an id is not in the vocabulary.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds")
        if inputs_embeds is not None:
            width = self.config.hidden_size
            given = tuple(inputs_embeds.shape)
            if len(given) != 3 or given[1] == 0 or given[2] != width:
                raise ValueError(
                    f"inputs_embeds must be (B, T, {width}), T at least 1: got {given}"
                )
            return inputs_embeds
        assert input_ids is not None
        if input_ids.dim() != 2 or input_ids.shape[1] == 0:
            raise ValueError(
                f"input_ids must be (B, T), T at least 1: got {tuple(input_ids.shape)}"
            )
        # Elsewhere the check would stop the device, whose own check says that an index is out of
        # range, or the compiler.
        known = input_ids.device.type == "cpu" and not torch.compiler.is_compiling()
        if known and input_ids.numel():
            low, high = (int(end) for end in input_ids.aminmax())
            size = len(self.encoder.weight)  # type: ignore[arg-type]
            if low < 0 or high >= size:
                raise ValueError(
                    f"input_ids must lie in 0 to {size - 1}: got {low if low < 0 else high}"
                )
        return input_ids

    def run(
        self,
        inputs: Tensor,
        layout: BatchLayout,
        output_hidden_states: bool | None,
        output_attentions: bool | None,
    ) -> BaseModelOutput:
        """Run all layers.

        Args:
            inputs: ids (B, T), or embeddings (B, T, D).
            layout: of these tokens.
            output_hidden_states: None: what the configuration says.
            output_attentions: likewise.

        Returns:
            See :meth:`~.modeling.NeoBERTModel.forward`.

        Raises:
            ValueError: attention weights are asked for with both a cache and padding.
        """
        config, shape = self.config, inputs.shape[:2]
        if output_hidden_states is None:
            output_hidden_states = config.output_hidden_states
        if output_attentions is None:
            output_attentions = config.output_attentions
        padding = layout.key_padding_mask
        if output_attentions and padding is not None:
            raise ValueError("output_attentions with padding goes without a cache: use_cache=False")
        if layout.indices is not None:
            inputs = inputs.flatten(0, 1)[layout.indices][None]
        x = inputs if inputs.dim() == 3 else self.encoder(inputs)  # (B, T, D), or (1, N, D) packed
        if config.position_embedding_type == "absolute":
            x = x + self.positions(layout.positions)
        tables = rotation(config, layout.positions, x.dtype)
        states: list[Tensor] = []
        attentions: list[Tensor] = []
        for layer in self.transformer_encoder:
            if output_hidden_states:
                states.append(_padded(x, layout, shape))
            x, weights = layer(x, tables, layout, output_attentions)
            if weights is not None:
                attentions.append(unpack_attention_weights(weights, layout, shape))
        x = _padded(self.layer_norm(x), layout, shape)
        if padding is not None:
            x = x.masked_fill(~padding[:, -shape[1] :, None], 0.0)
        return BaseModelOutput(
            last_hidden_state=x,
            hidden_states=(*states, x) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )


def _padded(x: Tensor, layout: BatchLayout, shape: torch.Size) -> Tensor:
    return x if layout.indices is None else pad_tokens(x[0], layout.indices, shape)
