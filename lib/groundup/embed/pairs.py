"""Pairs of texts that belong together: read them, keep each once, and make more of them."""

from collections.abc import Sequence

import numpy as np

from groundup.lab.texts import read_pairs as load_pairs

__all__ = ["LONGEST_PASSAGE", "SHORTEST_PASSAGE", "cloze", "distinct", "load_pairs"]


def distinct(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Pairs whose query and document are both new: two copies of one document in a batch would be
    each other's negatives."""
    seen: tuple[set[str], set[str]] = (set(), set())
    kept = []
    for query, document in pairs:
        keys = query.casefold(), document.casefold()
        if keys[0] not in seen[0] and keys[1] not in seen[1]:
            kept.append((query, document))
            seen[0].add(keys[0])
            seen[1].add(keys[1])
    return kept


SHORTEST_PASSAGE, LONGEST_PASSAGE = 8, 24
"""Words of a passage; a text gives one if at least as much remains."""


def cloze(text: str, rng: np.random.Generator) -> tuple[str, str]:
    """A random passage of a text as the query, the text without it as the document.

    Args:
        text: at least twice :data:`SHORTEST_PASSAGE` words.
        rng: chooses the passage.
    """
    words = text.split()
    longest = min(LONGEST_PASSAGE, len(words) // 2)
    length = int(rng.integers(SHORTEST_PASSAGE, longest + 1))
    start = int(rng.integers(len(words) - length + 1))
    passage, rest = words[start : start + length], words[:start] + words[start + length :]
    return " ".join(passage), " ".join(rest)
