"""The transformer under a sentence encoder on disk: whole, or PEFT's adapters and their base."""

import copy
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModel, PreTrainedModel

from groundup.lab.errors import UserError
from groundup.lab.files import read_json
from groundup.neobert.auto import register_auto_classes

_ADAPTER_FILE = "adapter_config.json"
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError)


def has_adapters(backbone: nn.Module) -> bool:
    """Whether PEFT's adapters are on the model."""
    return hasattr(backbone, "peft_config")


def is_pooler(name: str) -> bool:
    """Whether a parameter is of the pooler that BERT's family has; no token's vector needs it."""
    return ".pooler." in f".{name}"


def save_backbone(backbone: Any, directory: Path, merge: bool, replaces: Path) -> None:
    """Write a model with its adapters merged into the weights, or the adapters alone.

    Args:
        backbone: of transformers, or a PeftModel.
        directory: where to write.
        merge: write the sum of weights and adapters; the model itself is not changed.
        replaces: the directory whose place ``directory`` will take.

    Raises:
        UserError: the adapters' base is not on disk, differs from the one there, or would be
            replaced by its own adapters; or there are several adapters.
    """
    if not has_adapters(backbone):
        backbone.save_pretrained(directory)
    elif merge:
        copy.deepcopy(backbone).merge_and_unload().save_pretrained(directory)
    else:
        place = _check_base(backbone, directory, replaces)
        backbone.peft_config["default"].base_model_name_or_path = place
        backbone.save_pretrained(directory, save_embedding_layers=False)


def read_backbone(directory: Path) -> Any:
    """Read what :func:`save_backbone` or transformers wrote.

    Args:
        directory: of a model, or of adapters that name the model they belong to.

    Returns:
        The model without a head; or its PeftModel, whose adapters are ready to be trained on.

    Raises:
        UserError: the model or the adapters can't be read, or weights are missing.
    """
    if not (directory / _ADAPTER_FILE).exists():
        return _read_model(directory)
    from peft import PeftModel

    described = read_json(directory / _ADAPTER_FILE)
    place = described.get("base_model_name_or_path") if isinstance(described, dict) else None
    if not place:
        raise UserError(f"{directory / _ADAPTER_FILE} does not name the model it belongs to")
    base = _read_base(place, directory)
    try:
        return PeftModel.from_pretrained(base, str(directory), is_trainable=True)
    except _UNREADABLE as error:
        raise UserError(f"the adapters in {directory} can't be put on {place}: {error}") from error


def _read_model(place: str | Path) -> PreTrainedModel:
    """A model from a directory or the Hub; transformers would fill missing weights at random."""
    register_auto_classes()
    if Path(place).is_absolute() and not Path(place).is_dir():
        raise UserError(f"there is no directory {place}")
    try:
        model, report = AutoModel.from_pretrained(place, output_loading_info=True)
    except _UNREADABLE as error:
        raise UserError(f"the model in {place} can't be read: {error}") from error
    missing = sorted(name for name in report["missing_keys"] if not is_pooler(name))
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(f"the model in {place} lacks weights: {missing[0]}{more}")
    whole: PreTrainedModel = model
    return whole


def _read_base(place: str, directory: Path) -> PreTrainedModel:
    try:
        return _read_model(place)
    except UserError as error:
        raise UserError(f"the adapters of {directory} need their base: {error}") from error


def _check_base(backbone: Any, directory: Path, replaces: Path) -> str:
    """Where the adapters' base is. They mean something only on it, so it is read and compared."""
    if list(backbone.peft_config) != ["default"]:
        raise UserError(
            f"one adapter named 'default' can be saved: got {', '.join(backbone.peft_config)}"
        )
    base = backbone.get_base_model()
    place = str(base.config.name_or_path or "")
    if not place:
        raise UserError(
            "the adapters' base was never saved: save the encoder before add_lora, "
            "or save with merge=True"
        )
    if Path(place).is_dir():
        place = str(Path(place).resolve())
        if Path(place) == replaces.resolve():
            raise UserError(f"{place} holds the adapters' base: save them in another directory")
    saved = _read_base(place, directory)
    if different := _first_difference(base, saved, backbone.base_model.prefix):
        raise UserError(
            f"the adapters' base is not the one in {place} ({different} differs): save it before "
            "add_lora, or save with merge=True"
        )
    return place


def _first_difference(base: nn.Module, saved: nn.Module, prefix: str) -> str | None:
    """The name of the first parameter of the base that differs from the saved one."""
    held = {
        name.replace(".base_layer.", "."): value
        for name, value in base.state_dict().items()
        if f".{prefix}" not in name
    }
    for name, value in saved.state_dict().items():
        own = held.get(name)
        if own is None or own.dtype != value.dtype or not torch.equal(own.cpu(), value):
            return name
    return None
