"""NeoBERT (Le Breton et al., 2025, arXiv 2502.19587) for transformers, with the published keys.

This file and its siblings import nothing but each other, torch and transformers: transformers
copies exactly such files beside saved weights.
"""

from typing import Any

from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput
from transformers.utils.generic import can_return_tuple

from .batch_layout import resolve_layout
from .configuration import NeoBERTConfig
from .losses import IGNORE, class_labels, token_loss
from .stack import NeoBERTPreTrainedModel, NeoBERTStack


class NeoBERTModel(NeoBERTStack):
    """The encoder: token ids to one vector a token."""

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

        Padding is removed at the beginning and put back at the end: a masked token does not exist,
        wherever it is in its row, and positions are counted over the real ones.

        Args:
            input_ids: (B, T) token ids; or, with ``cu_seqlens``, (1, N), sequences end to end.
            attention_mask: (B, T) or (B, 1, 1, T), nonzero at real tokens; the form that is added
                to scores, 0 at real tokens and far below 0 at the others, is accepted too. None:
                nothing is padded.
            inputs_embeds: (B, T, D) in place of ``input_ids``.
            cu_seqlens: (S + 1,) where each of S sequences begins, and N at last. A token attends to
                those of its own sequence, and positions begin at 0 in each.
            max_seqlen: with ``cu_seqlens``, the longest length; known where the batch is made, it
                need not be fetched from the device.
            token_type_ids: accepted, since tokenizers give them, and not used.
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
        inputs = self.check_inputs(input_ids, inputs_embeds)
        layout = resolve_layout(
            inputs.shape[:2],
            attention_mask,
            cu_seqlens=cu_seqlens,
            max_seqlen=max_seqlen,
            max_length=self.config.max_length,
            device=inputs.device,
        )
        return self.run(inputs, layout, output_hidden_states, output_attentions)


class NeoBERTForMaskedLM(NeoBERTPreTrainedModel):
    """The encoder with a linear map to the vocabulary.

    As published, its matrix is not the embedding's; with ``config.tie_word_embeddings`` it is.
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
