"""How ``groundup digits train`` trains. Fields, defaults and docstrings here are its options."""

from dataclasses import dataclass, replace

from groundup.lab.ranges import require_whole
from groundup.scratch.tasks.digits import SIZES, steps
from groundup.scratch.tasks.two_digits import TRAINING
from groundup.scratch.trainer import TrainConfig


@dataclass(frozen=True)
class QuestionRecipe:
    """What the trainings of both models choose.

    Attributes:
        size: questions drawn in an epoch: small 2,000, medium 10,000, large 50,000.
        epochs: how many.
        batch_size: questions in a step.
        lr: the peak learning rate.
        arguments: numbers in a question, 2 to 5.
        seed: of the split, the first weights and the order.
        patience: stop after so many measurements without a lower validation loss; keep the best.
    """

    size: str = "medium"
    epochs: int = 4
    batch_size: int = 64
    lr: float = 2e-3
    arguments: int = 3
    seed: int = 0
    patience: int | None = None

    def __post_init__(self) -> None:
        require_whole(epochs=self.epochs, batch_size=self.batch_size, arguments=self.arguments)
        if self.patience is not None:
            require_whole(patience=self.patience)
        if self.size not in SIZES:
            raise ValueError(f"size must be {', '.join(SIZES)}: got {self.size!r}")
        if not 2 <= self.arguments <= 5:
            raise ValueError(f"arguments: a question has 2 to 5 numbers: got {self.arguments}")
        if self.batch_size > self.rows:
            raise ValueError(
                f"batch_size: {self.rows} questions do not fill a batch of {self.batch_size}"
            )
        _ = self.config  # refuses what is out of range

    @property
    def rows(self) -> int:
        """Questions to train on."""
        raise NotImplementedError

    @property
    def config(self) -> TrainConfig:
        """The same in steps."""
        raise NotImplementedError


@dataclass(frozen=True)
class DigitRecipe(QuestionRecipe):
    """How the digit model is trained.

    Attributes:
        plain: the functions of the chapters, not their fast twin: slower, the same mathematics.
    """

    plain: bool = False

    @property
    def rows(self) -> int:
        """Questions to train on: eight in ten of 5 · 10ⁿ."""
        return 4 * 10**self.arguments

    @property
    def config(self) -> TrainConfig:
        """The same in steps."""
        count = steps(self.size, self.epochs, self.batch_size)
        warmup = min(100, count // 4)
        return TrainConfig(count, self.batch_size, self.lr, warmup=warmup, seed=self.seed)


@dataclass(frozen=True)
class TwoDigitRecipe(QuestionRecipe):
    """How the two-digit model is trained: for longer, on questions that are drawn once."""

    epochs: int = TRAINING.steps * TRAINING.batch_size // (SIZES["medium"] * 8 // 10)
    batch_size: int = TRAINING.batch_size
    lr: float = TRAINING.lr

    @property
    def rows(self) -> int:
        """Questions to train on: eight in ten of those drawn."""
        return SIZES[self.size] * 8 // 10

    @property
    def config(self) -> TrainConfig:
        """The same in steps."""
        count = self.rows * self.epochs // self.batch_size
        return replace(
            TRAINING,
            steps=count,
            batch_size=self.batch_size,
            lr=self.lr,
            warmup=min(TRAINING.warmup, count // 4),
            seed=self.seed,
        )
