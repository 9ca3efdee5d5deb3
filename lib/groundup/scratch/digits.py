"""The digit task: read "Max ( 5 3 9 )", answer 9. Small enough to watch, hard enough to need
positions (First, Second, Last) and comparison (Max, Min)."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from groundup.scratch.splits import disjoint_split
from groundup.scratch.types import BoolArray, IntArray

OPERATIONS = ("First", "Second", "Last", "Max", "Min")
VOCABULARY = ("[PAD]", "[EOS]", *OPERATIONS, "(", ")", ",", *"0123456789")
PAD, EOS = 0, 1
TOKEN_IDS = {token: i for i, token in enumerate(VOCABULARY)}


@dataclass(frozen=True)
class Examples:
    """Inputs and answers, row by row.

    Attributes:
        ids: (N, T) token ids.
        mask: (N, T), True at real tokens.
        answers: (N,) the right digit.
        operations: (N,) index into :data:`OPERATIONS`.
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


@dataclass(frozen=True)
class Splits:
    """Training, validation and test examples. No input occurs in two of them."""

    train: Examples
    validation: Examples
    test: Examples


def answer(operation: str, digits: tuple[int, ...]) -> int:
    """What the task asks for: ``answer("Max", (5, 3, 9))`` is 9."""
    if operation == "First":
        return digits[0]
    if operation == "Second":
        return digits[1]
    if operation == "Last":
        return digits[-1]
    return max(digits) if operation == "Max" else min(digits)


def tokenize(text: str) -> list[int]:
    """Token ids of a question such as ``"Max ( 5 3 9 )"``, ending in [EOS].

    Spaces around brackets and commas may be left out. Operations are accepted in any case.

    Raises:
        ValueError: the question is empty, or a word is not in the vocabulary.
    """
    words = text.replace("(", " ( ").replace(")", " ) ").replace(",", " , ").split()
    if not words:
        raise ValueError('the question is empty; ask for example "Max ( 5 3 9 )"')
    ids = []
    for word in words:
        known = word if word in TOKEN_IDS else word.capitalize()
        if known not in TOKEN_IDS:
            raise ValueError(
                f"{word!r} is not in the vocabulary: use {', '.join(OPERATIONS)}, brackets and "
                'digits 0 to 9, as in "Max ( 5 3 9 )"'
            )
        ids.append(TOKEN_IDS[known])
    return [*ids, EOS]


def parse(text: str) -> list[int]:
    """Like :func:`tokenize`, for questions the digit model was trained on.

    Raises:
        ValueError: the question has another form than operation ( digit digit digit ).
    """
    ids = tokenize(text)
    if len(ids) != 7 or _form(ids) != "o(ddd)e":
        raise ValueError(
            f'the model answers an operation on three digits, as in "Max ( 5 3 9 )": got {text!r}'
        )
    return ids


def _form(ids: list[int]) -> str:
    kinds = {EOS: "e", TOKEN_IDS["("]: "(", TOKEN_IDS[")"]: ")"}
    kinds |= {TOKEN_IDS[name]: "o" for name in OPERATIONS}
    kinds |= {TOKEN_IDS[digit]: "d" for digit in "0123456789"}
    return "".join(kinds.get(i, "?") for i in ids)


def pad(sequences: list[list[int]]) -> tuple[IntArray, BoolArray]:
    """Stack sequences of different lengths.

    Returns:
        ids (N, T) filled up with [PAD] on the right, and the mask (N, T), True at real tokens.

    Raises:
        ValueError: there is no sequence.
    """
    if not sequences:
        raise ValueError("pad needs at least one sequence: got none")
    length = max(len(s) for s in sequences)
    ids = np.full((len(sequences), length), PAD)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = sequence
    return ids, ids != PAD


def all_examples(arguments: int = 3) -> Examples:
    """Every input there is: 5 operations on 10^n digit tuples. 5,000 with three digits.

    Args:
        arguments: n, the digits in a question, at least 2.

    Raises:
        ValueError: n is below 2, so that Second has no answer.
    """
    if arguments < 2:
        raise ValueError(f"Second needs at least 2 digits in a question: got {arguments}")
    sequences, answers, operations = [], [], []
    for (index, operation), digits in product(
        enumerate(OPERATIONS), product(range(10), repeat=arguments)
    ):
        sequences.append(tokenize(f"{operation} ( {' '.join(map(str, digits))} )"))
        answers.append(answer(operation, digits))
        operations.append(index)
    ids, mask = pad(sequences)
    return Examples(ids, mask, np.array(answers), np.array(operations))


def make_splits(rng: np.random.Generator, arguments: int = 3) -> Splits:
    """Shuffle all inputs and cut them 80/10/10. An input is on one side only.

    Drawing examples at random instead would put most test inputs into the training part too
    (5,000 distinct ones go quickly), and memorising would look like learning.
    """
    examples = all_examples(arguments)
    parts = disjoint_split(examples.ids, rng.permutation(len(examples)))
    return Splits(*(examples.take(rows) for rows in parts))
