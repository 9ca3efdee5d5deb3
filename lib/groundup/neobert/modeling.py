"""NeoBERT (Le Breton et al., 2025, arXiv 2502.19587) for transformers, with the published keys.

This file and its siblings import nothing but each other, torch and transformers: transformers
copies exactly such files beside saved weights.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput
from transformers.utils.generic import can_return_tuple

from .backends import ENGINES, installed
from .batch_layout import Reading, lay_out, pad_tokens, square
from .block import BranchOutput, NeoBERTLayer, make_norm, rotation
from .configuration import NeoBERTConfig
from .losses import IGNORE, class_labels, token_loss


class NeoBERTPreTrainedModel(PreTrainedModel):
    """What all NeoBERT classes share: the configuration, the initialisation, the name's prefix."""

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
        """The engine by its name in transformers, "varlen", or "auto" where none is asked for.

        A configuration that asks every pass for attention weights gets eager, as transformers'
        own rule for such a configuration wants it.

        Raises:
            ValueError: there is no such engine.
            ImportError: it is not installed.
        """
        if requested_attention is None or requested_attention == "auto":
            return "eager" if self.config.output_attentions else "auto"
        if requested_attention not in ENGINES:
            raise ValueError(
                f"attn_implementation must be auto, {', '.join(ENGINES)}: "
                f"got {requested_attention!r}"
            )
        if missing := installed(requested_attention):
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


class NeoBERTModel(NeoBERTPreTrainedModel):
    """The encoder: token ids to one vector a token."""

    layer_class: ClassVar[type[NeoBERTLayer]] = NeoBERTLayer

    def __init__(self, config: NeoBERTConfig) -> None:
        super().__init__(config)
        self.encoder: nn.Module = nn.Embedding(config.vocab_size, config.hidden_size)
        if config.position_embedding_type == "absolute":
            self.positions = nn.Embedding(config.max_length, config.hidden_size)
        self.transformer_encoder = nn.ModuleList(
            self.layer_class(config, index) for index in range(config.num_hidden_layers)
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

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        inputs_embeds: Tensor | None = None,
        cu_seqlens: Tensor | None = None,
        max_seqlen: int | None = None,
        token_type_ids: Tensor | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
    ) -> BaseModelOutput:
        """Run the encoder.

        Padding is left out at the beginning and put back at the end: a masked token is not there at
        all, wherever it stands in its row, and positions are counted over the real ones.

        Args:
            input_ids: (B, T) token ids; or, with ``cu_seqlens``, (1, N), sequences end to end.
            attention_mask: (B, T) or (B, 1, 1, T), nonzero at real tokens; the form that is added
                to scores, 0 at real tokens and far below 0 at the others, is taken too. None:
                nothing is padded.
            inputs_embeds: (B, T, D) in place of ``input_ids``.
            cu_seqlens: (S + 1,) where each of S sequences begins, and N at last. They do not see
                each other, and positions begin anew in each.
            max_seqlen: with ``cu_seqlens``, the longest length; known where the batch is made, it
                spares fetching it from the device.
            token_type_ids: taken, since tokenizers give them, and not used: there are none.
            output_hidden_states: return the stream before each block, and at last the output.
            output_attentions: return each layer's weights, by the written formula.

        Returns:
            ``last_hidden_state`` (B, T, D), after the final norm; zeros where the mask is zero.
            ``hidden_states``, num_hidden_layers + 1 of that shape: the embeddings first, the output
            last. ``attentions``, num_hidden_layers of (B, H, T, T); zeros at padding.

        Raises:
            ValueError: there are no tokens, they are too many or outside the vocabulary, or a shape
                does not fit.
        """
        ids, embedded = self._inputs(input_ids, inputs_embeds)
        given = embedded if ids is None else ids
        assert given is not None
        shape, device = given.shape[:2], given.device
        wanted = self._wanted(output_hidden_states, output_attentions)
        longest = self.config.max_length
        reading = lay_out(shape, attention_mask, None, cu_seqlens, max_seqlen, longest, device)
        x, states, attentions = self._read(ids, embedded, shape, reading, *wanted)
        return BaseModelOutput(
            last_hidden_state=x,
            hidden_states=(*states, x) if wanted[0] else None,
            attentions=attentions if wanted[1] else None,
        )

    def _wanted(self, hidden_states: bool | None, attentions: bool | None) -> tuple[bool, bool]:
        """Whether hidden states and attention weights are asked for, here or by the config."""
        config = self.config
        return (
            bool(config.output_hidden_states if hidden_states is None else hidden_states),
            bool(config.output_attentions if attentions is None else attentions),
        )

    def _read(
        self,
        ids: Tensor | None,
        embedded: Tensor | None,
        shape: torch.Size,
        reading: Reading,
        need_states: bool,
        need_weights: bool,
    ) -> tuple[Tensor, list[Tensor], tuple[Any, ...]]:
        """Run all layers over tokens that lie as said.

        Returns:
            The output (B, T, D), and where asked for what goes into each layer, likewise, and the
            weights of each, (B, H, T, T).
        """
        packed, places = reading.packed, reading.places
        if places is not None:
            ids = None if ids is None else ids.flatten()[places][None]
            embedded = None if embedded is None else embedded.flatten(0, 1)[places][None]
        x = self.encoder(ids) if embedded is None else embedded  # (B, T, D), or (1, N, D) packed
        if self.config.position_embedding_type == "absolute":
            x = x + self.positions(reading.positions)
        tables = rotation(self.config, reading.positions, x.dtype)
        states: list[Tensor] = []
        attentions: list[Tensor | None] = []
        for layer in self.transformer_encoder:
            if need_states:
                states.append(self._padded(x, places, shape))
            x, weights = layer(x, tables, self._to_layers(reading), need_weights)
            if need_weights:
                attentions.append(square(weights, packed, places, shape))
        return self._padded(self.layer_norm(x), places, shape), states, tuple(attentions)

    def _to_layers(self, reading: Reading) -> Any:
        """What layers are told of how the tokens lie."""
        return reading.packed

    def _inputs(
        self, input_ids: Tensor | None, inputs_embeds: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """What is given of the two, checked."""
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds")
        if inputs_embeds is not None:
            width = self.config.hidden_size
            given = tuple(inputs_embeds.shape)
            if len(given) != 3 or given[1] == 0 or given[2] != width:
                raise ValueError(
                    f"inputs_embeds must be (B, T, {width}), T at least 1: got {given}"
                )
            return None, inputs_embeds
        assert input_ids is not None
        if input_ids.dim() != 2 or input_ids.shape[1] == 0:
            raise ValueError(
                f"input_ids must be (B, T), T at least 1: got {tuple(input_ids.shape)}"
            )
        # Elsewhere to look would stop the device, whose own check says that an index is out of
        # range, or the compiler.
        known = input_ids.device.type == "cpu" and not torch.compiler.is_compiling()
        if known and input_ids.numel():
            low, high = (int(end) for end in input_ids.aminmax())
            size = len(self.encoder.weight)  # type: ignore[arg-type]
            if low < 0 or high >= size:
                raise ValueError(
                    f"input_ids must lie in 0 to {size - 1}: got {low if low < 0 else high}"
                )
        return input_ids, None

    @staticmethod
    def _padded(x: Tensor, places: Tensor | None, shape: torch.Size) -> Tensor:
        return x if places is None else pad_tokens(x[0], places, shape)


class NeoBERTForMaskedLM(NeoBERTPreTrainedModel):
    """The encoder with a linear map to the vocabulary.

    Its matrix is a table of its own, as published; with ``config.tie_word_embeddings`` it is the
    embedding's.
    """

    _tied_weights_keys = {"decoder.weight": "model.encoder.weight"}  # noqa: RUF012

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

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **inputs: Any,
    ) -> MaskedLMOutput:
        """Predict every token.

        Args:
            input_ids: (B, T).
            attention_mask: (B, T), nonzero at real tokens.
            labels: (B, T) the right tokens, −100 where none is asked for.
            num_items_in_batch: what the summed loss is divided by, for accumulated batches.
                None: the number of labelled tokens, at least 1.
            inputs: more of :meth:`NeoBERTModel.forward`'s.

        Returns:
            ``logits`` (B, T, V); with labels also ``loss``, the cross-entropy in nats over the
            labelled tokens. With labels and ``config.sparse_prediction``, logits are computed for
            the labelled tokens alone, (N, V): at 20% masking that leaves out four fifths of the
            model's largest matrix product. ``hidden_states`` and ``attentions`` as the encoder's.

        Raises:
            ValueError: labels have another shape than the ids, or see :meth:`NeoBERTModel.forward`.
        """
        encoded = self.model(input_ids, attention_mask, return_dict=True, **inputs)
        hidden = encoded.last_hidden_state
        loss = None
        if labels is not None:
            if labels.shape != hidden.shape[:2]:
                raise ValueError(
                    f"labels must be (B, T) = {tuple(hidden.shape[:2])}: got {tuple(labels.shape)}"
                )
            if self.config.sparse_prediction:
                labels = class_labels(labels)
                chosen = labels != IGNORE
                hidden, labels = hidden[chosen], labels[chosen]
        logits = self.decoder(hidden)
        if labels is not None:
            loss = token_loss(logits, labels, num_items_in_batch)
        return MaskedLMOutput(
            loss=loss,
            logits=logits,
            hidden_states=encoded.hidden_states,
            attentions=encoded.attentions,
        )


NeoBERTPreTrainedModel.encoder_class = NeoBERTModel
NeoBERTConfig.register_for_auto_class()
NeoBERTModel.register_for_auto_class("AutoModel")
NeoBERTForMaskedLM.register_for_auto_class("AutoModelForMaskedLM")
