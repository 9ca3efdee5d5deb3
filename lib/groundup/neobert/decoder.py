"""A causal decoder of NeoBERT's blocks for transformers: training, a cache, ``generate``.

Modules have NeoBERT's published names, so that the weights of an encoder load into a decoder. This
file and its siblings import nothing but each other, torch and transformers: transformers copies
exactly such files beside saved weights.
"""

from functools import wraps
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedTokenizerBase
from transformers.cache_utils import Cache, DynamicCache
from transformers.utils.generic import can_return_tuple

from .batch_layout import as_bool, resolve_layout
from .cache_names import (
    CACHE_NAME,
    CACHE_NAMES,
    CausalLMOutput,
    DecoderOutput,
    one_cache,
    with_own_name,
)
from .decoder_configuration import NeoDecoderConfig
from .losses import IGNORE, class_labels, token_loss
from .stack import NeoBERTPreTrainedModel, NeoBERTStack


class NeoDecoderPreTrainedModel(NeoBERTPreTrainedModel):
    """What the decoder's classes share: NeoBERT's base class with a configuration of their own."""

    config: NeoDecoderConfig
    config_class = NeoDecoderConfig
    _skip_keys_device_placement = list(CACHE_NAMES)  # noqa: RUF012 (transformers' own form)


class NeoDecoderModel(NeoDecoderPreTrainedModel, NeoBERTStack):
    """The decoder: token ids to one vector a token, which depends on no later token."""

    config: NeoDecoderConfig

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        inputs_embeds: Tensor | None = None,
        cache: Cache | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        cu_seqlens: Tensor | None = None,
        max_seqlen: int | None = None,
        token_type_ids: Tensor | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
    ) -> DecoderOutput:
        """Run the decoder over whole texts, or over what comes after the texts in a cache.

        A masked token does not exist, wherever it is in its row, and positions are counted over
        the real ones: padding on the left and on the right give the same vectors.

        Args:
            input_ids: (B, T) token ids; or, with ``cu_seqlens``, (1, N), sequences end to end.
            attention_mask: (B, T), or (B, 1, 1, T), nonzero at real tokens; with a cache of P
                tokens (B, P + T), the cached ones first. None: all are real.
            inputs_embeds: (B, T, D) instead of the ids.
            cache: keys and values of the tokens before these; it grows by these. A cache that
                grows, as DynamicCache does.
            past_key_values: the older name of ``cache``.
            use_cache: without ``cache``, begin a cache and return it.
            cu_seqlens: (S + 1,) integers: sequence s is the tokens cu_seqlens[s] to
                cu_seqlens[s + 1] of one row, and attends to no other.
            max_seqlen: the longest of those lengths, or a bound; given, it is not fetched from the
                device.
            token_type_ids: accepted, because some tokenizers give it, and not used.
            output_hidden_states: also return the embeddings, each block's output but the last, and
                the normed last one.
            output_attentions: also return the weights of each layer, by the written formula. Not
                with both a cache and padding.

        Returns:
            ``last_hidden_state`` (B, T, D), zeros where the mask is zero, and ``cache``, also as
            ``past_key_values``; where asked for, ``hidden_states`` (layers + 1) and ``attentions``,
            each (B, H, T, P+T).

        Raises:
            ValueError: there are no tokens, they are too many or outside the vocabulary, a shape
                does not fit, or two arguments exclude each other.
        """
        inputs = self.check_inputs(input_ids, inputs_embeds)
        cache = self._cache(one_cache(cache, past_key_values), use_cache)
        layout = resolve_layout(
            inputs.shape[:2],
            attention_mask,
            cache=cache,
            cu_seqlens=cu_seqlens,
            max_seqlen=max_seqlen,
            max_length=self.config.max_length,
            device=inputs.device,
        )
        output = self.run(inputs, layout, output_hidden_states, output_attentions)
        fields: dict[str, Any] = {**output, CACHE_NAME: cache}
        return DecoderOutput(**fields)

    def _cache(self, given: Cache | None, use: bool | None) -> Cache | None:
        """The cache to read and fill, checked."""
        if given is None and not use:
            return None
        if self.gradient_checkpointing and self.training and torch.is_grad_enabled():
            raise ValueError(
                "activation checkpointing runs each block twice, and a cache would grow twice: "
                "use_cache=False"
            )
        cache = given if given is not None else DynamicCache(config=self.config)
        if not isinstance(cache, Cache) or cache.is_compileable:
            raise ValueError(
                f"cache must be a cache that grows, as DynamicCache: got {type(cache)}"
            )
        return cache


class NeoDecoderForCausalLM(NeoDecoderPreTrainedModel, GenerationMixin):
    """The decoder with a linear map to the vocabulary: what comes after each token.

    ``generate`` is transformers' own: greedy, sampling, beams, several prompts padded on the left.
    """

    _tied_weights_keys = {"lm_head.weight": "model.encoder.weight"}  # noqa: RUF012

    def __init__(self, config: NeoDecoderConfig) -> None:
        super().__init__(config)
        self.model = NeoDecoderModel(config)
        self.lm_head: nn.Module = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        # Keep the model's max_length from becoming generate()'s default length.
        self.generation_config.max_length = None
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        """The map to the vocabulary."""
        return self.lm_head

    def set_output_embeddings(self, value: nn.Module) -> None:
        """Replace the map to the vocabulary."""
        self.lm_head = value

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        cache: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        num_items_in_batch: Tensor | int | None = None,
        logits_to_keep: int | Tensor = 0,
        token_type_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        **inputs: Any,
    ) -> CausalLMOutput:
        """Predict the token after each one.

        Args:
            input_ids: (B, T).
            attention_mask: (B, T), with a cache of P tokens (B, P + T), nonzero at real tokens.
            cache: see :meth:`NeoDecoderModel.forward`.
            inputs_embeds: (B, T, D) instead of the ids.
            labels: (B, T) the ids themselves, −100 where none is asked for: they are shifted here.
                The first token of a row, or of a packed sequence, is not a target, nor is a token
                where it or the one before it is padding.
            use_cache: see :meth:`NeoDecoderModel.forward`.
            num_items_in_batch: what the summed loss is divided by, for accumulated batches.
                None: the number of targets, at least 1.
            logits_to_keep: compute logits for the last so many tokens, or at these indices (N,).
                0: all. Not with labels.
            token_type_ids: accepted and not used.
            past_key_values: the older name of ``cache``.
            inputs: more of :meth:`NeoDecoderModel.forward`'s.

        Returns:
            ``logits`` (B, T, V), and ``cache``, also as ``past_key_values``; with labels also
            ``loss``, the cross-entropy in nats over the targets. With labels and
            ``config.sparse_prediction``, logits are computed where there is a target alone, (N, V).
            ``hidden_states`` and ``attentions`` as the decoder's.

        Raises:
            ValueError: labels have another shape than the ids, or see
                :meth:`NeoDecoderModel.forward`.
        """
        all_logits = isinstance(logits_to_keep, int) and logits_to_keep == 0
        if labels is not None and not all_logits:
            raise ValueError("labels ask for all logits: leave out logits_to_keep")
        decoded = self.model(
            input_ids,
            attention_mask,
            inputs_embeds=inputs_embeds,
            cache=one_cache(cache, past_key_values),
            use_cache=use_cache,
            **inputs,
        )
        hidden = decoded.last_hidden_state
        targets = loss = None
        if labels is not None:
            if labels.shape != hidden.shape[:2]:
                raise ValueError(
                    f"labels must be (B, T) = {tuple(hidden.shape[:2])}: got {tuple(labels.shape)}"
                )
            targets = next_tokens(labels, attention_mask, inputs.get("cu_seqlens"))
            if self.config.sparse_prediction:
                chosen = targets != IGNORE
                hidden, targets = hidden[chosen], targets[chosen]
        elif isinstance(logits_to_keep, Tensor):
            hidden = hidden[:, logits_to_keep]
        else:
            hidden = hidden[:, -logits_to_keep:]
        logits = self.lm_head(hidden)
        if targets is not None:
            loss = token_loss(logits, targets, num_items_in_batch)
        return CausalLMOutput(
            loss=loss,
            logits=logits,
            hidden_states=decoded.hidden_states,
            attentions=decoded.attentions,
            **{CACHE_NAME: decoded.cache},
        )

    @wraps(GenerationMixin.generate, assigned=())
    def generate(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """What transformers' ``generate`` does; the cache may be given under either name.

        Raises:
            ValueError: it is given under both.
        """
        return super().generate(*args, **with_own_name(kwargs))  # type: ignore[misc]

    # transformers reads from the signature what may be given instead of ids.
    @wraps(GenerationMixin.prepare_inputs_for_generation, assigned=())
    def prepare_inputs_for_generation(  # type: ignore[override]
        self, *args: Any, **kwargs: Any
    ) -> Any:
        """What ``generate`` gives to :meth:`forward` for its next token.

        Raises:
            ValueError: a row ends in padding, and the next token would follow that; or there are
                two caches.
        """
        mask = kwargs.get("attention_mask")
        if kwargs.get("is_first_iteration") and mask is not None and not mask[:, -1].all():
            raise ValueError("prompts are padded on the left: a row of attention_mask ends in 0")
        return super().prepare_inputs_for_generation(*args, **with_own_name(kwargs))  # type: ignore[misc]

    def save(self, directory: str | Path, tokenizer: PreTrainedTokenizerBase | None = None) -> None:
        """Write a directory of weights, configuration, code and tokenizer."""
        self.save_pretrained(directory)
        if tokenizer is not None:
            tokenizer.save_pretrained(directory)

    @classmethod
    def load(cls, directory: str | Path) -> "NeoDecoderForCausalLM":
        """The model of a directory, in evaluation mode; AutoTokenizer finds its tokenizer."""
        model: NeoDecoderForCausalLM = cls.from_pretrained(directory)
        return model.eval()


def next_tokens(
    labels: Tensor, attention_mask: Tensor | None = None, cu_seqlens: Tensor | None = None
) -> Tensor:
    """The label of the token after each one: where it is in the same sequence, and both are real.

    Args:
        labels: (B, T), −100 where none is asked for.
        attention_mask: (B, S), nonzero at real tokens, whose last T are those of the labels.
        cu_seqlens: (N + 1,) where the sequences of one row begin and end.

    Returns:
        (B, T), −100 where there is no target.

    Raises:
        ValueError: the labels are not integers.
    """
    targets = F.pad(class_labels(labels)[:, 1:], (0, 1), value=IGNORE)
    if attention_mask is not None:
        own = attention_mask[..., -labels.shape[1] :]
        key_padding_mask = as_bool(own, labels.shape)
        targets = targets.masked_fill(~(key_padding_mask & key_padding_mask.roll(-1, 1)), IGNORE)
    if cu_seqlens is not None:  # of an empty first sequence the index is −1, the row's end: no harm
        targets = targets.index_fill(1, cu_seqlens[1:].long() - 1, IGNORE)
    return targets


NeoDecoderPreTrainedModel.encoder_class = NeoDecoderModel
NeoDecoderConfig.register_for_auto_class()
NeoDecoderModel.register_for_auto_class("AutoModel")
NeoDecoderForCausalLM.register_for_auto_class("AutoModelForCausalLM")
