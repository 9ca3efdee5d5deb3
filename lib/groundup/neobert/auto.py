"""Tell transformers' Auto classes about our models, so that no code must be trusted to load one."""

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from groundup.neobert.classification import (
    NeoBERTForSequenceClassification,
    NeoBERTForTokenClassification,
)
from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.decoder import NeoDecoderForCausalLM, NeoDecoderModel
from groundup.neobert.decoder_configuration import NeoDecoderConfig
from groundup.neobert.modeling import NeoBERTForMaskedLM, NeoBERTModel

_CLASSES = (
    (AutoModel, NeoBERTConfig, NeoBERTModel),
    (AutoModelForMaskedLM, NeoBERTConfig, NeoBERTForMaskedLM),
    (AutoModelForSequenceClassification, NeoBERTConfig, NeoBERTForSequenceClassification),
    (AutoModelForTokenClassification, NeoBERTConfig, NeoBERTForTokenClassification),
    (AutoModel, NeoDecoderConfig, NeoDecoderModel),
    (AutoModelForCausalLM, NeoDecoderConfig, NeoDecoderForCausalLM),
)


def register_auto_classes() -> None:
    """Let ``AutoModel.from_pretrained`` and its kin know both models in this process."""
    for config in (NeoBERTConfig, NeoDecoderConfig):
        AutoConfig.register(config.model_type, config, exist_ok=True)
    for auto, config, model in _CLASSES:
        auto.register(config, model, exist_ok=True)
