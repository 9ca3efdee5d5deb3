"""Right versions of the exercises of chapter 7 in other styles, as each docstring says."""

import math

import numpy as np

from groundup.course.implementations import variant
from groundup.scratch.sampling import greedy


@variant("7.1", replaces="story_rows")
def filled_first(texts, end):
    """Arrays of the filling first, then the stories written into them."""
    if len(texts) == 0 or min(len(text) for text in texts) == 0:
        raise ValueError("stories")
    longest = max(len(text) for text in texts)
    ids = np.full((len(texts), longest + 1), end)
    targets = np.full((len(texts), longest + 1), -100)
    for row, text in enumerate(texts):
        ids[row, 1 : len(text) + 1] = text
        targets[row, : len(text)] = text
        targets[row, len(text)] = end
    return [ids, targets]


@variant("7.2", replaces="bits_per_byte")
def by_log2_of_e(loss, tokens, size):
    """Nats times log2 e, as a NumPy number."""
    if not size > 0:
        raise ValueError("size")
    return np.float64(loss * tokens * math.log2(math.e) / size)


@variant("7.3", replaces="sample")
def inverted(rng, logits, temperature=1.0):
    """np.searchsorted, one row after the other."""
    if not 0 <= temperature < np.inf:
        raise ValueError("temperature")
    best = greedy(logits)
    if temperature == 0:
        return best
    rows = logits.reshape(-1, logits.shape[-1]).astype(np.float64)
    weights = np.exp((rows - rows.max(-1, keepdims=True)) / temperature)
    ends = np.cumsum(weights / weights.sum(-1, keepdims=True), axis=-1)
    u = rng.random(len(rows)) * ends[:, -1]
    drawn = [np.searchsorted(end, x, side="right") for end, x in zip(ends, u, strict=True)]
    return np.array(drawn).reshape(logits.shape[:-1])


@variant("7.4", replaces="top_p")
def row_by_row(logits, p):
    """A loop over the rows, and over the tokens of each."""
    if not (p > 0 and p <= 1):
        raise ValueError("p")
    greedy(logits)
    result = np.array(logits, copy=True)
    if p == 1:
        return result
    for row in result.reshape(-1, logits.shape[-1]):
        shares = np.exp(row - row.max())
        shares = shares / shares.sum()
        reached = 0.0
        for token in sorted(range(len(row)), key=lambda i: (-row[i], i)):
            if reached >= p:
                row[token] = -np.inf
            reached += shares[token]
    return result
