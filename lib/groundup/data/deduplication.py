"""Repeated entries within a corpus, and near copies between its splits."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from groundup.data.docstrings import Entry

SHINGLE_WORDS = 5


def without_repeats(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """The first of each group of repeats: equal texts, or equal summary and last name."""
    kept: list[Entry] = []
    seen: set[tuple[str, str]] = set()
    for entry in entries:
        summary = normal_text(entry.summary)
        keys = {(entry.name.rpartition(".")[2], summary)}
        if entry.body:
            keys.add((summary, normal_text(entry.body)))
        if not keys & seen:
            kept.append(entry)
        seen |= keys
    return tuple(kept)


def without_near_copies(entries: Iterable[Entry], held_out: Sequence[Entry]) -> list[Entry]:
    """Entries whose summary is in no held-out entry, nor over half of whose shingles are in one."""
    summaries = {normal_text(entry.summary) for entry in held_out}
    owners: dict[str, list[int]] = defaultdict(list)
    for number, entry in enumerate(held_out):
        for shingle in _shingles(entry.body):
            owners[shingle].append(number)
    kept = []
    for entry in entries:
        if normal_text(entry.summary) in summaries:
            continue
        shingles = _shingles(entry.body)
        shared = Counter(number for shingle in shingles for number in owners.get(shingle, ()))
        if not shared or max(shared.values()) <= 0.5 * len(shingles):
            kept.append(entry)
    return kept


def _shingles(text: str) -> set[str]:
    """Every run of five words; a shorter text is one shingle."""
    words = normal_text(text).split()
    starts = range(max(len(words) - SHINGLE_WORDS + 1, min(len(words), 1)))
    return {" ".join(words[start : start + SHINGLE_WORDS]) for start in starts}


def normal_text(text: str) -> str:
    """The words alone, lower-cased: texts equal in this form count as the same."""
    return " ".join(re.findall(r"\w+", text.lower()))
