"""What an encoder that answers questions is trained on: inputs and answers, row by row."""

from dataclasses import dataclass

from groundup.scratch.types import BoolArray, IntArray


@dataclass(frozen=True)
class Examples:
    """Inputs and answers, row by row.

    Attributes:
        ids: (N, T) token ids.
        mask: (N, T), True at real tokens.
        answers: (N,) the right digit.
        operations: (N,) index into :data:`~groundup.scratch.tasks.digits.OPERATIONS`.
    """

    ids: IntArray
    mask: BoolArray
    answers: IntArray
    operations: IntArray

    def __len__(self) -> int:
        return len(self.answers)

    def take(self, rows: IntArray) -> "Examples":
        """The examples of these rows, in this order."""
        return Examples(self.ids[rows], self.mask[rows], self.answers[rows], self.operations[rows])

    @property
    def counted(self) -> int:
        """How many answers there are: one an example."""
        return len(self)
