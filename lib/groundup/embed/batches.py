"""Which pairs make up a batch: no two share a text, or one would be a false negative of the other.

InfoNCE takes every other document of a batch for a wrong answer. A document that comes twice is
then pushed away from a query that it answers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from groundup.data.pairs import SHORTEST_PASSAGE, cloze
from groundup.lab.errors import UserError


def number_texts(texts: Iterable[str]) -> list[int]:
    """A number for each text; texts that differ in case or spacing alone have the same one."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(" ".join(t.casefold().split()), len(numbers)) for t in texts]


def choose_disjoint(
    rows: Iterable[int], numbers: Sequence[tuple[int, int]], taken: set[int], most: int
) -> list[int]:
    """The first rows that share no text with one another, nor with what was taken before.

    Args:
        rows: candidates, in the order of preference.
        numbers: of the query and the document of each row of the data.
        taken: the texts that are in use; those of the chosen rows are added.
        most: how many rows are wanted.

    Returns:
        At most ``most`` rows.
    """
    chosen: list[int] = []
    for row in rows:
        if len(chosen) == most:
            break
        if taken.isdisjoint(numbers[row]):
            taken.update(numbers[row])
            chosen.append(row)
    return chosen


@dataclass
class PairBatches:
    """Batches of pairs, each a seeded function of its position, the same in every process.

    Attributes:
        pairs: (query, document) texts.
        texts: what passages are taken from; those too short for one are left out.
        size: pairs of a batch.
        neighbours: share of a batch drawn as a run of neighbouring pairs.
        cloze: share of the pairs replaced by a passage of a text and the rest of that text, as long
            as there are texts that are not in the batch.
        seed: of the order.

    Raises:
        UserError: too few pairs have no text in common, or no text is long enough for ``cloze``.
    """

    pairs: list[tuple[str, str]]
    texts: list[str]
    size: int
    neighbours: float = 0.0
    cloze: float = 0.0
    seed: int = 0
    _numbers: list[tuple[int, int]] = field(init=False, repr=False)
    _text_numbers: list[int] = field(init=False, repr=False)
    _apart: list[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.texts = [t for t in self.texts if len(t.split()) >= 2 * SHORTEST_PASSAGE]
        if self.cloze and not self.texts:
            raise UserError("no text is long enough for cloze: set cloze to 0 or bring others")
        count = len(self.pairs)
        queries, documents = [q for q, _ in self.pairs], [d for _, d in self.pairs]
        numbers = number_texts([*queries, *documents, *self.texts])
        self._numbers = list(zip(numbers[:count], numbers[count : 2 * count], strict=True))
        self._text_numbers = numbers[2 * count :]
        self._apart = choose_disjoint(range(count), self._numbers, set(), count)
        if len(self._apart) < self.size:
            more = count - len(self._apart)
            others = f" ({more} more share a text with them)" if more else ""
            raise UserError(
                f"{len(self._apart)} pairs{others} do not fill a batch of {self.size}: "
                "lower batch_size or bring more pairs"
            )

    def rows(self, index: int) -> list[int]:
        """The pairs of batch ``index``.

        An epoch shows every pair once, but for those that share a text with one before them in
        their batch: the next pairs of the epoch take their places.
        """
        count = len(self.pairs)
        near = int(self.size * self.neighbours)
        epoch, position = divmod(index, count // self.size)
        order = np.random.default_rng([self.seed, epoch]).permutation(count)
        ahead = np.roll(order, -position * self.size)
        taken: set[int] = set()
        chosen = choose_disjoint(map(int, ahead), self._numbers, taken, self.size - near)
        if near:
            start = int(np.random.default_rng([self.seed, 1, index]).integers(count))
            run = np.roll(np.arange(count), -start)
            chosen += choose_disjoint(map(int, run), self._numbers, taken, near)
        if len(chosen) < self.size:  # the first ones shut out too many of the others
            rng = np.random.default_rng([self.seed, 3, index])
            chosen = rng.permutation(self._apart)[: self.size].tolist()
        return chosen

    def batch(self, index: int) -> list[tuple[str, str]]:
        """The (query, document) texts of batch ``index``."""
        rng = np.random.default_rng([self.seed, 2, index])
        rows = self.rows(index)
        taken = {number for row in rows for number in self._numbers[row]}
        spare = map(int, rng.permutation(len(self.texts)) if self.cloze else ())
        result = []
        for row in rows:
            pair = self.pairs[row]
            if rng.random() < self.cloze:
                free = (i for i in spare if self._text_numbers[i] not in taken)
                text = next(free, None)
                if text is not None:
                    taken.add(self._text_numbers[text])
                    pair = cloze(self.texts[text], rng)
            result.append(pair)
        return result
