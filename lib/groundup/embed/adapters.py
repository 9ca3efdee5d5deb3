"""Low-rank adapters on a sentence encoder, through PEFT (Hu et al., 2021, arXiv 2106.09685)."""

from dataclasses import dataclass, field

from groundup.embed.encoder import SentenceEncoder
from groundup.lab.errors import UserError
from groundup.lab.ranges import require_positive, require_whole


@dataclass(frozen=True)
class LoraSettings:
    """What gets an adapter, and how large it is.

    Attributes:
        rank: r, the rank of each update.
        alpha: the update is scaled by alpha / r.
        targets: names of the modules that get an adapter.
        ranks: other ranks by module name.
        alphas: other alphas by module name.
        train_also: prefixes of the encoder's parameters that are trained as they are.
    """

    rank: int = 16
    alpha: int = 32
    targets: tuple[str, ...] = ("qkv", "wo", "w12", "w3")
    ranks: dict[str, int] = field(default_factory=dict)
    alphas: dict[str, int] = field(default_factory=dict)
    train_also: tuple[str, ...] = ("token_weights",)

    def __post_init__(self) -> None:
        require_whole(rank=self.rank)
        require_positive(alpha=self.alpha)
        for name, rank in self.ranks.items():
            require_whole(**{f"ranks[{name!r}]": rank})
        for name, alpha in self.alphas.items():
            require_positive(**{f"alphas[{name!r}]": alpha})


def add_lora(encoder: SentenceEncoder, settings: LoraSettings) -> None:
    """Freeze the encoder and put adapters on its backbone, in place.

    Raises:
        UserError: no module of the backbone has one of the target names. The encoder is as it was.
    """
    from peft import LoraConfig, get_peft_model

    modules = [
        (parent, name, child)
        for parent in encoder.backbone.modules()
        for name, child in parent.named_children()
    ]
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        target_modules=list(settings.targets),
        rank_pattern=settings.ranks,
        alpha_pattern=settings.alphas,
    )
    try:
        encoder.backbone = get_peft_model(encoder.backbone, config)  # type: ignore[assignment]
    except ValueError as error:
        for parent, name, child in modules:  # PEFT may have replaced some before it stopped
            setattr(parent, name, child)
        raise UserError(f"LoRA targets {settings.targets}: {error}") from error
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_("lora_" in name or name.startswith(settings.train_also))


def merge_lora(encoder: SentenceEncoder) -> None:
    """Add the adapters' product to the weights they sit on, in place; the adapters are gone."""
    from peft import PeftModel

    assert isinstance(encoder.backbone, PeftModel)
    encoder.backbone = encoder.backbone.merge_and_unload()
