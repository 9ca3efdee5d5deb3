"""What the training loop asks of an objective."""

from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn


class Objective(Protocol):
    """What is trained: batches as a function of position, and a loss that is a sum.

    Attributes:
        coupled: the rows of a batch see each other (contrastive losses). Accumulating micro-batches
            would then be another loss, and the loop refuses it.
    """

    coupled: bool

    def batch(self, index: int, rank: int, processes: int) -> Any:
        """Micro-batch ``index`` of this process. It depends on the arguments alone, so a resumed
        run goes on exactly where the first one stopped."""
        ...

    def count(self, batch: Any) -> int:
        """How many items the loss of this batch sums over."""
        ...

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """The summed loss in nats, a scalar. Call ``model`` itself, not a method of it."""
        ...


@runtime_checkable
class DescribedObjective(Protocol):
    """An objective that can say what its batches depend on."""

    def description(self) -> dict[str, Any]:
        """Settings by name, and digests of what is long; a resumed run must have the same."""
        ...
