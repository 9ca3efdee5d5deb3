"""The digit task: read "Max ( 5 3 9 )", answer 9. Small enough to watch, hard enough to need
positions (First, Second, Last) and comparison (Max, Min)."""

from dataclasses import dataclass

import numpy as np

from groundup.scratch.encoder import Encoder
from groundup.scratch.examples import Examples
from groundup.scratch.tasks.splits import disjoint_split
from groundup.scratch.trainer import predict
from groundup.scratch.types import BoolArray, IntArray

OPERATIONS = ("First", "Second", "Last", "Max", "Min")
VOCABULARY = ("[PAD]", "[EOS]", *OPERATIONS, "(", ")", ",", *"0123456789")
PAD, EOS = 0, 1
SIZES = {"small": 2_000, "medium": 10_000, "large": 50_000}
"""Draws in an epoch. They come from the training part, none twice until all have come once."""

TOKEN_IDS = {token: i for i, token in enumerate(VOCABULARY)}


@dataclass(frozen=True)
class DigitSplits:
    """Training, validation and test examples. No input occurs in two of them."""

    train: Examples
    validation: Examples
    test: Examples


def answer(operation: str, digits: tuple[int, ...]) -> int:
    """What the task asks for: ``answer("Max", (5, 3, 9))`` is 9.

    Raises:
        ValueError: there is no such operation, or fewer than two digits.
    """
    if operation not in OPERATIONS or len(digits) < 2:
        raise ValueError(
            f"ask for {', '.join(OPERATIONS)} of at least two digits: got {operation!r} of {digits}"
        )
    if operation == "First":
        return digits[0]
    if operation == "Second":
        return digits[1]
    if operation == "Last":
        return digits[-1]
    return max(digits) if operation == "Max" else min(digits)


def tokenize(text: str) -> list[int]:
    """Token ids of a question such as ``"Max ( 5 3 9 )"``, ending in [EOS].

    Brackets and commas are words too; spaces around them may be left out. Operations are accepted
    in any case, and words in any order.

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


def parse(text: str, arguments: int = 3) -> list[int]:
    """Like :func:`tokenize`, for questions the digit model was trained on.

    Raises:
        ValueError: the question has another form than operation ( digit … digit ), or another
            number of digits than ``arguments``.
    """
    ids = tokenize(text)
    if _form(ids) != f"o({'d' * arguments})e":
        number = "three" if arguments == 3 else arguments
        form = " ".join("5394782610"[i % 10] for i in range(arguments))
        raise ValueError(
            f'the model answers an operation on {number} digits, as in "Max ( {form} )": '
            f"got {text!r}"
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
        ids (N, T), whole numbers of at least 32 bits, filled up with [PAD] on the right, and the
        mask (N, T), True at real tokens. A sequence may be empty.

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
        arguments: n, the digits in a question, from 2 (so that Second has an answer) to 5 (half a
            million inputs).

    Raises:
        ValueError: n lies outside 2 to 5.
    """
    if not 2 <= arguments <= 5:
        raise ValueError(f"a question has 2 to 5 digits: got {arguments}")
    digits = np.indices((10,) * arguments).reshape(arguments, -1).T  # (10^n, n)
    each = [digits[:, 0], digits[:, 1], digits[:, -1], digits.max(axis=1), digits.min(axis=1)]
    operations = np.repeat(np.arange(len(OPERATIONS)), len(digits))
    question = [TOKEN_IDS["("], *[0] * arguments, TOKEN_IDS[")"], EOS]
    ids = np.tile([0, *question], (len(operations), 1))
    ids[:, 0] = TOKEN_IDS[OPERATIONS[0]] + operations
    ids[:, 2:-2] = TOKEN_IDS["0"] + np.tile(digits, (len(OPERATIONS), 1))
    return Examples(ids, ids != PAD, np.concatenate(each), operations)


def make_splits(rng: np.random.Generator, arguments: int = 3) -> DigitSplits:
    """Shuffle all inputs and cut them 80/10/10. An input is on one side only.

    Each operation has the same share of each part. Drawing examples at random instead would put
    most test inputs into the training part too (5,000 distinct ones go quickly), and memorising
    would look like learning.
    """
    examples = all_examples(arguments)
    order = rng.permutation(len(examples))
    # In turn one of each operation: a cut anywhere leaves them balanced.
    turns = [order[examples.operations[order] == i] for i in range(len(OPERATIONS))]
    parts = disjoint_split(examples.ids, np.stack(turns, axis=1).ravel())
    return DigitSplits(*(examples.take(rows) for rows in parts))


def steps(size: str, epochs: int, batch_size: int) -> int:
    """Optimizer steps in so many epochs. An epoch is a number of draws, see :data:`SIZES`.

    Raises:
        ValueError: there is no such size, or the epochs do not fill a batch.
    """
    if size not in SIZES:
        raise ValueError(f"size must be {', '.join(SIZES)}: got {size!r}")
    if epochs < 1 or not 1 <= batch_size <= SIZES[size] * epochs:
        raise ValueError(
            f"{epochs} epochs of {SIZES[size]} draws do not fill a batch of {batch_size}"
        )
    return SIZES[size] * epochs // batch_size


def accuracy(model: Encoder, data: Examples) -> dict[str, float]:
    """Share of right answers: under ``"all"``, and under each operation's name."""
    right = predict(model, data).argmax(axis=-1) == data.answers
    result = {"all": float(right.mean())}
    for index, name in enumerate(OPERATIONS):
        chosen = data.operations == index
        if chosen.any():
            result[name] = float(right[chosen].mean())
    return result
