"""Right versions of the exercises of chapter 7 in other styles: the checks must accept each."""

import math

import numpy as np

from groundup.course.exercises.mutants import variant
from groundup.scratch.activations import softmax
from groundup.scratch.inputs import check_batch
from groundup.scratch.sampling import greedy, scale

IGNORE = -100


@variant("7.1", replaces="story_rows")
def padded_lists(texts, end):
    """Plain lists are padded, arrays are made at the end, of int32, and a list is returned."""
    stories = [list(text) for text in texts]
    if len(stories) == 0 or min(map(len, stories)) < 1:
        raise ValueError("no story")
    longest = max(map(len, stories))
    ids = [[end] + s + [end] * (longest - len(s)) for s in stories]
    targets = [s + [end] + [IGNORE] * (longest - len(s)) for s in stories]
    return [np.array(ids, np.int32), np.array(targets, np.int32)]


@variant("7.1", replaces="story_rows")
def shifted_after_filling(texts, end):
    """One array of T + 1 tokens is cut twice, and the filling of the targets is put in after."""
    if not len(texts) or any(len(text) == 0 for text in texts):
        raise ValueError("no story")
    lengths = np.array([len(text) for text in texts])
    whole = np.full((len(texts), lengths.max() + 2), end, dtype=np.int64)
    for row, text in zip(whole, texts, strict=True):
        row[1 : len(text) + 1] = list(text)
    targets = whole[:, 1:].copy()
    targets[np.arange(targets.shape[1]) > lengths[:, None]] = IGNORE
    return whole[:, :-1], targets


@variant("7.2", replaces="next_token_loss")
def by_logaddexp(logits, targets, ignore=IGNORE):
    """np.logaddexp over the tokens that count, in a loop, and a NumPy number for the loss."""
    if targets.shape != logits.shape[:2] or logits.ndim != 3 or np.all(targets == ignore):
        raise ValueError("targets")
    losses = []
    for place in zip(*np.nonzero(targets != ignore), strict=True):
        if not 0 <= targets[place] < logits.shape[-1]:
            raise ValueError("no token")
        losses.append(np.logaddexp.reduce(logits[place]) - logits[place][targets[place]])
    kept = targets != ignore
    return np.mean(losses), ((logits[kept], targets[kept]), kept, logits.shape)


@variant("7.2", replaces="next_token_loss_backward")
def softmax_of_all(cache):
    """Softmax, minus a one-hot matrix, over the number of rows, then put in by np.place."""
    (logits, targets), kept, shape = cache
    counted = softmax(logits) - np.eye(shape[-1], dtype=logits.dtype)[targets]
    dlogits = np.zeros(shape, logits.dtype)
    where = np.broadcast_to(kept[..., None], shape)
    np.place(dlogits, where, counted / logits.dtype.type(len(targets)))
    return dlogits


@variant("7.2", replaces="bits_per_byte")
def by_log2_of_e(loss, tokens, size):
    """The nats are turned by log2(e), and the refusal is written the other way round."""
    if not size > 0:
        raise ValueError("no bytes")
    return math.log2(math.e) * loss * (tokens / size)


@variant("7.3", replaces="sample")
def searched_row_by_row(rng, logits, temperature=1.0):
    """np.searchsorted in a loop over the rows, with uniform numbers up to the sum."""
    if temperature == 0:
        return greedy(logits)
    scaled = scale(logits, temperature).reshape(-1, logits.shape[-1])
    tokens = []
    for row in scaled:
        ends = np.cumsum(softmax(row))
        tokens.append(np.searchsorted(ends, rng.uniform(0, ends[-1]), side="right"))
    return np.array(tokens, np.int32).reshape(logits.shape[:-1])


@variant("7.3", replaces="sample")
def first_that_exceeds(rng, logits, temperature=1.0):
    """The first piece that exceeds u, by argmax; the sum is divided out."""
    if not temperature:
        return greedy(logits)
    weights = np.exp(scale(logits, temperature))
    ends = np.cumsum(weights, axis=-1)
    ends = ends / ends[..., -1][..., None]
    return np.argmax(ends > rng.random(logits.shape[:-1])[..., None], axis=-1)


@variant("7.4", replaces="top_p")
def sorted_by_argsort(logits, p):
    """A stable argsort, a sum before each token, and a new array filled by the ids."""
    greedy(logits)
    if not (p > 0 and p <= 1):
        raise ValueError("p")
    order = np.argsort(-logits, axis=-1, kind="stable")
    sorted_p = np.take_along_axis(softmax(logits.astype(np.float64)), order, axis=-1)
    keep_sorted = np.cumsum(sorted_p, axis=-1) - sorted_p < p
    keep = np.zeros(logits.shape, bool)
    np.put_along_axis(keep, order, keep_sorted | (p == 1), axis=-1)
    result = logits.copy()
    result[~keep] = -np.inf
    return result


@variant("7.4", replaces="top_p")
def walked(logits, p):
    """One row at a time, one token at a time, as the definition says."""
    if p <= 0 or p > 1 or p != p:
        raise ValueError("p")
    greedy(logits)
    result = np.full_like(logits, -np.inf)
    for row in np.ndindex(logits.shape[:-1]):
        probabilities = softmax(logits[row].astype(float))
        total = 0.0
        for token in sorted(range(len(probabilities)), key=lambda i: -logits[row][i]):
            if total >= p and p < 1:
                break
            result[(*row, token)] = logits[(*row, token)]
            total += probabilities[token]
    return result


@variant("7.5", replaces="extend")
def copies_returned(self, layer, k, v):
    """Each place is written by itself, and copies are returned, in a list."""
    for t in range(k.shape[2]):
        self.keys[layer][:, :, self.length + t] = k[:, :, t]
        self.values[layer][:, :, self.length + t] = v[:, :, t]
    stop = self.length + k.shape[2]
    return [np.array(store[layer, :, :, :stop]) for store in (self.keys, self.values)]


@variant("7.5", replaces="step")
def written_out(self, ids, cache, mask=None):
    """Mask and positions are computed here: comparisons of places, and a cumulated sum."""
    check_batch(ids, mask, self.config.vocabulary, self.config.max_length, cache.length)
    batch, new = ids.shape
    if cache.config != self.config or batch != cache.keys.shape[1]:
        raise ValueError("another cache")
    if cache.keys.dtype != self.params["embedding"].dtype:
        raise ValueError("another dtype")
    real = np.ones((batch, new), bool) if mask is None else mask
    old = cache.length
    cache.mask[:, old : old + new] = real
    seen = cache.mask[:, : old + new]
    places = np.arange(old + new)
    look = (places[None, :] <= places[old:, None])[None, None] & seen[:, None, None]
    positions = np.maximum(np.cumsum(seen, axis=1) - 1, 0)[:, old:]
    logits = self._run(ids, positions, look, cache)[0]
    cache.length += new
    return logits


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
