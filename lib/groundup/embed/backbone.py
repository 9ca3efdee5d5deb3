"""A model of transformers read from disk, whole or not at all."""

from pathlib import Path

from safetensors import SafetensorError
from transformers import AutoModel, PreTrainedModel

from groundup.lab.errors import UserError
from groundup.neobert.auto import register


def read_backbone(place: str | Path) -> PreTrainedModel:
    """The model without a head, as it was saved.

    transformers fills weights that are missing with random ones and goes on.

    Args:
        place: a directory, or a name of the Hub.

    Raises:
        UserError: it can't be read, or lacks weights that a vector depends on.
    """
    register()
    if Path(place).is_absolute() and not Path(place).is_dir():
        raise UserError(f"there is no directory {place}")
    try:
        model, report = AutoModel.from_pretrained(place, output_loading_info=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise UserError(f"the model in {place} can't be read: {error}") from error
    missing = sorted(name for name in report["missing_keys"] if not is_pooler(name))
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(f"the model in {place} lacks weights: {missing[0]}{more}")
    whole: PreTrainedModel = model
    return whole


def is_pooler(name: str) -> bool:
    """Whether a parameter is of the pooler that BERT's family has; no token's vector needs it."""
    return ".pooler." in f".{name}"
