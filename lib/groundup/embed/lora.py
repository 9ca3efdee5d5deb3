"""Low-rank adapters on a sentence encoder, through PEFT (Hu et al., 2021, arXiv 2106.09685)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D

from groundup.embed.backbone import has_adapters
from groundup.embed.encoder import SentenceEncoder
from groundup.lab.errors import UserError
from groundup.lab.ranges import require_whole

ALL_LINEAR = "all-linear"
_ABLE = (nn.Linear, nn.Embedding, Conv1D)


@dataclass(frozen=True)
class LoraSettings:
    """What gets an adapter, and how large it is.

    Attributes:
        rank: r, the rank of each update.
        alpha: the update is scaled by alpha / r.
        targets: names of the modules that get an adapter, each the last part of a module's name or
            the last few parts; or the string "all-linear", which is every linear layer but the
            output head.
        ranks: other ranks by module name.
        alphas: other alphas by module name.
        train_also: prefixes of the encoder's parameters, by their names without adapters, that are
            trained as they are. None: the token weights, where there are any.

    Raises:
        ValueError: a field is not of that form.
    """

    rank: int = 16
    alpha: int = 32
    targets: tuple[str, ...] | str = ("qkv", "wo", "w12", "w3")
    ranks: dict[str, int] = field(default_factory=dict)
    alphas: dict[str, int] = field(default_factory=dict)
    train_also: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.targets != ALL_LINEAR:
            _check_names("targets", self.targets, f', or "{ALL_LINEAR}"')
            if not self.targets or ALL_LINEAR in self.targets:
                raise ValueError(
                    f'targets must name modules, or be the string "{ALL_LINEAR}" itself: '
                    f"got {self.targets!r}"
                )
        if self.train_also is not None:
            _check_names("train_also", self.train_also)
        require_whole(
            rank=self.rank,
            alpha=self.alpha,
            **{f"ranks[{name!r}]": rank for name, rank in self.ranks.items()},
            **{f"alphas[{name!r}]": alpha for name, alpha in self.alphas.items()},
        )


def _check_names(what: str, given: Any, otherwise: str = "") -> None:
    if isinstance(given, str):
        raise ValueError(
            f'{what} must be a list of names{otherwise}: got the string "{given}"; '
            f'for one name write ["{given}"]'
        )
    if not isinstance(given, tuple | list) or not all(isinstance(name, str) for name in given):
        raise ValueError(f"{what} must be a list of names{otherwise}: got {given!r}")


def add_lora(encoder: SentenceEncoder, settings: LoraSettings) -> None:
    """Freeze the encoder and put adapters on its backbone, in place.

    Raises:
        UserError: a name fits no module or parameter, a module can't have an adapter, or there are
            adapters on the backbone already. The encoder is then as it was.
    """
    from peft import LoraConfig, get_peft_model

    if has_adapters(encoder.backbone):
        raise UserError(
            "the encoder has adapters already: add them to the weights with merge_lora first"
        )
    targeted = _targeted(encoder.backbone, settings.targets)
    _check_fits("ranks", settings.ranks, targeted, "module that gets an adapter")
    _check_fits("alphas", settings.alphas, targeted, "module that gets an adapter")
    held = dict(encoder.named_parameters())
    also = settings.train_also
    if also is None:
        also = ("token_weights",) if encoder.pooling == "weighted" else ()
    for prefix in also:
        if not any(name.startswith(prefix) for name in held):
            raise UserError(
                f"LoRA train_also: no parameter's name begins with {prefix!r}{_close(prefix, held)}"
            )
    targets = settings.targets
    config = LoraConfig(
        task_type="FEATURE_EXTRACTION",
        r=settings.rank,
        lora_alpha=settings.alpha,
        target_modules=targets if isinstance(targets, str) else list(targets),
        rank_pattern=settings.ranks,
        alpha_pattern=settings.alphas,
    )
    encoder.backbone = get_peft_model(encoder.backbone, config)  # type: ignore[assignment]
    for name, parameter in held.items():
        parameter.requires_grad_(name.startswith(tuple(also)))
    encoder.freeze_unused()


def _targeted(backbone: nn.Module, targets: tuple[str, ...] | str) -> list[str]:
    """The names of the modules that get an adapter."""
    modules = {name: module for name, module in backbone.named_modules() if name}
    able = [name for name, module in modules.items() if isinstance(module, _ABLE)]
    if targets == ALL_LINEAR:
        found = [name for name in able if not isinstance(modules[name], nn.Embedding)]
        if not found:
            raise UserError(f'LoRA targets "{ALL_LINEAR}": the backbone has no linear layer')
        return found
    _check_fits("targets", targets, able, "linear layer or embedding", modules)
    return [name for name in able if any(_fits(target, name) for target in targets)]


def _fits(name: str, module: str) -> bool:
    return f".{module}".endswith(f".{name}")


def _check_fits(
    what: str,
    names: Iterable[str],
    modules: Iterable[str],
    kind: str,
    others: dict[str, nn.Module] | None = None,
) -> None:
    """Each name must fit a module; of ``others`` it may fit none, PEFT can't adapt them."""
    modules = list(modules)
    for name in names:
        for other, module in (others or {}).items():
            if _fits(name, other) and other not in modules:
                raise UserError(
                    f"LoRA {what}: {name!r} fits {other}, a {type(module).__name__}, "
                    f"and only a {kind} can have an adapter{_close(name, modules)}"
                )
        if not any(_fits(name, module) for module in modules):
            raise UserError(f"LoRA {what}: {name!r} fits no {kind}{_close(name, modules)}")


def _close(name: str, known: Iterable[str]) -> str:
    """The names that resemble one, or all of them, by their last part."""
    parts = sorted({each.rsplit(".", 1)[-1] for each in known})
    close = get_close_matches(name.rsplit(".", 1)[-1], parts, 3, 0.5)
    return f". Did you mean {' or '.join(close)}?" if close else f". There are {', '.join(parts)}"


def merge_lora(encoder: SentenceEncoder) -> None:
    """Add the adapters' product to the weights they are on, in place; the adapters are gone.

    Raises:
        UserError: there are none.
    """
    backbone: Any = encoder.backbone
    if not has_adapters(backbone):
        raise UserError("the encoder has no adapters to merge: add_lora puts them on")
    encoder.backbone = backbone.merge_and_unload()
