"""The numbers of the tour, all in one place: how large, how long, how fast."""

from dataclasses import dataclass, replace
from typing import Any

from groundup.data.corpus import DEFAULT_PACKAGES
from groundup.embed.lora import LoraSettings
from groundup.lab.ranges import require_number, require_share, require_whole
from groundup.train.config import LoopConfig


@dataclass(frozen=True)
class Contrastive:
    """What a contrastive stage sets of :class:`~groundup.embed.objective.ContrastiveConfig`."""

    loop: LoopConfig
    batch_size: int = 256
    query_length: int = 32
    document_length: int = 64
    cloze: float = 0.0
    lora: LoraSettings | None = None

    def __post_init__(self) -> None:
        require_whole(
            batch_size=self.batch_size,
            query_length=self.query_length,
            document_length=self.document_length,
        )
        require_share(cloze=self.cloze)


@dataclass(frozen=True)
class TourPlan:
    """What each stage of the tour does.

    Attributes:
        packages: whose documentation is the corpus.
        digit_steps: optimizer steps of the NumPy encoder.
        vocabulary: tokens of the tokenizer.
        model: fields of the NeoBERT configuration, its vocabulary aside.
        masked: masked pretraining.
        masked_batch: texts a step.
        masked_texts: at most this many texts are tokenized for it.
        residual_scale: factor on the blocks' outputs when masked pretraining is done.
        weak: contrastive training on weak pairs, all weights.
        strong: contrastive training on strong pairs, LoRA.
        bag: the strong pairs for a model without layers, in the time of both.
        masked_lengths: the shortest text it takes, and where a longer one is cut, in tokens.
        evaluation_length: tokens that the saved encoders read of each text.
        processes: in the contrastive stages.
    """

    packages: tuple[str, ...]
    digit_steps: int
    vocabulary: int
    model: dict[str, Any]
    masked: LoopConfig
    masked_batch: int
    masked_texts: int
    weak: Contrastive
    strong: Contrastive
    bag: Contrastive
    residual_scale: float = 0.25
    masked_lengths: tuple[int, int] = (24, 64)
    evaluation_length: int = 256
    processes: int = 2

    def __post_init__(self) -> None:
        names = ("digit_steps", "vocabulary", "masked_batch", "masked_texts", "evaluation_length")
        require_whole(**{name: getattr(self, name) for name in (*names, "processes")})
        require_number("residual_scale", self.residual_scale, 0)
        shortest, longest = self.masked_lengths
        require_whole(**{"masked_lengths[0]": shortest, "masked_lengths[1]": longest})
        if shortest > longest:
            raise ValueError(f"masked_lengths must not fall: got {self.masked_lengths}")


# Rates by parameter, as factors on lr. The embedding's rows are met rarely, so they move faster.
_ALL_WEIGHTS = {"backbone.encoder": 200.0, "token_weights": 20.0}
_ADAPTERS = {"backbone.base_model.model.encoder": 5.0, "token_weights": 20.0}

FULL = TourPlan(
    packages=DEFAULT_PACKAGES,
    digit_steps=600,
    vocabulary=16_384,
    model={
        "hidden_size": 512,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "head_dim": 32,
        "intermediate_size": 144,
        "max_length": 512,
        "embedding_std": 1.0,
        "sparse_prediction": True,
    },
    masked=LoopConfig(seconds=30, lr=1e-3, lr_scale={"decoder": 0.5}, betas=(0.9, 0.98)),
    masked_batch=32,
    masked_texts=12_000,
    weak=Contrastive(
        LoopConfig(seconds=60, lr=1e-3, lr_scale=_ALL_WEIGHTS, betas=(0.9, 0.98)), cloze=0.5
    ),
    strong=Contrastive(
        LoopConfig(seconds=55, lr=1e-3, lr_scale=_ADAPTERS, betas=(0.9, 0.98)),
        cloze=0.3,
        lora=LoraSettings(
            targets=("qkv", "wo", "w12", "w3", "encoder"),
            ranks={"encoder": 64},
            alphas={"encoder": 64},
        ),
    ),
    bag=Contrastive(
        LoopConfig(seconds=45, lr=1e-3, lr_scale=_ALL_WEIGHTS, betas=(0.9, 0.98)), cloze=0.3
    ),
)


def _shorter(training: Contrastive, seconds: float) -> Contrastive:
    return replace(training, loop=replace(training.loop, seconds=seconds), batch_size=128)


QUICK = replace(
    FULL,
    packages=("stdlib",),
    digit_steps=300,
    vocabulary=8_192,
    masked=replace(FULL.masked, seconds=3),
    masked_texts=4_000,
    weak=_shorter(FULL.weak, 4),
    strong=_shorter(FULL.strong, 4),
    bag=_shorter(FULL.bag, 3),
)
