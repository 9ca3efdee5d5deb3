"""Right versions of the exercises of chapter 1 in other styles: the checks must accept each."""

import itertools
import math
import re

import numpy as np

from groundup.course.exercises.mutants import variant
from groundup.scratch.tasks.digits import EOS, PAD, TOKEN_IDS


@variant("1.1", replaces="tokenize")
def by_regular_expression(text):
    """A regular expression finds the words, and the names are compared in lower case."""
    lower = {token.lower(): number for token, number in TOKEN_IDS.items()}
    words = re.findall(r"[(),]|[^\s(),]+", text)
    if len(words) == 0:
        raise ValueError("nothing is asked")
    try:
        return [lower[word.lower()] for word in words] + [lower["[eos]"]]
    except KeyError as error:
        raise ValueError(f"unknown word {error}") from error


@variant("1.1", replaces="tokenize")
def with_numpy_integers(text):
    """Character by character, and the ids are NumPy's integers."""
    words, word = [], ""
    for character in text + " ":
        if character.isspace() or character in "(),":
            words += [word] if word else []
            words += [] if character.isspace() else [character]
            word = ""
        else:
            word += character
    ids = [TOKEN_IDS.get(each, TOKEN_IDS.get(each.title())) for each in words]
    if not ids or None in ids:
        raise ValueError(f"can't read {text!r}")
    return [np.int64(each) for each in (*ids, EOS)]


@variant("1.2", replaces="pad")
def by_zip_longest(sequences):
    """itertools turns the sequences into columns, the mask comes from the lengths, in a list."""
    if len(sequences) == 0:
        raise ValueError("no sequences")
    lengths = np.array([[len(each)] for each in sequences])
    columns = list(itertools.zip_longest(*sequences, fillvalue=PAD))
    ids = np.array(columns, dtype=np.int32).reshape(-1, len(sequences)).T
    return [ids, np.arange(ids.shape[1]) < lengths]


@variant("1.2", replaces="pad")
def by_longer_lists(sequences):
    """New lists are made longer and then stacked."""
    if not sequences:
        raise ValueError("no sequences")
    width = max(len(each) for each in sequences)
    rows = [each + [PAD] * (width - len(each)) for each in sequences]
    real = [[True] * len(each) + [False] * (width - len(each)) for each in sequences]
    return np.array(rows, dtype=int), np.array(real, dtype=bool)


@variant("1.3", replaces="disjoint_split")
def by_unique(inputs, order, shares=(0.8, 0.1, 0.1)):
    """np.unique finds the first rows, and arrays do the rest; a tuple is returned."""
    if not np.array_equal(np.sort(order), np.arange(len(inputs))):
        raise ValueError("order must hold every row once")
    if any(share < 0 for share in shares) or not math.isclose(sum(shares), 1):
        raise ValueError("shares must be a whole")
    _, first, group = np.unique(inputs, axis=0, return_index=True, return_inverse=True)
    rank = np.empty(len(inputs), int)
    rank[order] = np.arange(len(order))
    places = rank[first].argsort().argsort()[group.ravel()]
    edges = [0, *(round(float(each)) for each in np.cumsum(shares) * len(first))]
    edges[-1] = len(first)
    here = places[order]
    return tuple(order[(low <= here) & (here < high)] for low, high in itertools.pairwise(edges))


@variant("1.3", replaces="disjoint_split")
def by_lists_of_rows(inputs, order, shares=(0.8, 0.1, 0.1)):
    """Sets of tuples and lists, made arrays of 32 bits at the end."""
    if sorted(map(int, order)) != list(range(len(inputs))):
        raise ValueError("order must hold every row once")
    if min(shares) < 0 or abs(math.fsum(shares) - 1) > 1e-9:
        raise ValueError("shares must be a whole")
    keys = [tuple(map(int, row)) for row in inputs]
    line = [keys[row] for row in order if keys.index(keys[row]) == row]
    parts, start = [], 0
    for number in range(len(shares)):
        stop = math.floor(math.fsum(shares[: number + 1]) * len(line) + 0.5)
        members = set(line[start:stop])
        chosen = [row for row in order if keys[row] in members]
        parts.append(np.array(chosen, dtype=np.int32))
        start = stop
    return parts
