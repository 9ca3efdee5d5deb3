"""Tell transformers' Auto classes about NeoBERT, so that no code has to be trusted to load one."""

from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM

from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.modeling import NeoBERTForMaskedLM, NeoBERTModel


def register() -> None:
    """Make ``AutoModel.from_pretrained`` and its kin know ``neobert`` in this process."""
    AutoConfig.register("neobert", NeoBERTConfig, exist_ok=True)
    AutoModel.register(NeoBERTConfig, NeoBERTModel, exist_ok=True)
    AutoModelForMaskedLM.register(NeoBERTConfig, NeoBERTForMaskedLM, exist_ok=True)
