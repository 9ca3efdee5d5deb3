"""Models of transformers small enough for float64 and for seconds, alike in every test."""

from typing import Any

import torch
from transformers import (
    BertConfig,
    BertModel,
    LlamaConfig,
    LlamaModel,
    PreTrainedTokenizerBase,
)

from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.modeling import NeoBERTModel

SHAPE: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


def tiny_neobert(tokenizer: PreTrainedTokenizerBase, **changes: Any) -> NeoBERTModel:
    torch.manual_seed(0)
    given = {**SHAPE, "initializer_range": 0.2, "max_length": 64, **changes}
    return NeoBERTModel(NeoBERTConfig(vocab_size=len(tokenizer), **given)).eval()


def tiny_llama(tokenizer: PreTrainedTokenizerBase, **changes: Any) -> LlamaModel:
    torch.manual_seed(0)
    given = {**SHAPE, "initializer_range": 0.2, "max_position_embeddings": 64, **changes}
    return LlamaModel(LlamaConfig(vocab_size=len(tokenizer), **given)).eval()


def tiny_bert(vocabulary: int, **changes: Any) -> BertModel:
    torch.manual_seed(0)
    return BertModel(BertConfig(vocab_size=vocabulary, **{**SHAPE, **changes})).eval()
