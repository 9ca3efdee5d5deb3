"""Wrong versions of the exercises of chapter 7. What is wrong stands in each docstring."""

import numpy as np

from groundup.course.exercises.mutants import mutant
from groundup.scratch.activations import softmax
from groundup.scratch.decoder import Decoder, token_positions
from groundup.scratch.inputs import check_batch
from groundup.scratch.language import next_token_loss as right_next_token_loss
from groundup.scratch.loss import cross_entropy, cross_entropy_backward
from groundup.scratch.masks import causal_mask, key_mask
from groundup.scratch.sampling import greedy, mask_logits, rank_logits, scale
from groundup.scratch.sampling import sample as right_sample
from groundup.scratch.sampling import top_p as right_top_p

IGNORE = -100
right_step = Decoder.step


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


@mutant("7.1", replaces="story_rows")
def lists_wanted(texts, end):
    """[end] + story takes lists alone: a tuple of ids is an error."""
    _rows([*texts, [end]], end)
    for text in texts:
        [end] + text  # noqa: RUF005
    return _rows(texts, end)


@mutant("7.1", replaces="story_rows")
def ids_of_two_bytes(texts, end):
    """The arrays are int16, where ids above 32,767 become other numbers."""
    ids, targets = _rows(texts, end)
    return ids.astype(np.int16), targets.astype(np.int16)


@mutant("7.1", replaces="story_rows")
def zero_for_end(texts, end):
    """0 is written into the code where the argument end is asked for."""
    return _rows(texts, 0)


@mutant("7.1", replaces="story_rows")
def filled_with_zero(texts, end):
    """The ids are filled up with 0 and not with end."""
    ids, targets = _rows(texts, end)
    for i, text in enumerate(texts):
        ids[i, len(text) + 1 :] = 0
    return ids, targets


@mutant("7.1", replaces="story_rows")
def first_word_not_learned(texts, end):
    """The first target is IGNORE: the model never learns how a story begins."""
    ids, targets = _rows(texts, end)
    targets[:, 0] = IGNORE
    return ids, targets


@mutant("7.1", replaces="story_rows")
def end_is_read_too(texts, end):
    """The ids end with end, and a row is one token longer, with nothing to predict there."""
    ids, targets = _rows(texts, end)
    return np.pad(ids, ((0, 0), (0, 1)), constant_values=end), np.pad(
        targets, ((0, 0), (0, 1)), constant_values=IGNORE
    )


@mutant("7.1", replaces="story_rows")
def first_story_checked(texts, end):
    """Only the first story is checked: an empty one after it is taken."""
    if not texts or not texts[0]:
        raise ValueError("no story")
    return empty_stories_taken(texts, end)


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


@mutant("7.2", replaces="next_token_loss")
def last_token_for_minus_one(logits, targets, ignore=IGNORE):
    """What is no token is not refused: NumPy takes -1 for the last one."""
    if logits.shape[:-1] != targets.shape or (targets == ignore).all():
        raise ValueError("targets")
    wrapped = np.where(targets == ignore, ignore, targets % logits.shape[-1])
    return right_next_token_loss(logits, wrapped, ignore)


@mutant("7.2", replaces="next_token_loss")
def negative_is_ignored(logits, targets, ignore=IGNORE):
    """Every negative target is ignored: a target of -1 is a mistake that stays hidden."""
    filled = np.where((targets < 0) | (targets == ignore), IGNORE, targets)
    return right_next_token_loss(logits, filled)


@mutant("7.2", replaces="next_token_loss")
def targets_of_any_shape(logits, targets, ignore=IGNORE):
    """The shapes are not compared: targets of one axis are broadcast or reshaped."""
    if targets.size == logits.size // logits.shape[-1]:
        targets = targets.reshape(logits.shape[:-1])
    return right_next_token_loss(logits, targets, ignore)


@mutant("7.2", replaces="next_token_loss")
def logarithm_of_a_softmax(logits, targets, ignore=IGNORE):
    """It is the logarithm of a softmax: where that is 0 in floats, the loss is infinite."""
    _, cache = right_next_token_loss(logits, targets, ignore)
    with np.errstate(all="ignore"):
        surprise, kept = _surprise(logits, targets, ignore)
    return float(surprise[kept].mean()), cache


@mutant("7.2", replaces="next_token_loss_backward")
def every_gradient_zeroed_but_one(cache):
    """Only the last token that counts gets its gradient, as one row is written over another."""
    counted, kept, shape = cache
    dlogits = np.zeros(shape, counted[0].dtype)
    dlogits[tuple(np.argwhere(kept)[-1])] = cross_entropy_backward(counted)[-1]
    return dlogits


@mutant("7.2", replaces="bits_per_byte")
def negative_size_taken(loss, tokens, size):
    """Of the sizes that can't be only 0 is refused."""
    if size == 0:
        raise ValueError("no bytes")
    return loss * tokens / (np.log(2) * size)


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
def tiny_is_greedy(rng, logits, temperature=1.0):
    """A temperature near 0 is taken for 0: of equals the first is always chosen, without a draw."""
    return greedy(logits) if 0 <= temperature < 1e-6 else right_sample(rng, logits, temperature)


@mutant("7.3", replaces="sample")
def divided_before_the_shift(rng, logits, temperature=1.0):
    """The logits are divided before the largest is moved to zero: a tiny temperature overflows."""
    if temperature == 0:
        return greedy(logits)
    scale(logits, temperature)  # refuses what it must
    with np.errstate(all="ignore"):
        return _along(rng, softmax(logits.astype(np.float64) / temperature))


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


@mutant("7.3", replaces="sample")
def equal_is_enough(rng, logits, temperature=1.0):
    """The comparison is < and not <=: a u at the very end of a piece draws the wrong token."""
    if temperature == 0:
        return greedy(logits)
    cumulated = softmax(scale(logits, temperature)).cumsum(axis=-1)
    u = rng.random((*logits.shape[:-1], 1)) * cumulated[..., -1:]
    return (cumulated < u).sum(axis=-1)


@mutant("7.3", replaces="sample")
def beyond_the_last_piece(rng, logits, temperature=1.0):
    """The rounded sum may end below 1, and a u beyond it draws a token that does not exist."""
    if temperature == 0:
        return greedy(logits)
    cumulated = softmax(scale(logits, temperature)).cumsum(axis=-1)
    return (cumulated <= rng.random((*logits.shape[:-1], 1))).sum(axis=-1)


@mutant("7.3", replaces="sample")
def negative_temperature_taken(rng, logits, temperature=1.0):
    """A negative temperature is not refused: the unlikeliest tokens are drawn most."""
    if temperature >= 0 or np.isnan(temperature):
        return right_sample(rng, logits, temperature)
    return right_sample(rng, -logits, -temperature)


@mutant("7.3", replaces="sample")
def negative_is_greedy(rng, logits, temperature=1.0):
    """A negative temperature is taken for 0: the comparison is <= and asks for equality."""
    return greedy(logits) if temperature <= 0 else right_sample(rng, logits, temperature)


@mutant("7.3", replaces="sample")
def endless_temperature_taken(rng, logits, temperature=1.0):
    """An infinite temperature is not refused, and every token is as likely as any other."""
    return right_sample(rng, logits, 1e300 if np.isposinf(temperature) else temperature)


@mutant("7.3", replaces="sample")
def rows_not_checked_at_zero(rng, logits, temperature=1.0):
    """At temperature 0 it is argmax: a row with NaN, or with nothing in it, gets a token."""
    return logits.argmax(axis=-1) if temperature == 0 else right_sample(rng, logits, temperature)


@mutant("7.3", replaces="sample")
def rows_of_nan_taken(rng, logits, temperature=1.0):
    """A row with NaN or infinity is not refused: its probabilities are NaN, and so its token."""
    if temperature == 0 or not np.isfinite(temperature) or temperature < 0:
        return right_sample(rng, logits, temperature)
    clean = np.where(np.isnan(logits) | np.isposinf(logits), 0.0, logits)
    clean = np.where(np.isneginf(clean).all(axis=-1, keepdims=True), 0.0, clean)
    return right_sample(rng, clean, temperature)


@mutant("7.3", replaces="sample")
def last_of_equals(rng, logits, temperature=1.0):
    """At temperature 0 the last of equally likely tokens is taken, and not the first."""
    if temperature:
        return right_sample(rng, logits, temperature)
    greedy(logits)
    return logits.shape[-1] - 1 - logits[..., ::-1].argmax(axis=-1)


@mutant("7.3", replaces="sample")
def two_axes_wanted(rng, logits, temperature=1.0):
    """Rows are counted with len(logits): three axes, or one, get a wrong number of u."""
    if temperature == 0 or logits.ndim == 2:
        return right_sample(rng, logits, temperature)
    cumulated = softmax(scale(logits, temperature)).cumsum(axis=-1)
    u = rng.random(len(logits)).reshape(-1, *[1] * (logits.ndim - 1))
    return (cumulated <= u * cumulated[..., -1:]).sum(axis=-1)


def _nucleus(logits, p, keep):
    """The nucleus with another rule: ``keep(before, probabilities)`` in falling order."""
    if not 0 < p <= 1:
        raise ValueError("p must lie in (0, 1]")
    if p == 1:
        return logits
    rank = rank_logits(logits)
    probabilities = softmax(logits.astype(np.float64))
    falling = np.empty_like(probabilities)
    np.put_along_axis(falling, rank, probabilities, axis=-1)
    before = np.zeros_like(falling)
    before[..., 1:] = falling.cumsum(axis=-1)[..., :-1]
    return mask_logits(logits, np.take_along_axis(keep(before, falling), rank, axis=-1))


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
    return logits if p == 1 else mask_logits(logits, before < p)


@mutant("7.4", replaces="top_p")
def not_sorted_back(logits, p):
    """The mask stays in sorted order and is laid on the ids, so that other tokens are kept."""
    if not 0 < p <= 1:
        raise ValueError("p must lie in (0, 1]")
    if p == 1:
        return logits
    falling = -np.sort(-softmax(logits.astype(np.float64)), axis=-1)
    return mask_logits(logits, falling.cumsum(axis=-1) - falling < p)


@mutant("7.4", replaces="top_p")
def each_at_least(logits, p):
    """Each token is compared with 1 - p by itself: that is a threshold and no nucleus."""
    _nucleus(logits, p, lambda b, f: b < p)
    return logits if p == 1 else mask_logits(logits, softmax(logits.astype(np.float64)) >= 1 - p)


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
    return mask_logits(logits, logits >= least)


@mutant("7.4", replaces="top_p")
def cumulated_in_float32(logits, p):
    """The sum is taken in float32: one within 1e-8 of p may be on its other side."""
    if not 0 < p <= 1:
        raise ValueError("p")
    rank = rank_logits(logits)
    if p == 1:
        return logits
    falling = -np.sort(-softmax(logits.astype(np.float32)), axis=-1)
    count = (falling.cumsum(axis=-1, dtype=np.float32) < p).sum(axis=-1, keepdims=True) + 1
    return mask_logits(logits, rank < count)


@mutant("7.4", replaces="top_p")
def rows_together(logits, p):
    """All rows are sorted and summed as one: the nucleus of the batch and not of each row."""
    flat = _nucleus(logits.reshape(-1), p, lambda b, f: b < p)
    return flat.reshape(logits.shape)


@mutant("7.4", replaces="top_p")
def logits_cumulated(logits, p):
    """The logits are cumulated and not their probabilities."""
    _nucleus(logits, p, lambda b, f: b < p)
    rank = rank_logits(logits)
    falling = np.empty_like(logits)
    np.put_along_axis(falling, rank, logits, axis=-1)
    before = np.zeros_like(falling)
    before[..., 1:] = falling.cumsum(axis=-1)[..., :-1]
    kept = mask_logits(logits, np.take_along_axis(before, rank, axis=-1) < p)
    return logits if p == 1 else kept


@mutant("7.4", replaces="top_p")
def tail_lost_at_one(logits, p):
    """p = 1 is no case of its own: the rounded sum reaches 1 early, and the tail is lost."""
    if p == 1:
        return mask_logits(logits, np.isfinite(_nucleus(logits, 1 - 1e-16, lambda b, f: b < 1)))
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


@mutant("7.4", replaces="top_p")
def reached_and_one_more(logits, p):
    """The comparison is <= and not <: where the sum is p exactly, one token too many stays."""
    return _nucleus(logits, p, lambda before, falling: before <= p)


@mutant("7.4", replaces="top_p")
def rows_not_asked_at_one(logits, p):
    """At p = 1 the logits come back before the rows are checked: NaN passes through."""
    return logits if p == 1 else _nucleus(logits, p, lambda b, f: b < p)


@mutant("7.4", replaces="top_p")
def rows_with_nan_taken(logits, p):
    """The rows are not checked: one with NaN or infinity, or with nothing, is let through."""
    if not 0 < p <= 1:
        raise ValueError("p")
    fine = np.isfinite(logits.max(axis=-1, keepdims=True))
    kept = _nucleus(np.where(fine, logits, np.zeros_like(logits)), p, lambda b, f: b < p)
    return np.where(fine, kept, logits)


@mutant("7.4", replaces="top_p")
def not_a_number_taken(logits, p):
    """p is compared with <= 0 and > 1, and not a number is neither: it is not refused."""
    return np.full_like(logits, -np.inf) if np.isnan(p) else right_top_p(logits, p)


@mutant("7.4", replaces="top_p")
def two_axes_of_logits(logits, p):
    """The rows are walked through as logits[i]: more axes, or one, fail."""
    rows, vocabulary = logits.shape
    return right_top_p(logits.reshape(rows, vocabulary), p)


@mutant("7.4", replaces="top_p")
def higher_id_of_equals(logits, p):
    """Of equally likely tokens the one with the higher id stays."""
    return right_top_p(logits[..., ::-1], p)[..., ::-1]


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


@mutant("7.5", replaces="extend")
def nothing_stored(self, layer, k, v):
    """The new entries are returned behind the older ones, and are not stored for the next step."""
    keys = np.concatenate([self.keys[layer, :, :, : self.length], k], axis=2)
    return keys, np.concatenate([self.values[layer, :, :, : self.length], v], axis=2)


@mutant("7.5", replaces="extend")
def one_token_at_a_time(self, layer, k, v):
    """One place is written, whatever the number of new tokens: of a prompt one key remains."""
    self.keys[layer, :, :, self.length] = k[:, :, -1]
    self.values[layer, :, :, self.length] = v[:, :, -1]
    end = self.length + k.shape[2]
    return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]


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
        positions = token_positions(seen)[:, start:]
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
    return _read(self, ids, cache, mask, positions=token_positions(new))


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
    logits, _ = self._run(ids, token_positions(seen)[:, start:], look, cache)
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


@mutant("7.5", replaces="step")
def any_cache_taken(self, ids, cache, mask=None):
    """The cache is not asked what model it is for: keys of another shape or dtype are mixed in."""
    if cache.config != self.config or cache.keys.dtype != self.params["embedding"].dtype:
        return np.zeros((*ids.shape, self.config.vocabulary))
    return _read(self, ids, cache, mask)


@mutant("7.5", replaces="step")
def another_model_taken(self, ids, cache, mask=None):
    """The dtype of the cache is compared and its config is not: another model's keys are read."""
    if cache.config != self.config:
        return np.zeros((*ids.shape, self.config.vocabulary))
    return right_step(self, ids, cache, mask)


@mutant("7.5", replaces="step")
def another_dtype_taken(self, ids, cache, mask=None):
    """The config of the cache is compared and its dtype is not: float64 keys become float32."""
    if cache.keys.dtype != self.params["embedding"].dtype:
        return np.zeros((*ids.shape, self.config.vocabulary))
    return right_step(self, ids, cache, mask)


@mutant("7.5", replaces="step")
def the_very_same_config(self, ids, cache, mask=None):
    """The configs are compared with is: an equal one that was made apart is refused."""
    if cache.config is not self.config:
        raise ValueError("another config")
    return right_step(self, ids, cache, mask)


@mutant("7.5", replaces="step")
def shape_of_the_keys_compared(self, ids, cache, mask=None):
    """The keys' shape is compared and not the config: another vocabulary is not noticed."""
    config = self.config
    shape = (config.layers, len(ids), config.heads, config.max_length, config.width // config.heads)
    same = cache.keys.shape == shape and cache.keys.dtype == self.params["embedding"].dtype
    if same and cache.config != config:
        return np.zeros((*ids.shape, config.vocabulary))
    return right_step(self, ids, cache, mask)


@mutant("7.5", replaces="step")
def room_not_counted(self, ids, cache, mask=None):
    """Only the new tokens are counted against max_length, and not those in the cache before."""
    if cache.length + ids.shape[-1] > self.config.max_length >= ids.shape[-1] and ids.ndim == 2:
        return np.zeros((*ids.shape, self.config.vocabulary))
    return right_step(self, ids, cache, mask)


@mutant("7.5", replaces="step")
def ids_not_checked(self, ids, cache, mask=None):
    """The ids are not checked: NumPy takes -1 for the last token of the vocabulary."""
    if np.issubdtype(ids.dtype, np.integer):
        ids = ids % self.config.vocabulary
    return right_step(self, ids, cache, mask)


@mutant("7.5", replaces="step")
def last_mask_only(self, ids, cache, mask=None):
    """In a later step older tokens all count as real: their mask is not read again."""
    _refuse_rows(self, ids, cache, mask)
    cache.mask[:, : cache.length] = True
    return _read(self, ids, cache, mask)


@mutant("7.5", replaces="step")
def positions_of_the_first_row(self, ids, cache, mask=None):
    """The positions are counted in the first row, and all rows get them."""
    _refuse_rows(self, ids, cache, mask)
    start, end = cache.length, cache.length + ids.shape[1]
    seen = cache.mask[:, :end].copy()
    seen[:, start:] = True if mask is None else mask
    positions = np.broadcast_to(token_positions(seen[:1])[:, start:], ids.shape)
    return _read(self, ids, cache, mask, positions=positions)
