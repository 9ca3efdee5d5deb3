"""The digit task with numbers from 0 to 99, answered a digit at a time by a decoder.

The format: ``Max ( 5 3 , 0 9 , 7 0 )`` is answered ``7 0 [EOS]``.

- A digit is a token, as in :mod:`groundup.scratch.tasks.digits`, and the vocabulary of 20 stays. A
  hundred number tokens would hide that 53 and 57 begin alike; the answer would be one choice again.
- A number has two digits, 9 is written 09. So each digit has its place in the sequence, and the
  answer has one length. Written as people write them, 9 beside 70, numbers move each other about,
  and the same decoder was wrong several times as often, mostly on Max and Min.
- A comma separates numbers. They could be told apart without it; with it the model was right a
  little more often.
- The closing bracket ends the question; the answer begins behind it and ends in [EOS].
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from groundup.scratch.decoder import Decoder, DecoderConfig
from groundup.scratch.generate import generate
from groundup.scratch.language import Rows, question_rows
from groundup.scratch.sampling import greedy
from groundup.scratch.tasks.digits import EOS, OPERATIONS, TOKEN_IDS, tokenize
from groundup.scratch.trainer import TrainConfig
from groundup.scratch.types import IntArray

MODEL = DecoderConfig(width=32, heads=8, hidden=128)
"""The decoder for the task: 27,136 parameters. It is narrower than the default, so
that a step takes half as long and there can be more of them; and it has more heads."""

TRAINING = TrainConfig(steps=10_000, batch_size=64, lr=3e-3, warmup=200, weight_decay=1.0)
"""How it is trained: with more steps and more weight decay than the digit model."""


@dataclass(frozen=True)
class Questions:
    """Questions on numbers from 0 to 99, row by row.

    Attributes:
        operations: (N,) index into :data:`~groundup.scratch.tasks.digits.OPERATIONS`.
        numbers: (N, n) the arguments.
    """

    operations: IntArray
    numbers: IntArray

    def __len__(self) -> int:
        return len(self.operations)

    def take(self, rows: IntArray) -> "Questions":
        """The questions of these rows, in this order."""
        return Questions(self.operations[rows], self.numbers[rows])

    @property
    def answers(self) -> IntArray:
        """(N,) the right numbers."""
        n = self.numbers
        each = np.stack([n[:, 0], n[:, 1], n[:, -1], n.max(axis=1), n.min(axis=1)])
        right: IntArray = each[self.operations, np.arange(len(self))]
        return right

    def prompts(self) -> list[list[int]]:
        """The token ids of each question, up to its closing bracket."""
        rows = zip(self.operations, self.numbers.tolist(), strict=True)
        return [prompt(OPERATIONS[operation], numbers) for operation, numbers in rows]

    def rows(self) -> Rows:
        """Each question with its answer, to train on: only the answer is a target."""
        return question_rows(self.prompts(), [digits(a) for a in self.answers.tolist()])


@dataclass(frozen=True)
class TwoDigitSplits:
    """Training, validation and test questions. No question occurs twice, in one or in two."""

    train: Questions
    validation: Questions
    test: Questions


def digits(number: int) -> list[int]:
    """Token ids of an answer: ``digits(9)`` is "0", "9", [EOS].

    Raises:
        ValueError: the number does not lie in 0 to 99.
    """
    if not 0 <= number <= 99:
        raise ValueError(f"numbers go from 0 to 99: got {number}")
    return [*(TOKEN_IDS[digit] for digit in f"{number:02d}"), EOS]


def prompt(operation: str, numbers: Sequence[int]) -> list[int]:
    """Token ids of a question: ``prompt("Max", (5, 70))`` is "Max ( 0 5 , 7 0 )".

    Raises:
        ValueError: the operation is unknown, or a number does not lie in 0 to 99.
    """
    if operation not in OPERATIONS:
        raise ValueError(f"operation must be one of {', '.join(OPERATIONS)}: got {operation!r}")
    if not all(0 <= n <= 99 for n in numbers):
        raise ValueError(f"numbers go from 0 to 99: got {list(numbers)}")
    written = " , ".join(" ".join(f"{n:02d}") for n in numbers)
    return tokenize(f"{operation} ( {written} )")[:-1]  # the [EOS] belongs to the answer here


def read(ids: Sequence[int]) -> int | None:
    """The number that an answer's tokens write, [EOS] included; None where they write none."""
    written = {tuple(digits(number)): number for number in range(100)}
    return written.get(tuple(ids))


def draw(rng: np.random.Generator, count: int, arguments: int = 3) -> Questions:
    """Draw questions, balanced over operations and over answers below 10 and above.

    Numbers drawn at random would make one answer in ten smaller than 10, and one in a thousand for
    Max of three. So the answer is drawn first: below 10 or not with equal chance, then the
    number. The other arguments follow from it: anything for First, Second and Last; at most the
    answer for Max and at least the answer for Min, with the answer at a place of its own.

    Args:
        rng: the generator.
        count: N, how many.
        arguments: n, the numbers in a question, at least 2.

    Raises:
        ValueError: count is below 1, or arguments is below 2, so that Second has no answer.
    """
    if count < 1 or arguments < 2:
        raise ValueError(
            f"draw needs count of at least 1, arguments of at least 2: got {count}, {arguments}"
        )
    # Row i has operation i mod 5; of its rows every other one has an answer of 10 or more.
    operations = np.arange(count) % len(OPERATIONS)
    wide = np.arange(count) // len(OPERATIONS) % 2 == 1
    answers = np.where(wide, rng.integers(10, 100, count), rng.integers(0, 10, count))
    is_max, is_min = (operations == OPERATIONS.index(name) for name in ("Max", "Min"))
    low, high = np.where(is_min, answers, 0), np.where(is_max, answers, 99)
    numbers = rng.integers(low[:, None], high[:, None], (count, arguments), endpoint=True)
    anywhere = rng.integers(0, arguments, count)
    place = np.array([0, 1, arguments - 1, 0, 0])[operations]
    numbers[np.arange(count), np.where(is_max | is_min, anywhere, place)] = answers
    return Questions(operations, numbers)


def make_splits(
    rng: np.random.Generator, count: int = 10_000, arguments: int = 3
) -> TwoDigitSplits:
    """Draw questions, no question twice, shuffle them, and cut them 80/10/10.

    Each operation has a fifth of them. Half of a fifth has an answer below 10, but for Max: its
    questions with such an answer are few (1,000 with three arguments, far fewer with an answer near
    0), repeats of them are dropped, and questions with larger answers fill the gap.

    Args:
        rng: the generator.
        count: how many in all; a multiple of 5, at least 50.
        arguments: n, see :func:`draw`.

    Raises:
        ValueError: the count is not such a multiple, or there are not as many questions.
    """
    each = count // len(OPERATIONS)
    if count < 50 or count % len(OPERATIONS):
        raise ValueError(f"count must be a multiple of {len(OPERATIONS)}, at least 50: got {count}")
    drawn = draw(rng, 2 * count, arguments)
    keys = np.column_stack([drawn.operations, drawn.numbers])
    _, first = np.unique(keys, axis=0, return_index=True)
    first.sort()  # as they were drawn
    chosen = [first[drawn.operations[first] == i][:each] for i in range(len(OPERATIONS))]
    if min(len(rows) for rows in chosen) < each:
        raise ValueError(f"{arguments} arguments do not give {count} different questions")
    order = rng.permutation(np.concatenate(chosen))
    one, two = int(0.8 * count), int(0.9 * count)
    return TwoDigitSplits(*(drawn.take(part) for part in np.split(order, [one, two])))


def answers(model: Decoder, data: Questions, batch_size: int = 500) -> list[list[int]]:
    """What the model writes to each question, greedily, up to three tokens."""
    prompts = data.prompts()
    written = []
    for i in range(0, len(data), batch_size):
        written += generate(model, prompts[i : i + batch_size], greedy, 3, stop=(EOS,))
    return written


def exact_match(model: Decoder, data: Questions) -> dict[str, float]:
    """Share of answers that are right to the last token, [EOS] included.

    Returns:
        Under ``"all"``, under each operation's name, and under ``"0 to 9"`` and ``"10 to 99"``, by
        the right answer. A group without questions is left out.
    """
    wanted = data.answers
    written = answers(model, data)
    right = np.array([w == digits(a) for w, a in zip(written, wanted.tolist(), strict=True)])
    groups = {name: data.operations == i for i, name in enumerate(OPERATIONS)}
    groups |= {"0 to 9": wanted < 10, "10 to 99": wanted >= 10}
    shares = {name: float(right[chosen].mean()) for name, chosen in groups.items() if chosen.any()}
    return {"all": float(right.mean()), **shares}
