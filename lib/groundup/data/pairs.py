"""Pairs of texts that belong together: keep each once, and make more of them."""

from collections.abc import Sequence

import numpy as np


def distinct(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Each pair once. Pairs that share one text alone are different pairs, and are kept."""
    kept: dict[tuple[str, str], tuple[str, str]] = {}
    for query, document in pairs:
        kept.setdefault((query.casefold(), document.casefold()), (query, document))
    return list(kept.values())


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
