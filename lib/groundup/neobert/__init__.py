"""Part II: NeoBERT in PyTorch, encoder and decoder, its pretraining and its perplexity."""

from typing import TYPE_CHECKING

from groundup.lab.lazy import attach

__all__ = [
    "BACKENDS",
    "BatchLayout",
    "MaskedText",
    "NeoBERTConfig",
    "NeoBERTForMaskedLM",
    "NeoBERTForSequenceClassification",
    "NeoBERTForTokenClassification",
    "NeoBERTLayer",
    "NeoBERTModel",
    "NeoBERTPreTrainedModel",
    "NeoDecoderConfig",
    "NeoDecoderForCausalLM",
    "NeoDecoderModel",
    "Packed",
    "PerplexityEvaluator",
    "PerplexityResult",
    "RMSNorm",
    "count_parameters",
    "flash_attention",
    "generate_text",
    "halves_to_pairs",
    "init_bias_from_unigrams",
    "log_frequencies",
    "mask_tokens",
    "masked_loss",
    "pack",
    "pad_rows",
    "pad_tokens",
    "pairs_to_halves",
    "register_auto_classes",
    "slope_errors",
    "tokenize_rows",
    "unigram_loss",
    "unpad",
]

if TYPE_CHECKING:
    from groundup.neobert.auto import register_auto_classes
    from groundup.neobert.batch_layout import BatchLayout, Packed, pack, pad_tokens, unpad
    from groundup.neobert.block import NeoBERTLayer
    from groundup.neobert.classification import (
        NeoBERTForSequenceClassification,
        NeoBERTForTokenClassification,
    )
    from groundup.neobert.configuration import NeoBERTConfig
    from groundup.neobert.count import count_parameters
    from groundup.neobert.decoder import NeoDecoderForCausalLM, NeoDecoderModel
    from groundup.neobert.decoder_configuration import NeoDecoderConfig
    from groundup.neobert.dispatch import BACKENDS
    from groundup.neobert.flash import flash_attention
    from groundup.neobert.generation import generate_text
    from groundup.neobert.gradcheck import slope_errors
    from groundup.neobert.mlm import (
        MaskedText,
        init_bias_from_unigrams,
        log_frequencies,
        mask_tokens,
        masked_loss,
        pad_rows,
        tokenize_rows,
        unigram_loss,
    )
    from groundup.neobert.modeling import NeoBERTForMaskedLM, NeoBERTModel
    from groundup.neobert.norm import RMSNorm
    from groundup.neobert.perplexity import PerplexityEvaluator, PerplexityResult
    from groundup.neobert.rope_layout import halves_to_pairs, pairs_to_halves
    from groundup.neobert.stack import NeoBERTPreTrainedModel
else:
    __getattr__, __dir__ = attach(__name__)
