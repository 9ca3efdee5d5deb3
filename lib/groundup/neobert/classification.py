"""NeoBERT with a classifier: of the whole text, at its first token, or of every token."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput, TokenClassifierOutput
from transformers.utils.generic import can_return_tuple

from .batch_layout import as_bool
from .configuration import NeoBERTConfig
from .losses import token_loss
from .modeling import NeoBERTModel
from .stack import NeoBERTPreTrainedModel

_NUMBERS = ("regression", "multi_label_classification")
"""The problem types whose labels are compared with logits as numbers."""


class Classifier(nn.Linear):
    """The last map of a classification head; unlike the encoder's it begins normal."""


class _Head(NeoBERTPreTrainedModel):
    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, Classifier):
            init.normal_(module.weight, 0.0, self.config.initializer_range)
            init.zeros_(module.bias)
        else:
            super()._init_weights(module)


class NeoBERTForSequenceClassification(_Head):
    """[CLS] → dropout → dense → tanh → dropout → classifier, the published head."""

    # transformers' Trainer: a loss is a mean over texts, to be divided among accumulated batches.
    accepts_loss_kwargs = False

    def __init__(self, config: NeoBERTConfig) -> None:
        super().__init__(config)
        self.model = NeoBERTModel(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.dense = Classifier(config.hidden_size, config.hidden_size)
        self.classifier = Classifier(config.hidden_size, config.num_labels or 2)
        self.post_init()

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        **inputs: Any,
    ) -> SequenceClassifierOutput:
        """Classify texts.

        Args:
            input_ids: (B, T); or, with ``cu_seqlens``, S texts end to end, (1, N).
            attention_mask: (B, T), nonzero at real tokens, the first of which is read.
            labels: (B,) classes; (B,) or (B, num_labels) numbers for a regression; (B, num_labels)
                of 0 and 1 where several classes may hold. Which of the three it is says
                ``config.problem_type``, or else it is told from num_labels and the dtype.
            inputs: more of :meth:`~.modeling.NeoBERTModel.forward`'s.

        Returns:
            ``logits`` (B, num_labels), or (S, num_labels); with labels also ``loss``. A text of no
            tokens is classified as a vector of zeros.
        """
        encoded = self.model(input_ids, attention_mask, return_dict=True, **inputs)
        hidden = encoded.last_hidden_state
        if (starts := inputs.get("cu_seqlens")) is not None:
            begin = torch.where(starts.diff() > 0, starts[:-1], hidden.shape[1]).long()
            first = F.pad(hidden[0], (0, 0, 0, 1))[begin]  # the row after the last is zero
        elif attention_mask is None:
            first = hidden[:, 0]
        else:
            begin = as_bool(attention_mask, hidden.shape[:2]).int().argmax(1)
            first = hidden[torch.arange(len(hidden), device=hidden.device), begin]
        pooled = torch.tanh(self.dense(self.dropout(first)))
        logits = self.classifier(self.dropout(pooled))
        loss = None
        if labels is not None:
            kind = self.config.problem_type
            if kind in _NUMBERS or (kind is None and self.config.num_labels == 1):
                labels = labels.to(logits.dtype)
            loss = self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        return SequenceClassifierOutput(
            loss=loss,
            logits=logits,
            hidden_states=encoded.hidden_states,
            attentions=encoded.attentions,
        )


class NeoBERTForTokenClassification(_Head):
    """dropout → classifier, at every token."""

    def __init__(self, config: NeoBERTConfig) -> None:
        super().__init__(config)
        self.model = NeoBERTModel(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = Classifier(config.hidden_size, config.num_labels or 2)
        self.post_init()

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **inputs: Any,
    ) -> TokenClassifierOutput:
        """Classify tokens.

        Args:
            input_ids: (B, T).
            attention_mask: (B, T), nonzero at real tokens.
            labels: (B, T) classes, −100 where none is asked for.
            num_items_in_batch: what the summed loss is divided by, for accumulated batches.
                None: the number of labelled tokens, at least 1.
            inputs: more of :meth:`~.modeling.NeoBERTModel.forward`'s.

        Returns:
            ``logits`` (B, T, num_labels); with labels also ``loss``, the mean over labelled tokens.
        """
        encoded = self.model(input_ids, attention_mask, return_dict=True, **inputs)
        logits = self.classifier(self.dropout(encoded.last_hidden_state))
        loss = None
        if labels is not None:
            loss = token_loss(logits, labels, num_items_in_batch)
        return TokenClassifierOutput(
            loss=loss,
            logits=logits,
            hidden_states=encoded.hidden_states,
            attentions=encoded.attentions,
        )


NeoBERTForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")
NeoBERTForTokenClassification.register_for_auto_class("AutoModelForTokenClassification")
