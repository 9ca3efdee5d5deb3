"""Adapters that were not merged, on disk in PEFT's own form: they name the model they belong to."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import PreTrainedModel

from groundup.embed.backbone import read_backbone
from groundup.lab.errors import UserError
from groundup.lab.files import read_json

ADAPTER_FILE = "adapter_config.json"


def has_adapters(backbone: nn.Module) -> bool:
    """Whether PEFT's adapters are on the model."""
    return hasattr(backbone, "peft_config")


def save_adapters(backbone: Any, directory: Path, instead_of: Path) -> None:
    """Write adapter_config.json and adapter_model.safetensors.

    The adapters mean something only on the base that they name, so that base is read again and
    compared with the one they are on.

    Args:
        backbone: a PeftModel with one adapter, on a model that was loaded or saved.
        directory: where to write.
        instead_of: the directory that this one will replace.

    Raises:
        UserError: the base is not on disk, is not as it is there, or would be replaced by its own
            adapters; or there are several adapters.
    """
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
        if Path(place) == instead_of.resolve():
            raise UserError(f"{place} holds the adapters' base: save them in another directory")
    if different := _differs(base, _load_base(place, directory), backbone.base_model.prefix):
        raise UserError(
            f"the adapters' base is not the one in {place} ({different} differs): save it before "
            "add_lora, or save with merge=True"
        )
    backbone.peft_config["default"].base_model_name_or_path = place
    backbone.save_pretrained(directory, save_embedding_layers=False)


def load_adapters(directory: Path) -> Any:
    """Read what :func:`save_adapters` wrote: the base, the adapters on it ready to be trained on.

    Raises:
        UserError: the base or the adapters can't be read.
    """
    from peft import PeftModel

    described = read_json(directory / ADAPTER_FILE)
    place = described.get("base_model_name_or_path") if isinstance(described, dict) else None
    if not place:
        raise UserError(f"{directory / ADAPTER_FILE} does not name the model it belongs to")
    base = _load_base(place, directory)
    try:
        return PeftModel.from_pretrained(base, str(directory), is_trainable=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise UserError(f"the adapters in {directory} can't be put on {place}: {error}") from error


def _load_base(place: str, directory: Path) -> PreTrainedModel:
    try:
        return read_backbone(place)
    except UserError as error:
        raise UserError(f"the adapters of {directory} need their base: {error}") from error


def _differs(base: nn.Module, saved: nn.Module, prefix: str) -> str | None:
    """The first parameter of the base that is not as saved."""
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
