"""Wrong versions of the exercises of chapter 7. What is wrong stands in each docstring."""

import numpy as np

from groundup.course.implementations import mutant
from groundup.scratch.activations import softmax
from groundup.scratch.decoder import _positions
from groundup.scratch.inputs import check_batch
from groundup.scratch.loss import cross_entropy, cross_entropy_backward
from groundup.scratch.masks import causal_mask, key_mask
from groundup.scratch.sampling import _keep, _rank, greedy, scale

IGNORE = -100


def _rows(texts, end):
    """The right rows, for the mutants to spoil."""
    if not texts or not all(len(text) for text in texts):
        raise ValueError("stories of at least one token")
    ids = np.full((len(texts), 1 + max(map(len, texts))), end)
    targets = np.full(ids.shape, IGNORE)
    for i, text in enumerate(texts):
        ids[i, 1 : len(text) + 1] = text
        targets[i, : len(text) + 1] = [*text, end]
    return ids, targets


@mutant("7.1", replaces="story_rows")
def targets_not_shifted(texts, end):
    """The targets are not shifted: each token is its own target, and the model learns to copy."""
    ids, targets = _rows(texts, end)
    return ids, np.where(targets == IGNORE, IGNORE, ids)


@mutant("7.1", replaces="story_rows")
def targets_shifted_twice(texts, end):
    """The targets are shifted twice: what is learned is the token after the next one."""
    ids, targets = _rows(texts, end)
    later = np.full(targets.shape, IGNORE)
    later[:, :-1] = targets[:, 1:]
    return ids, later


@mutant("7.1", replaces="story_rows")
def targets_shifted_back(texts, end):
    """The targets are shifted the wrong way: at each token the one before it is asked for."""
    ids, targets = _rows(texts, end)
    earlier = np.full(targets.shape, end)
    earlier[:, 1:] = ids[:, :-1]
    return ids, np.where(targets == IGNORE, IGNORE, earlier)


@mutant("7.1", replaces="story_rows")
def filling_is_learned(texts, end):
    """The targets of the filling are end and not IGNORE, and are learned like words."""
    ids, targets = _rows(texts, end)
    return ids, np.where(targets == IGNORE, end, targets)


@mutant("7.1", replaces="story_rows")
def end_not_learned(texts, end):
    """The end of a story is no target: the model never learns to stop."""
    ids, targets = _rows(texts, end)
    for i, text in enumerate(texts):
        targets[i, len(text)] = IGNORE
    return ids, targets


@mutant("7.1", replaces="story_rows")
def start_not_learned(texts, end):
    """The rows begin with the story's first token, so that nothing learns to begin a story."""
    ids, targets = _rows(texts, end)
    return ids[:, 1:], targets[:, 1:]


@mutant("7.1", replaces="story_rows")
def filled_on_the_left(texts, end):
    """The filling stands on the left, where every token of the story can look at it."""
    ids, targets = _rows(texts, end)
    for i, text in enumerate(texts):
        by = ids.shape[1] - 1 - len(text)
        ids[i], targets[i] = np.roll(ids[i], by), np.roll(targets[i], by)
    return ids, targets


@mutant("7.1", replaces="story_rows")
def ids_filled_with_ignore(texts, end):
    """The ids are filled up with IGNORE, which is no token: to NumPy it counts from the end."""
    ids, targets = _rows(texts, end)
    for i, text in enumerate(texts):
        ids[i, len(text) + 1 :] = IGNORE
    return ids, targets


@mutant("7.1", replaces="story_rows")
def cut_to_the_shortest(texts, end):
    """All rows are cut to the shortest story, and the ends of the others are lost."""
    ids, targets = _rows(texts, end)
    wide = 1 + min(map(len, texts))
    return ids[:, :wide], targets[:, :wide]


@mutant("7.1", replaces="story_rows")
def end_appended(texts, end):
    """end is appended to the caller's lists: the next call finds longer stories."""
    ids, targets = _rows(texts, end)
    for text in texts:
        text.append(end)
    return ids, targets


@mutant("7.1", replaces="story_rows")
def empty_stories_taken(texts, end):
    """An empty story is not refused: its row teaches nothing but to stop before the first word."""
    wide = 1 + max(map(len, texts))
    ids = [[end, *text, *[end] * (wide - 1 - len(text))] for text in texts]
    targets = [[*text, end, *[IGNORE] * (wide - 1 - len(text))] for text in texts]
    return np.array(ids), np.array(targets)


@mutant("7.1", replaces="story_rows")
def swapped(texts, end):
    """ids and targets come back in the wrong order."""
    ids, targets = _rows(texts, end)
    return targets, ids


def _refuse(logits, targets, ignore):
    if logits.shape[:-1] != targets.shape or (targets == ignore).all():
        raise ValueError("targets must fit, and one must count")


def _surprise(logits, targets, ignore):
    """(B, T) −log p of each target, zero where it is ignored; and which count."""
    _refuse(logits, targets, ignore)
    kept = targets != ignore
    log_p = np.log(softmax(logits))
    chosen = np.take_along_axis(log_p, np.where(kept, targets, 0)[..., None], axis=-1)[..., 0]
    return np.where(kept, -chosen, 0.0), kept


def _cache(logits, targets, ignore):
    """What the right backward pass needs."""
    kept = targets != ignore
    return cross_entropy(logits[kept], targets[kept])[1], kept, logits.shape


@mutant("7.2", replaces="next_token_loss")
def ignored_in_the_mean(logits, targets, ignore=IGNORE):
    """The sum is divided by all tokens, the ignored ones too: padding makes the loss look small."""
    surprise, _ = _surprise(logits, targets, ignore)
    return float(surprise.mean()), _cache(logits, targets, ignore)


@mutant("7.2", replaces="next_token_loss")
def ignored_as_token_0(logits, targets, ignore=IGNORE):
    """Ignored targets are replaced by 0, and 0 is a token: it is counted and learned."""
    _refuse(logits, targets, ignore)
    filled = np.where(targets == ignore, 0, targets)
    loss, _ = cross_entropy(logits.reshape(-1, logits.shape[-1]), filled.reshape(-1))
    return loss, _cache(logits, targets, ignore)


@mutant("7.2", replaces="next_token_loss")
def summed(logits, targets, ignore=IGNORE):
    """The surprises are summed and not averaged: long texts get a large loss."""
    surprise, _ = _surprise(logits, targets, ignore)
    return float(surprise.sum()), _cache(logits, targets, ignore)


@mutant("7.2", replaces="next_token_loss")
def mean_of_the_rows(logits, targets, ignore=IGNORE):
    """The mean of the rows' means: a token in a short row counts more than one in a long row."""
    surprise, kept = _surprise(logits, targets, ignore)
    means = surprise.sum(axis=1) / np.maximum(kept.sum(axis=1), 1)
    return float(means[kept.any(axis=1)].mean()), _cache(logits, targets, ignore)


@mutant("7.2", replaces="next_token_loss")
def loss_in_bits(logits, targets, ignore=IGNORE):
    """The logarithm to base 2: the loss is in bits and the gradient in nats."""
    surprise, kept = _surprise(logits, targets, ignore)
    return float(surprise[kept].mean() / np.log(2)), _cache(logits, targets, ignore)


@mutant("7.2", replaces="next_token_loss")
def shifted_again(logits, targets, ignore=IGNORE):
    """The targets are shifted here once more: they come shifted already."""
    if logits.shape[:-1] != targets.shape or (targets[:, 1:] == ignore).all():
        raise ValueError("targets must fit, and one must count")
    surprise, kept = _surprise(logits[:, :-1], targets[:, 1:], ignore)
    return float(surprise[kept].mean()), _cache(logits, targets, ignore)


@mutant("7.2", replaces="next_token_loss")
def ignore_is_always_100(logits, targets, ignore=IGNORE):
    """The argument ignore is not used: -100 stands in the code in its place."""
    surprise, kept = _surprise(logits, targets, IGNORE)
    return float(surprise[kept].mean()), _cache(logits, targets, IGNORE)


@mutant("7.2", replaces="next_token_loss")
def one_loss_a_token(logits, targets, ignore=IGNORE):
    """The surprise of every token is returned, without their mean."""
    surprise, kept = _surprise(logits, targets, ignore)
    return surprise[kept], _cache(logits, targets, ignore)


@mutant("7.2", replaces="next_token_loss")
def no_target_is_nan(logits, targets, ignore=IGNORE):
    """That no target counts is not refused: the mean of nothing is NaN, and so is the model."""
    if logits.shape[:-1] != targets.shape:
        raise ValueError("targets must fit")
    kept = targets != ignore
    if not kept.any():
        return float("nan"), None
    return cross_entropy(logits[kept], targets[kept])[0], _cache(logits, targets, ignore)


@mutant("7.2", replaces="next_token_loss")
def targets_zeroed_in_place(logits, targets, ignore=IGNORE):
    """The ignored targets are set to 0 in the caller's array, and the next epoch learns them."""
    surprise, kept = _surprise(logits, targets, ignore)
    cache = _cache(logits, targets, ignore)
    targets[~kept] = 0
    return float(surprise[kept].mean()), cache


@mutant("7.2", replaces="next_token_loss_backward")
def gradient_of_all_tokens(cache):
    """The gradient is divided by all tokens, and the loss by those that count."""
    counted, kept, shape = cache
    dlogits = np.zeros(shape, counted[0].dtype)
    dlogits[kept] = cross_entropy_backward(counted) * kept.mean(dtype=counted[0].dtype)
    return dlogits


@mutant("7.2", replaces="next_token_loss_backward")
def gradient_not_divided(cache):
    """The gradient is not divided by the number of tokens, and the loss is a mean."""
    counted, kept, shape = cache
    dlogits = np.zeros(shape, counted[0].dtype)
    dlogits[kept] = cross_entropy_backward(counted) * kept.sum().astype(counted[0].dtype)
    return dlogits


@mutant("7.2", replaces="next_token_loss_backward")
def only_counted_rows(cache):
    """Only the rows that count come back: their places among the others are lost."""
    counted, _, _ = cache
    return cross_entropy_backward(counted)


@mutant("7.2", replaces="next_token_loss_backward")
def packed_to_the_front(cache):
    """The gradients are put into the first rows and not at the places that they belong to."""
    counted, kept, shape = cache
    dlogits = np.zeros((kept.size, shape[-1]), counted[0].dtype)
    dlogits[: kept.sum()] = cross_entropy_backward(counted)
    return dlogits.reshape(shape)


@mutant("7.2", replaces="next_token_loss_backward")
def gradient_in_float64(cache):
    """The zeros are float64 whatever the logits are: the whole backward pass doubles in size."""
    counted, kept, shape = cache
    dlogits = np.zeros(shape)
    dlogits[kept] = cross_entropy_backward(counted)
    return dlogits


@mutant("7.2", replaces="bits_per_byte")
def nats_called_bits(loss, tokens, size):
    """These are nats a byte: the logarithm's base was not changed to 2."""
    if size < 1:
        raise ValueError("no bytes")
    return loss * tokens / size


@mutant("7.2", replaces="bits_per_byte")
def per_token(loss, tokens, size):
    """These are bits a token, which depend on how the text was cut."""
    if size < 1:
        raise ValueError("no bytes")
    return loss / np.log(2)


@mutant("7.2", replaces="bits_per_byte")
def bytes_over_tokens(loss, tokens, size):
    """Tokens and bytes have changed places."""
    if size < 1:
        raise ValueError("no bytes")
    return loss * size / (np.log(2) * tokens)


@mutant("7.2", replaces="bits_per_byte")
def times_ln_2(loss, tokens, size):
    """The nats are multiplied by ln 2; a nat is more than a bit, so there must be more bits."""
    if size < 1:
        raise ValueError("no bytes")
    return loss * np.log(2) * tokens / size


@mutant("7.2", replaces="bits_per_byte")
def per_bit(loss, tokens, size):
    """The text is measured in bits and not in bytes: eight times too small."""
    if size < 1:
        raise ValueError("no bytes")
    return loss * tokens / (np.log(2) * 8 * size)


@mutant("7.2", replaces="bits_per_byte")
def no_bytes_is_infinite(loss, tokens, size):
    """A text without bytes is not refused, and the result is infinite."""
    return loss * tokens / (np.log(2) * size) if size else float("inf")


def _along(rng, weights):
    """The right walk along a ruler of weights."""
    cumulated = weights.cumsum(axis=-1)
    u = rng.random((*weights.shape[:-1], 1)) * cumulated[..., -1:]
    return (cumulated <= u).sum(axis=-1)


@mutant("7.2", replaces="next_token_loss")
def any_target(logits, targets, ignore=IGNORE):
    """A negative target is not refused: NumPy counts it from the end of the vocabulary."""
    if targets.shape != logits.shape[:-1] or (targets >= logits.shape[-1]).any():
        raise ValueError("shapes")
    kept = targets != ignore
    if not kept.any():
        raise ValueError("no target")
    wrapped = targets[kept] % logits.shape[-1]
    loss, inner = cross_entropy(logits[kept], wrapped)
    return loss, (kept, inner)


@mutant("7.3", replaces="sample")
def boundary_taken(rng, logits, temperature=1.0):
    """The first cumulated probability that reaches u is taken; it has to exceed u."""
    if temperature == 0:
        return greedy(logits)
    cumulated = softmax(scale(logits, temperature)).cumsum(axis=-1)
    u = rng.random((*logits.shape[:-1], 1)) * cumulated[..., -1:]
    return (cumulated < u).sum(axis=-1)


@mutant("7.3", replaces="sample")
def any_temperature(rng, logits, temperature=1.0):
    """A negative temperature is not refused: the unlikeliest token becomes the likeliest."""
    greedy(logits)
    if temperature == 0:
        return greedy(logits)
    cumulated = softmax((logits - logits.max(-1, keepdims=True)) / temperature).cumsum(axis=-1)
    return (cumulated <= rng.random((*logits.shape[:-1], 1)) * cumulated[..., -1:]).sum(axis=-1)


@mutant("7.3", replaces="sample")
def temperature_after_softmax(rng, logits, temperature=1.0):
    """The temperature divides the probabilities, after the softmax: all of them alike, so that
    nothing changes."""
    if temperature == 0:
        return greedy(logits)
    return _along(rng, softmax(scale(logits, 1.0)) / temperature)


@mutant("7.3", replaces="sample")
def times_temperature(rng, logits, temperature=1.0):
    """The logits are multiplied by the temperature: a high one sharpens, a low one flattens."""
    if temperature == 0:
        return greedy(logits)
    return _along(rng, softmax(scale(logits, 1.0) * temperature))


@mutant("7.3", replaces="sample")
def root_of_temperature(rng, logits, temperature=1.0):
    """The logits are divided by the root of the temperature."""
    if temperature == 0:
        return greedy(logits)
    return _along(rng, softmax(scale(logits, temperature**0.5)))


@mutant("7.3", replaces="sample")
def not_normalised(rng, logits, temperature=1.0):
    """The exponentials are not divided by their sum: the ruler is longer than 1, and its end is
    never reached."""
    if temperature == 0:
        return greedy(logits)
    cumulated = np.exp(scale(logits, temperature)).cumsum(axis=-1)
    return (cumulated <= rng.random((*logits.shape[:-1], 1))).sum(axis=-1)


@mutant("7.3", replaces="sample")
def always_greedy(rng, logits, temperature=1.0):
    """Nothing is drawn: the likeliest token is taken at every temperature."""
    return greedy(logits)


@mutant("7.3", replaces="sample")
def one_number_for_all(rng, logits, temperature=1.0):
    """One number u serves all rows: texts that are written side by side become alike."""
    if temperature == 0:
        return greedy(logits)
    return (softmax(scale(logits, temperature)).cumsum(axis=-1) <= rng.random()).sum(axis=-1)


@mutant("7.3", replaces="sample")
def the_piece_before(rng, logits, temperature=1.0):
    """The token is the last whose piece ends before u, and not the one that u falls into."""
    if temperature == 0:
        return greedy(logits)
    return np.maximum(_along(rng, softmax(scale(logits, temperature))) - 1, 0)


@mutant("7.3", replaces="sample")
def from_the_other_end(rng, logits, temperature=1.0):
    """The pieces whose end lies behind u are counted: the ruler is walked from its other end."""
    if temperature == 0:
        return greedy(logits)
    cumulated = softmax(scale(logits, temperature)).cumsum(axis=-1)
    u = rng.random((*logits.shape[:-1], 1))
    return np.minimum((cumulated > u).sum(axis=-1) - 1, logits.shape[-1] - 1)


@mutant("7.3", replaces="sample")
def softmax_over_rows(rng, logits, temperature=1.0):
    """The softmax runs over the rows, along the first axis, and not over the vocabulary."""
    if temperature == 0:
        return greedy(logits)
    scaled = logits / temperature
    weights = np.exp(scaled - scaled.max(axis=0))
    return _along(rng, weights / weights.sum(axis=0))


@mutant("7.3", replaces="sample")
def no_shift(rng, logits, temperature=1.0):
    """The largest logit is not subtracted: exp overflows, and inf / inf is NaN."""
    if temperature == 0:
        return greedy(logits)
    with np.errstate(all="ignore"):
        weights = np.exp(logits / temperature)
        return _along(rng, weights / weights.sum(axis=-1, keepdims=True))


@mutant("7.3", replaces="sample")
def zero_divides(rng, logits, temperature=1.0):
    """Temperature 0 is not handed to greedy, and the logits are divided by it."""
    return _along(rng, softmax(scale(logits, temperature)))


@mutant("7.3", replaces="sample")
def logits_divided_in_place(rng, logits, temperature=1.0):
    """The logits are divided with /=, which writes into the caller's array."""
    if temperature == 0:
        return greedy(logits)
    logits /= temperature
    return _along(rng, softmax(scale(logits, 1.0)))


@mutant("7.3", replaces="sample")
def axis_kept(rng, logits, temperature=1.0):
    """The axis of the vocabulary is kept with length 1: tokens come back as (B, 1)."""
    if temperature == 0:
        return greedy(logits)[..., None]
    return _along(rng, softmax(scale(logits, temperature)))[..., None]


def _nucleus(logits, p, keep):
    """The nucleus with another rule: ``keep(before, probabilities)`` in falling order."""
    if not 0 < p <= 1:
        raise ValueError("p must lie in (0, 1]")
    if p == 1:
        return logits
    rank = _rank(logits)
    probabilities = softmax(logits.astype(np.float64))
    falling = np.empty_like(probabilities)
    np.put_along_axis(falling, rank, probabilities, axis=-1)
    before = np.zeros_like(falling)
    before[..., 1:] = falling.cumsum(axis=-1)[..., :-1]
    return _keep(logits, np.take_along_axis(keep(before, falling), rank, axis=-1))


@mutant("7.4", replaces="top_p")
def kept_at_p(logits, p):
    """A token is kept also if those before it reach p exactly: one too many."""
    if not 0 < p <= 1:
        raise ValueError("p")
    greedy(logits)
    if p == 1:
        return logits.copy()
    shares = softmax(logits)
    order = np.argsort(-logits, axis=-1, kind="stable")
    ranked = np.take_along_axis(shares, order, -1)
    before = ranked.cumsum(-1) - ranked
    kept = np.zeros(logits.shape, bool)
    np.put_along_axis(kept, order, before <= p, -1)
    return np.where(kept, logits, -np.inf).astype(logits.dtype)


@mutant("7.4", replaces="top_p")
def any_row(logits, p):
    """A row without a likeliest token is passed on: what is drawn from it means nothing."""
    if not 0 < p <= 1:
        raise ValueError("p")
    if p == 1 or not np.isfinite(logits.max(-1)).all():
        return logits.copy()
    shares = softmax(logits)
    order = np.argsort(-logits, axis=-1, kind="stable")
    ranked = np.take_along_axis(shares, order, -1)
    kept = np.zeros(logits.shape, bool)
    np.put_along_axis(kept, order, ranked.cumsum(-1) - ranked < p, -1)
    return np.where(kept, logits, -np.inf).astype(logits.dtype)


@mutant("7.4", replaces="top_p")
def crossing_dropped(logits, p):
    """The token that crosses p is dropped: what is left has less than p, and may be nothing."""
    return _nucleus(logits, p, lambda before, falling: before + falling <= p)


@mutant("7.4", replaces="top_p")
def crossing_dropped_but_one(logits, p):
    """The token that crosses p is dropped, unless it is the first: one too few stays."""

    def keep(before, falling):
        kept = before + falling <= p
        kept[..., 0] = True
        return kept

    return _nucleus(logits, p, keep)


@mutant("7.4", replaces="top_p")
def one_too_many(logits, p):
    """The cumulated sum is shifted by two places: one token too many stays."""

    def keep(before, falling):
        kept = before < p
        later = np.ones_like(kept)
        later[..., 1:] = kept[..., :-1]
        return later

    return _nucleus(logits, p, keep)


@mutant("7.4", replaces="top_p")
def from_the_unlikeliest(logits, p):
    """The sum runs from the unlikeliest token on: the tail is kept and the best are dropped."""
    return np.where(np.isfinite(_nucleus(-logits, p, lambda b, f: b < p)), logits, -np.inf)


@mutant("7.4", replaces="top_p")
def order_of_the_ids(logits, p):
    """The sum runs in the order of the ids: nothing is sorted."""
    _nucleus(logits, p, lambda b, f: b < p)
    probabilities = softmax(logits.astype(np.float64))
    before = probabilities.cumsum(axis=-1) - probabilities
    return logits if p == 1 else _keep(logits, before < p)


@mutant("7.4", replaces="top_p")
def not_sorted_back(logits, p):
    """The mask stays in sorted order and is laid on the ids, so that other tokens are kept."""
    if not 0 < p <= 1:
        raise ValueError("p must lie in (0, 1]")
    if p == 1:
        return logits
    falling = -np.sort(-softmax(logits.astype(np.float64)), axis=-1)
    return _keep(logits, falling.cumsum(axis=-1) - falling < p)


@mutant("7.4", replaces="top_p")
def each_at_least(logits, p):
    """Each token is compared with 1 - p by itself: that is a threshold and no nucleus."""
    _nucleus(logits, p, lambda b, f: b < p)
    return logits if p == 1 else _keep(logits, softmax(logits.astype(np.float64)) >= 1 - p)


@mutant("7.4", replaces="top_p")
def zero_for_minus_infinity(logits, p):
    """The dropped logits become 0, and exp(0) is 1: they are as likely as others."""
    kept = _nucleus(logits, p, lambda b, f: b < p)
    return np.where(np.isneginf(kept), 0, kept).astype(logits.dtype)


@mutant("7.4", replaces="top_p")
def probabilities_returned(logits, p):
    """Probabilities come back in place of logits: a softmax of them is nearly flat."""
    kept = _nucleus(logits, p, lambda b, f: b < p)
    return np.where(np.isneginf(kept), -np.inf, softmax(logits)).astype(logits.dtype)


@mutant("7.4", replaces="top_p")
def ties_kept(logits, p):
    """Every token as likely as the last one kept stays too, so that equals are too many."""
    kept = _nucleus(logits, p, lambda b, f: b < p)
    least = np.where(np.isneginf(kept), np.inf, kept).min(axis=-1, keepdims=True)
    return _keep(logits, logits >= least)


@mutant("7.4", replaces="top_p")
def rows_together(logits, p):
    """All rows are sorted and summed as one: the nucleus of the batch and not of each row."""
    flat = _nucleus(logits.reshape(-1), p, lambda b, f: b < p)
    return flat.reshape(logits.shape)


@mutant("7.4", replaces="top_p")
def logits_cumulated(logits, p):
    """The logits are cumulated and not their probabilities."""
    _nucleus(logits, p, lambda b, f: b < p)
    rank = _rank(logits)
    falling = np.empty_like(logits)
    np.put_along_axis(falling, rank, logits, axis=-1)
    before = np.zeros_like(falling)
    before[..., 1:] = falling.cumsum(axis=-1)[..., :-1]
    kept = _keep(logits, np.take_along_axis(before, rank, axis=-1) < p)
    return logits if p == 1 else kept


@mutant("7.4", replaces="top_p")
def tail_lost_at_one(logits, p):
    """p = 1 is no case of its own: the rounded sum reaches 1 early, and the tail is lost."""
    if p == 1:
        return _keep(logits, np.isfinite(_nucleus(logits, 1 - 1e-16, lambda b, f: b < 1)))
    return _nucleus(logits, p, lambda b, f: b < p)


@mutant("7.4", replaces="top_p")
def any_share_taken(logits, p):
    """p is not checked: at 0 or below no token is left."""
    return _nucleus(logits, min(max(p, 1e-300), 1), lambda b, f: b < p)


@mutant("7.4", replaces="top_p")
def float64_returned(logits, p):
    """float64 comes back whatever the logits were: the softmax's dtype has spread."""
    return _nucleus(logits, p, lambda b, f: b < p).astype(np.float64)


@mutant("7.4", replaces="top_p")
def removed_in_place(logits, p):
    """The dropped logits are written over in the caller's array."""
    kept = _nucleus(logits, p, lambda b, f: b < p)
    logits[np.isneginf(kept)] = -np.inf
    return logits


@mutant("7.4", replaces="top_p")
def no_shift_in_the_nucleus(logits, p):
    """The largest logit is not subtracted: exp overflows, and every comparison with NaN fails."""
    right = _nucleus(logits, p, lambda b, f: b < p)
    with np.errstate(all="ignore"):
        total = np.exp(logits.astype(np.float64)).sum(axis=-1, keepdims=True)
    return np.where(np.isfinite(total), right, -np.inf).astype(logits.dtype)


def _store(cache, layer, k, v, start, end=None):
    """Store from ``start`` on and hand out the first ``end``, wrong as these may be."""
    cache.keys[layer, :, :, start : start + k.shape[2]] = k
    cache.values[layer, :, :, start : start + k.shape[2]] = v
    end = cache.length + k.shape[2] if end is None else end
    return cache.keys[layer, :, :, :end], cache.values[layer, :, :, :end]


@mutant("7.5", replaces="extend")
def overwritten(self, layer, k, v):
    """The new keys and values are always stored at place 0, over the oldest."""
    return _store(self, layer, k, v, 0)


@mutant("7.5", replaces="extend")
def one_place_early(self, layer, k, v):
    """The new entries are stored one place too early, over the last of the older ones."""
    return _store(self, layer, k, v, max(self.length - 1, 0))


@mutant("7.5", replaces="extend")
def one_place_late(self, layer, k, v):
    """One place stays empty between old and new: the newest token is not among those returned."""
    late = min(self.length + 1, self.keys.shape[3] - k.shape[2])
    return _store(self, layer, k, v, late)


@mutant("7.5", replaces="extend")
def only_the_new(self, layer, k, v):
    """Only the new keys and values are returned: each token sees nothing but itself."""
    _store(self, layer, k, v, self.length)
    return k, v


@mutant("7.5", replaces="extend")
def only_the_old(self, layer, k, v):
    """What is returned ends before the new tokens: a token does not see itself."""
    return _store(self, layer, k, v, self.length, self.length)


@mutant("7.5", replaces="extend")
def empty_places_too(self, layer, k, v):
    """The whole store is returned, its empty places too: zero is a key like others."""
    return _store(self, layer, k, v, self.length, self.keys.shape[3])


@mutant("7.5", replaces="extend")
def values_as_keys(self, layer, k, v):
    """Keys and values have changed places."""
    keys, values = _store(self, layer, k, v, self.length)
    return values, keys


@mutant("7.5", replaces="extend")
def one_store_for_all_layers(self, layer, k, v):
    """All layers store in layer 0, each over what the one before it stored."""
    return _store(self, 0, k, v, self.length)


@mutant("7.5", replaces="extend")
def every_layer_moves_on(self, layer, k, v):
    """extend moves the length on: the second layer stores behind the first, at another place."""
    keys, values = _store(self, layer, k, v, self.length)
    self.length += k.shape[2]
    return keys, values


def _refuse_rows(model, ids, cache, mask):
    check_batch(ids, mask, model.config.vocabulary, model.config.max_length, cache.length)
    if len(ids) != len(cache.mask):
        raise ValueError("other rows")


def _read(model, ids, cache, mask, look=None, positions=None):
    """The right step, with another mask or other positions."""
    _refuse_rows(model, ids, cache, mask)
    start, end = cache.length, cache.length + ids.shape[1]
    cache.mask[:, start:end] = True if mask is None else mask
    seen = cache.mask[:, :end]
    if look is None:
        look = causal_mask(ids.shape[1], end) & key_mask(seen)
    if positions is None:
        positions = _positions(seen)[:, start:]
    logits, _ = model._run(ids, positions, look, cache)
    cache.length = end
    return logits


@mutant("7.5", replaces="step")
def sees_the_next(self, ids, cache, mask=None):
    """The causal mask is off by one: in a prompt each token sees the next, which it predicts."""
    end = cache.length + ids.shape[1]
    look = np.tri(ids.shape[1], end, cache.length + 1, dtype=bool)
    seen = cache.mask[:, :end].copy()
    seen[:, cache.length :] = True if mask is None else mask
    fits = end <= cache.mask.shape[1] and len(ids) == len(cache.mask)
    return _read(self, ids, cache, mask, look & key_mask(seen) if fits else None)


@mutant("7.5", replaces="step")
def first_rows_of_the_mask(self, ids, cache, mask=None):
    """The first rows of the causal mask are taken and not the last: new tokens see only the
    oldest."""
    end = cache.length + ids.shape[1]
    look = np.tri(ids.shape[1], end, dtype=bool)
    seen = cache.mask[:, :end].copy()
    seen[:, cache.length :] = True if mask is None else mask
    fits = end <= cache.mask.shape[1] and len(ids) == len(cache.mask)
    return _read(self, ids, cache, mask, look & key_mask(seen) if fits else None)


@mutant("7.5", replaces="step")
def no_causal_mask(self, ids, cache, mask=None):
    """There is no causal mask: right for one token at a time, wrong for a prompt of several."""
    end = cache.length + ids.shape[1]
    seen = cache.mask[:, :end].copy()
    seen[:, cache.length :] = True if mask is None else mask
    fits = end <= cache.mask.shape[1] and len(ids) == len(cache.mask)
    return _read(self, ids, cache, mask, key_mask(seen) if fits else None)


@mutant("7.5", replaces="step")
def positions_begin_again(self, ids, cache, mask=None):
    """The positions begin again at 0 in every step: new tokens stand where the first ones do."""
    new = np.ones(ids.shape, bool) if mask is None else mask
    return _read(self, ids, cache, mask, positions=_positions(new))


@mutant("7.5", replaces="step")
def padding_has_positions(self, ids, cache, mask=None):
    """The positions count places of the cache, padding too, and not real tokens."""
    places = cache.length + np.arange(ids.shape[1])
    fits = places[-1] < cache.mask.shape[1]
    return _read(self, ids, cache, mask, positions=places if fits else None)


@mutant("7.5", replaces="step")
def padding_forgotten(self, ids, cache, mask=None):
    """cache.mask is not filled from mask: later steps look at the padding."""
    _refuse_rows(self, ids, cache, mask)
    return _read(self, ids, cache, None)


@mutant("7.5", replaces="step")
def length_stays(self, ids, cache, mask=None):
    """cache.length is not moved on: each step overwrites the one before it."""
    start = cache.length
    logits = _read(self, ids, cache, mask)
    cache.length = start
    return logits


@mutant("7.5", replaces="step")
def length_moves_by_one(self, ids, cache, mask=None):
    """cache.length moves on by one in every step, also after a prompt of several tokens."""
    start = cache.length
    logits = _read(self, ids, cache, mask)
    cache.length = start + 1
    return logits


@mutant("7.5", replaces="step")
def length_moves_first(self, ids, cache, mask=None):
    """cache.length moves on before the layers run, so that they store behind the new place."""
    _refuse_rows(self, ids, cache, mask)
    start, end = cache.length, cache.length + ids.shape[1]
    cache.mask[:, start:end] = True if mask is None else mask
    seen = cache.mask[:, :end]
    look = causal_mask(ids.shape[1], end) & key_mask(seen)
    cache.length = end
    logits, _ = self._run(ids, _positions(seen)[:, start:], look, cache)
    return logits


@mutant("7.5", replaces="step")
def only_the_last(self, ids, cache, mask=None):
    """Only the logits of the last token come back: enough to write, too few to score a text."""
    return _read(self, ids, cache, mask)[:, -1:]


@mutant("7.5", replaces="step")
def mask_in_place(self, ids, cache, mask=None):
    """The caller's mask is filled with True once it is stored."""
    logits = _read(self, ids, cache, mask)
    if mask is not None:
        mask[...] = True
    return logits


@mutant("7.5", replaces="step")
def rows_not_checked(self, ids, cache, mask=None):
    """The number of rows is not compared: two rows are written into a cache of one."""
    if len(ids) != len(cache.mask):
        return np.zeros((*ids.shape, self.config.vocabulary))
    return _read(self, ids, cache, mask)
