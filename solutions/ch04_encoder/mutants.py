"""Wrong versions of the exercises of chapter 4. What is wrong stands in each docstring."""

import copy
import warnings

import numpy as np

from groundup.course.exercises.mutants import mutant
from groundup.scratch.attention import multi_head_attention, multi_head_attention_backward
from groundup.scratch.blocks import post_norm_block_backward
from groundup.scratch.dropout import dropout as right_dropout
from groundup.scratch.dropout import dropout_backward as right_dropout_backward
from groundup.scratch.feedforward import feed_forward, feed_forward_backward
from groundup.scratch.normalization import layer_norm, layer_norm_backward
from groundup.scratch.pooling import mean_pool as right_mean_pool


def _table(length, width, angles):
    """Sines and cosines in turns, of angles (T, D/2)."""
    if width % 2:
        raise ValueError(f"width must be even: got {width}")
    table = np.empty((length, width))
    table[:, 0::2], table[:, 1::2] = np.sin(angles), np.cos(angles)
    return table


def _angles(length, width, base=10000.0):
    return np.arange(length)[:, None] * base ** (-np.arange(0, width, 2) / width)


@mutant("4.1", replaces="sinusoidal_positions")
def halves(length, width):
    """All sines stand in the left half and all cosines in the right; they are to take turns."""
    if width % 2:
        raise ValueError(f"width must be even: got {width}")
    angles = _angles(length, width)
    return np.hstack([np.sin(angles), np.cos(angles)])


@mutant("4.1", replaces="sinusoidal_positions")
def cosine_first(length, width):
    """Sine and cosine have changed places: even columns are sines, odd ones cosines."""
    table = _table(length, width, _angles(length, width))
    return table.reshape(length, -1, 2)[:, :, ::-1].reshape(length, width)


@mutant("4.1", replaces="sinusoidal_positions")
def sines_alone(length, width):
    """Every column is a sine; without its cosine, a clock does not tell where its hand points."""
    if width % 2:
        raise ValueError(f"width must be even: got {width}")
    return np.sin(np.repeat(_angles(length, width), 2, axis=1))


@mutant("4.1", replaces="sinusoidal_positions")
def exponent_of_the_pair(length, width):
    """The exponent is i / D with i the number of the pair; it is 2i / D. The slow clocks stand too
    close together."""
    exponents = np.arange(width // 2) / width
    return _table(length, width, np.arange(length)[:, None] * 10000.0**-exponents)


@mutant("4.1", replaces="sinusoidal_positions")
def exponent_of_the_column(length, width):
    """Every column has an exponent of its own; a sine and its cosine share one angle."""
    if width % 2:
        raise ValueError(f"width must be even: got {width}")
    angles = np.arange(length)[:, None] * 10000.0 ** (-np.arange(width) / width)
    return np.where(np.arange(width) % 2, np.cos(angles), np.sin(angles))


@mutant("4.1", replaces="sinusoidal_positions")
def exponent_reaches_one(length, width):
    """The exponents run from 0 to 1 inclusive, with i / (D/2 - 1): as in some libraries, and not
    in the paper."""
    exponents = np.linspace(0, 1, width // 2)
    return _table(length, width, np.arange(length)[:, None] * 10000.0**-exponents)


@mutant("4.1", replaces="sinusoidal_positions")
def positions_from_one(length, width):
    """Positions are counted from 1; the first token stands at position 0."""
    return _table(length, width, _angles(length + 1, width)[1:])


@mutant("4.1", replaces="sinusoidal_positions")
def frequency_inverted(length, width):
    """The position is multiplied by the power of 10000 where it is to be divided: the clocks get
    faster and faster."""
    angles = np.arange(length)[:, None] * 10000.0 ** (np.arange(0, width, 2) / width)
    return _table(length, width, angles)


@mutant("4.1", replaces="sinusoidal_positions")
def base_of_a_thousand(length, width):
    """The base is 1000 and not 10000."""
    return _table(length, width, _angles(length, width, 1000.0))


@mutant("4.1", replaces="sinusoidal_positions")
def in_degrees(length, width):
    """The angles are taken for degrees; they are radians."""
    return _table(length, width, np.deg2rad(_angles(length, width)))


@mutant("4.1", replaces="sinusoidal_positions")
def in_whole_circles(length, width):
    """The angles are multiplied by 2π: the fastest clock makes a whole turn at every position."""
    turns = _angles(length, width)
    return _table(length, width, 2 * np.pi * (turns - np.round(turns)))


@mutant("4.1", replaces="sinusoidal_positions")
def odd_width_allowed(length, width):
    """An odd width is not refused: its last sine has no cosine."""
    whole = _table(length, width + width % 2, _angles(length, width + width % 2))
    return whole[:, :width]


@mutant("4.1", replaces="sinusoidal_positions")
def in_float32(length, width):
    """The table is float32; it is to be float64, and the model casts it to its own dtype."""
    return _table(length, width, _angles(length, width)).astype(np.float32)


_last = {}
_longest = {}


@mutant("4.1", replaces="sinusoidal_positions")
def same_array_again(length, width):
    """A table is kept and returned again: whoever writes into it changes it for all."""
    if (length, width) not in _last:
        _last.clear()
        _last[length, width] = _table(length, width, _angles(length, width))
    return _last[length, width]


@mutant("4.1", replaces="sinusoidal_positions")
def slice_of_a_kept_table(length, width):
    """The longest table so far is kept, and its first rows are returned: all callers share them."""
    kept = _longest.get(width)
    if kept is None or len(kept) < length:
        _longest.clear()
        _longest[width] = _table(length, width, _angles(length, width))
    return _longest[width][:length]


@mutant("4.1", replaces="sinusoidal_positions")
def turned_back(length, width):
    """The angles are negative, so that every sine has the wrong sign."""
    return _table(length, width, -_angles(length, width))


@mutant("4.1", replaces="sinusoidal_positions")
def begins_again(length, width):
    """The positions begin again after 512: a long text has the same rows twice."""
    angles = np.arange(length)[:, None] % 512 * 10000.0 ** (-np.arange(0, width, 2) / width)
    return _table(length, width, angles)


def attend(x, p, heads, mask):
    return multi_head_attention(x, p["wqkv"], p["bqkv"], p["wo"], p["bo"], heads, mask)


def _feed(x, p):
    return feed_forward(x, p["w1"], p["b1"], p["w2"], p["b2"])


def _norm(x, p, name):
    return layer_norm(x, p[f"{name}.gamma"], p[f"{name}.beta"])


@mutant("4.2", replaces="post_norm_block")
def no_residual_of_attention(x, p, heads, mask=None, noise=(0.0, None)):
    """The residual around the attention is missing: the token forgets what it was."""
    mixed, attention = attend(x, p, heads, mask)
    mixed, drop1 = right_dropout(mixed, *noise)
    x, norm1 = _norm(mixed, p, "norm1")
    fed, ffn = _feed(x, p)
    fed, drop2 = right_dropout(fed, *noise)
    y, norm2 = _norm(x + fed, p, "norm2")
    return y, (attention, drop1, norm1, ffn, drop2, norm2)


@mutant("4.2", replaces="post_norm_block")
def no_residual_of_feed_forward(x, p, heads, mask=None, noise=(0.0, None)):
    """The residual around the feed-forward network is missing."""
    mixed, attention = attend(x, p, heads, mask)
    mixed, drop1 = right_dropout(mixed, *noise)
    x, norm1 = _norm(x + mixed, p, "norm1")
    fed, ffn = _feed(x, p)
    fed, drop2 = right_dropout(fed, *noise)
    y, norm2 = _norm(fed, p, "norm2")
    return y, (attention, drop1, norm1, ffn, drop2, norm2)


@mutant("4.2", replaces="post_norm_block")
def norm_on_the_wrong_side(x, p, heads, mask=None, noise=(0.0, None)):
    """The norms stand before the sublayers and not after the sums: that is the pre-norm block."""
    normal, norm1 = _norm(x, p, "norm1")
    mixed, attention = attend(normal, p, heads, mask)
    mixed, drop1 = right_dropout(mixed, *noise)
    x = x + mixed
    normal, norm2 = _norm(x, p, "norm2")
    fed, ffn = _feed(normal, p)
    fed, drop2 = right_dropout(fed, *noise)
    return x + fed, (attention, drop1, norm1, ffn, drop2, norm2)


@mutant("4.2", replaces="post_norm_block")
def norm_of_the_branch(x, p, heads, mask=None, noise=(0.0, None)):
    """The norm acts on what the sublayer found, before the sum; it is to act on the sum."""
    mixed, attention = attend(x, p, heads, mask)
    mixed, drop1 = right_dropout(mixed, *noise)
    normal, norm1 = _norm(mixed, p, "norm1")
    x = x + normal
    fed, ffn = _feed(x, p)
    fed, drop2 = right_dropout(fed, *noise)
    normal, norm2 = _norm(fed, p, "norm2")
    return x + normal, (attention, drop1, norm1, ffn, drop2, norm2)


@mutant("4.2", replaces="post_norm_block")
def no_second_norm(x, p, heads, mask=None, noise=(0.0, None)):
    """The norm after the second sum is missing."""
    mixed, attention = attend(x, p, heads, mask)
    mixed, drop1 = right_dropout(mixed, *noise)
    x, norm1 = _norm(x + mixed, p, "norm1")
    fed, ffn = _feed(x, p)
    fed, drop2 = right_dropout(fed, *noise)
    _, norm2 = _norm(x + fed, p, "norm2")
    return x + fed, (attention, drop1, norm1, ffn, drop2, norm2)


@mutant("4.2", replaces="post_norm_block")
def one_norm_for_both(x, p, heads, mask=None, noise=(0.0, None)):
    """Both norms use the scale and shift of norm1."""
    mixed, attention = attend(x, p, heads, mask)
    mixed, drop1 = right_dropout(mixed, *noise)
    x, norm1 = _norm(x + mixed, p, "norm1")
    fed, ffn = _feed(x, p)
    fed, drop2 = right_dropout(fed, *noise)
    y, norm2 = _norm(x + fed, p, "norm1")
    return y, (attention, drop1, norm1, ffn, drop2, norm2)


@mutant("4.2", replaces="post_norm_block")
def residual_from_the_start(x, p, heads, mask=None, noise=(0.0, None)):
    """The second sum adds the block's input; it is to add what the first norm returned."""
    mixed, attention = attend(x, p, heads, mask)
    mixed, drop1 = right_dropout(mixed, *noise)
    between, norm1 = _norm(x + mixed, p, "norm1")
    fed, ffn = _feed(between, p)
    fed, drop2 = right_dropout(fed, *noise)
    y, norm2 = _norm(x + fed, p, "norm2")
    return y, (attention, drop1, norm1, ffn, drop2, norm2)


@mutant("4.2", replaces="post_norm_block")
def side_by_side(x, p, heads, mask=None, noise=(0.0, None)):
    """The feed-forward network reads the block's input, beside the attention and not after it."""
    mixed, attention = attend(x, p, heads, mask)
    mixed, drop1 = right_dropout(mixed, *noise)
    between, norm1 = _norm(x + mixed, p, "norm1")
    fed, ffn = _feed(x, p)
    fed, drop2 = right_dropout(fed, *noise)
    y, norm2 = _norm(between + fed, p, "norm2")
    return y, (attention, drop1, norm1, ffn, drop2, norm2)


@mutant("4.2", replaces="post_norm_block")
def mask_forgotten(x, p, heads, mask=None, noise=(0.0, None)):
    """The mask does not reach the attention: padding is looked at."""
    mixed, attention = attend(x, p, heads, None)
    mixed, drop1 = right_dropout(mixed, *noise)
    x, norm1 = _norm(x + mixed, p, "norm1")
    fed, ffn = _feed(x, p)
    fed, drop2 = right_dropout(fed, *noise)
    y, norm2 = _norm(x + fed, p, "norm2")
    return y, (attention, drop1, norm1, ffn, drop2, norm2)


@mutant("4.2", replaces="post_norm_block")
def residual_dropped_too(x, p, heads, mask=None, noise=(0.0, None)):
    """Dropout acts on the sum, so it hits the residual too; it is for what the sublayer adds."""
    mixed, attention = attend(x, p, heads, mask)
    total, drop1 = right_dropout(x + mixed, *noise)
    x, norm1 = _norm(total, p, "norm1")
    fed, ffn = _feed(x, p)
    total, drop2 = right_dropout(x + fed, *noise)
    y, norm2 = _norm(total, p, "norm2")
    return y, (attention, drop1, norm1, ffn, drop2, norm2)


@mutant("4.2", replaces="post_norm_block")
def noise_ignored(x, p, heads, mask=None, noise=(0.0, None)):
    """The noise is not used: nothing is ever dropped."""
    mixed, attention = attend(x, p, heads, mask)
    x, norm1 = _norm(x + mixed, p, "norm1")
    fed, ffn = _feed(x, p)
    y, norm2 = _norm(x + fed, p, "norm2")
    return y, (attention, (None,), norm1, ffn, (None,), norm2)


@mutant("4.2", replaces="post_norm_block")
def added_in_place(x, p, heads, mask=None, noise=(0.0, None)):
    """The sum is written into the caller's x, as by +=."""
    mixed, attention = attend(x, p, heads, mask)
    mixed, drop1 = right_dropout(mixed, *noise)
    x += mixed
    x, norm1 = _norm(x, p, "norm1")
    fed, ffn = _feed(x, p)
    fed, drop2 = right_dropout(fed, *noise)
    y, norm2 = _norm(x + fed, p, "norm2")
    return y, (attention, drop1, norm1, ffn, drop2, norm2)


@mutant("4.2", replaces="post_norm_block")
def sum_scaled(x, p, heads, mask=None, noise=(0.0, None)):
    """y is float64 for float32 inputs, as np.sqrt(2) times a float32 makes it."""
    mixed, attention = attend(x, p, heads, mask)
    mixed, drop1 = right_dropout(mixed, *noise)
    x, norm1 = _norm((x + mixed) / np.sqrt(2), p, "norm1")
    fed, ffn = _feed(x, p)
    fed, drop2 = right_dropout(fed, *noise)
    y, norm2 = _norm((x + fed) / np.sqrt(2), p, "norm2")
    return y, (attention, drop1, norm1, ffn, drop2, norm2)


@mutant("4.2", replaces="post_norm_block")
def same_draw_twice(x, p, heads, mask=None, noise=(0.0, None)):
    """Both sublayers drop the same entries: each needs a draw of its own, the second a new one."""
    rate, rng = noise
    mixed, attention = attend(x, p, heads, mask)
    mixed, drop1 = right_dropout(mixed, rate, copy.deepcopy(rng))
    x, norm1 = _norm(x + mixed, p, "norm1")
    fed, ffn = _feed(x, p)
    fed, drop2 = right_dropout(fed, rate, rng)
    y, norm2 = _norm(x + fed, p, "norm2")
    return y, (attention, drop1, norm1, ffn, drop2, norm2)


@mutant("4.2", replaces="post_norm_block")
def attention_not_dropped(x, p, heads, mask=None, noise=(0.0, None)):
    """What the attention adds is never dropped, only what the feed-forward network adds."""
    mixed, attention = attend(x, p, heads, mask)
    x, norm1 = _norm(x + mixed, p, "norm1")
    fed, ffn = _feed(x, p)
    fed, drop2 = right_dropout(fed, *noise)
    y, norm2 = _norm(x + fed, p, "norm2")
    return y, (attention, (None,), norm1, ffn, drop2, norm2)


@mutant("4.2", replaces="post_norm_block")
def feed_forward_not_dropped(x, p, heads, mask=None, noise=(0.0, None)):
    """What the feed-forward network adds is never dropped, only what the attention adds."""
    mixed, attention = attend(x, p, heads, mask)
    mixed, drop1 = right_dropout(mixed, *noise)
    x, norm1 = _norm(x + mixed, p, "norm1")
    fed, ffn = _feed(x, p)
    y, norm2 = _norm(x + fed, p, "norm2")
    return y, (attention, drop1, norm1, ffn, (None,), norm2)


def attend_backward(dy, cache, g):
    dx, g["wqkv"], g["bqkv"], g["wo"], g["bo"] = multi_head_attention_backward(dy, cache)
    return dx


def feed_backward(dy, cache, g):
    dx, g["w1"], g["b1"], g["w2"], g["b2"] = feed_forward_backward(dy, cache)
    return dx


def _norm_backward(dy, cache, g, name):
    dx, g[f"{name}.gamma"], g[f"{name}.beta"] = layer_norm_backward(dy, cache)
    return dx


@mutant("4.2", replaces="post_norm_block_backward")
def attention_residual_forgotten_backward(dy, cache):
    """Backward, the residual around the attention is forgotten: dx has its branch alone."""
    attention, drop1, norm1, ffn, drop2, norm2 = cache
    g = {}
    dsum = _norm_backward(dy, norm2, g, "norm2")
    dx = feed_backward(right_dropout_backward(dsum, drop2), ffn, g)
    dsum = _norm_backward(dx + dsum, norm1, g, "norm1")
    return attend_backward(right_dropout_backward(dsum, drop1), attention, g), g


@mutant("4.2", replaces="post_norm_block_backward")
def feed_forward_residual_forgotten_backward(dy, cache):
    """Backward, the gradient of the feed-forward branch replaces that of the residual; it is to be
    added to it."""
    attention, drop1, norm1, ffn, drop2, norm2 = cache
    g = {}
    dsum = _norm_backward(dy, norm2, g, "norm2")
    dx = feed_backward(right_dropout_backward(dsum, drop2), ffn, g)
    dsum = _norm_backward(dx, norm1, g, "norm1")
    dx = attend_backward(right_dropout_backward(dsum, drop1), attention, g)
    return dx + dsum, g


@mutant("4.2", replaces="post_norm_block_backward")
def branches_forgotten_backward(dy, cache):
    """Backward, the residuals are followed alone: what comes back through the two sublayers is not
    added."""
    attention, drop1, norm1, ffn, drop2, norm2 = cache
    g = {}
    dsum = _norm_backward(dy, norm2, g, "norm2")
    feed_backward(right_dropout_backward(dsum, drop2), ffn, g)
    dsum = _norm_backward(dsum, norm1, g, "norm1")
    attend_backward(right_dropout_backward(dsum, drop1), attention, g)
    return dsum, g


@mutant("4.2", replaces="post_norm_block_backward")
def residual_around_the_norm(dy, cache):
    """Backward, the residual path skips the norms, as in a pre-norm block; here it goes through
    them."""
    attention, drop1, norm1, ffn, drop2, norm2 = cache
    g = {}
    dsum = _norm_backward(dy, norm2, g, "norm2")
    dbetween = dy + feed_backward(right_dropout_backward(dsum, drop2), ffn, g)
    dsum = _norm_backward(dbetween, norm1, g, "norm1")
    return dbetween + attend_backward(right_dropout_backward(dsum, drop1), attention, g), g


@mutant("4.2", replaces="post_norm_block_backward")
def last_gradient_added_twice(dy, cache):
    """Backward, the first fork adds the gradient of the second sum; it needs that of the first."""
    attention, drop1, norm1, ffn, drop2, norm2 = cache
    g = {}
    dlast = _norm_backward(dy, norm2, g, "norm2")
    dx = feed_backward(right_dropout_backward(dlast, drop2), ffn, g)
    dsum = _norm_backward(dx + dlast, norm1, g, "norm1")
    return dlast + attend_backward(right_dropout_backward(dsum, drop1), attention, g), g


@mutant("4.2", replaces="post_norm_block_backward")
def dropout_forgotten_backward(dy, cache):
    """Backward, dropout is left out: what was dropped gets a gradient all the same."""
    attention, _, norm1, ffn, _, norm2 = cache
    g = {}
    dsum = _norm_backward(dy, norm2, g, "norm2")
    dsum = _norm_backward(feed_backward(dsum, ffn, g) + dsum, norm1, g, "norm1")
    return attend_backward(dsum, attention, g) + dsum, g


@mutant("4.2", replaces="post_norm_block_backward")
def dropout_of_the_residual_backward(dy, cache):
    """Backward, the dropped gradient goes down the residual too; only the branch was dropped."""
    attention, drop1, norm1, ffn, drop2, norm2 = cache
    g = {}
    dsum = right_dropout_backward(_norm_backward(dy, norm2, g, "norm2"), drop2)
    dsum = _norm_backward(feed_backward(dsum, ffn, g) + dsum, norm1, g, "norm1")
    dsum = right_dropout_backward(dsum, drop1)
    return attend_backward(dsum, attention, g) + dsum, g


@mutant("4.2", replaces="post_norm_block_backward")
def norms_under_each_others_names(dy, cache):
    """Backward, the gradients of the two norms stand under each other's names. Backward meets the
    last norm first: norm2 is the first to be written."""
    attention, drop1, norm1, ffn, drop2, norm2 = cache
    g = {}
    dsum = _norm_backward(dy, norm2, g, "norm1")
    dx = feed_backward(right_dropout_backward(dsum, drop2), ffn, g) + dsum
    dsum = _norm_backward(dx, norm1, g, "norm2")
    return attend_backward(right_dropout_backward(dsum, drop1), attention, g) + dsum, g


@mutant("4.2", replaces="post_norm_block_backward")
def norms_left_out(dy, cache):
    """Backward, the norms pass dx on, but their own gradients, of gamma and beta, are left out."""
    attention, drop1, norm1, ffn, drop2, norm2 = cache
    g = {}
    dsum = _norm_backward(dy, norm2, {}, "norm2")
    dx = feed_backward(right_dropout_backward(dsum, drop2), ffn, g) + dsum
    dsum = _norm_backward(dx, norm1, {}, "norm1")
    return attend_backward(right_dropout_backward(dsum, drop1), attention, g) + dsum, g


@mutant("4.2", replaces="post_norm_block_backward")
def output_biases_swapped(dy, cache):
    """Backward, the gradients of bo and b2 are under each other's names; their shapes are alike."""
    dx, g = post_norm_block_backward(dy, cache)
    g["bo"], g["b2"] = g["b2"], g["bo"]
    return dx, g


@mutant("4.2", replaces="post_norm_block_backward")
def scales_and_shifts_swapped(dy, cache):
    """Backward, gamma and beta of each norm have changed places; their shapes are alike."""
    dx, g = post_norm_block_backward(dy, cache)
    for norm in ("norm1", "norm2"):
        g[f"{norm}.gamma"], g[f"{norm}.beta"] = g[f"{norm}.beta"], g[f"{norm}.gamma"]
    return dx, g


_gradients = {}


@mutant("4.2", replaces="post_norm_block_backward")
def one_dictionary_for_all_passes(dy, cache):
    """Backward, the gradients are in a dictionary outside the function: two passes share it."""
    dx, g = post_norm_block_backward(dy, cache)
    _gradients.update(g)
    return dx, _gradients


def _shares(x, mask):
    real = np.ones(x.shape[:2], x.dtype) if mask is None else mask.astype(x.dtype)
    return real / np.maximum(real.sum(axis=1, keepdims=True), 1)


def _checked(x, mask):
    if mask is not None and (mask.shape != x.shape[:2] or mask.dtype != bool):
        raise ValueError(f"mask must be booleans (B, T): got {mask.dtype} of shape {mask.shape}")


def _shown(x, mask):
    return x if mask is None else np.where(mask[..., None], x, 0)


@mutant("4.3", replaces="mean_pool")
def padding_averaged(x, mask=None):
    """The mask is not used: padding is averaged too, and the result depends on the batch."""
    _checked(x, mask)
    return x.mean(axis=1), (_shares(x, mask),)


@mutant("4.3", replaces="mean_pool")
def divided_by_length(x, mask=None):
    """Padding is left out of the sum and still counted: the sum is divided by T."""
    _checked(x, mask)
    return _shown(x, mask).mean(axis=1), (_shares(x, mask),)


@mutant("4.3", replaces="mean_pool")
def divided_by_the_batch(x, mask=None):
    """All examples are divided by one number, the mean count of real tokens in the batch."""
    _checked(x, mask)
    count = x.shape[1] if mask is None else max(mask.sum() / len(mask), 1)
    return (_shown(x, mask).sum(axis=1) / count).astype(x.dtype), (_shares(x, mask),)


@mutant("4.3", replaces="mean_pool")
def summed(x, mask=None):
    """The sum is not divided: long sequences get long vectors."""
    _checked(x, mask)
    return _shown(x, mask).sum(axis=1), (_shares(x, mask),)


@mutant("4.3", replaces="mean_pool")
def largest(x, mask=None):
    """It is the largest entry and not the mean: that is max pooling."""
    _checked(x, mask)
    hidden = x if mask is None else np.where(mask[..., None], x, -np.inf)
    return hidden.max(axis=1), (_shares(x, mask),)


@mutant("4.3", replaces="mean_pool")
def first_token(x, mask=None):
    """It is the first token and not the mean."""
    _checked(x, mask)
    return x[:, 0].copy(), (_shares(x, mask),)


@mutant("4.3", replaces="mean_pool")
def mask_inverted(x, mask=None):
    """The mask is read the wrong way round: it is True at real tokens."""
    return right_mean_pool(x, None if mask is None else ~mask)


@mutant("4.3", replaces="mean_pool")
def no_token_gives_nan(x, mask=None):
    """An example without a real token is divided by zero."""
    _checked(x, mask)
    real = np.ones(x.shape[:2], x.dtype) if mask is None else mask.astype(x.dtype)
    with np.errstate(all="ignore"):
        share = real / real.sum(axis=1, keepdims=True)
    return (share[:, None] @ _shown(x, mask))[:, 0], (share,)


@mutant("4.3", replaces="mean_pool")
def zero_times_infinity(x, mask=None):
    """Padding is multiplied by zero: if infinity stands there, the result is not a number."""
    _checked(x, mask)
    share = _shares(x, mask)
    with np.errstate(all="ignore"):
        return (x * share[..., None]).sum(axis=1), (share,)


@mutant("4.3", replaces="mean_pool")
def any_mask_taken(x, mask=None):
    """The shape of the mask is not checked, so that one row is used for every example."""
    if mask is not None:
        mask = np.broadcast_to(mask, x.shape[:2])
    return right_mean_pool(x, mask)


@mutant("4.3", replaces="mean_pool")
def numbers_for_a_mask(x, mask=None):
    """The dtype of the mask is not checked: token ids, passed by mistake, become weights."""
    if mask is not None and mask.shape != x.shape[:2]:
        raise ValueError(f"mask must be (B, T) = {x.shape[:2]}: got {mask.shape}")
    share = _shares(x, mask)
    return (share[:, None] @ _shown(x, mask))[:, 0], (share,)


@mutant("4.3", replaces="mean_pool")
def in_float64(x, mask=None):
    """y is float64 for float32 vectors, as a share in float64 makes it: twice the memory."""
    y, (share,) = right_mean_pool(x.astype(np.float64), mask)
    return y, (share,)


@mutant("4.3", replaces="mean_pool")
def infinity_replaced(x, mask=None):
    """np.nan_to_num hides infinity and NaN at real tokens too: the mean looks sound."""
    _checked(x, mask)
    share = _shares(x, mask)
    return (share[:, None] @ np.nan_to_num(_shown(x, mask)))[:, 0], (share,)


@mutant("4.3", replaces="mean_pool")
def cleared_in_place(x, mask=None):
    """Padding is set to zero in the caller's own x."""
    _checked(x, mask)
    if mask is not None:
        x[~mask] = 0
    share = _shares(x, mask)
    return (share[:, None] @ x)[:, 0], (share,)


@mutant("4.3", replaces="mean_pool")
def rows_of_the_mask_counted(x, mask=None):
    """Only the number of rows is compared: a mask of one column is used for every token."""
    if mask is not None and (len(mask) != len(x) or mask.dtype != bool):
        raise ValueError("mask")
    return right_mean_pool(x, None if mask is None else np.broadcast_to(mask, x.shape[:2]))


@mutant("4.3", replaces="mean_pool")
def zeros_and_ones_taken(x, mask=None):
    """A mask of the numbers 0 and 1 is not refused: only booleans are a mask."""
    if mask is not None and np.isin(mask, (0, 1)).all():
        mask = mask.astype(bool)
    return right_mean_pool(x, mask)


@mutant("4.3", replaces="mean_pool")
def mean_of_nothing(x, mask=None):
    """Without a mask, sequences of length 0 become NaN, as by x.mean(axis=1)."""
    if mask is not None:
        return right_mean_pool(x, mask)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return x.mean(axis=1), (_shares(x, mask),)


@mutant("4.3", replaces="mean_pool_backward")
def share_forgotten_backward(dy, cache):
    """Backward, every real token gets the whole gradient and not its share."""
    (share,) = cache
    return (share > 0)[..., None] * dy[:, None]


@mutant("4.3", replaces="mean_pool_backward")
def divided_by_length_backward(dy, cache):
    """Backward, the gradient is divided by T and not by the number of real tokens."""
    (share,) = cache
    return ((share > 0)[..., None] * dy[:, None] / share.shape[1]).astype(dy.dtype)


@mutant("4.3", replaces="mean_pool_backward")
def padding_gets_gradient(dy, cache):
    """Backward, padding gets a gradient too, the same as a real token."""
    (share,) = cache
    return np.broadcast_to(share.max(axis=1, keepdims=True), share.shape)[..., None] * dy[:, None]


@mutant("4.3", replaces="mean_pool_backward")
def one_token_gets_all(dy, cache):
    """Backward, the first token gets the gradient of all: that is first-token pooling."""
    (share,) = cache
    dx = np.zeros((*share.shape, dy.shape[-1]), dy.dtype)
    dx[:, 0] = share.max(axis=1)[:, None] * dy
    return dx


@mutant("4.3", replaces="mean_pool_backward")
def not_spread_backward(dy, cache):
    """Backward, dx has the shape (B, D): the gradient is not spread over the tokens."""
    (share,) = cache
    return share.max(axis=1, keepdims=True) * dy


def _refuse(rate):
    if not 0 <= rate < 1:
        raise ValueError(f"rate must lie in [0, 1): got {rate}")


def _kept(x, rate, rng):
    """True where an entry stays."""
    return rng.random(x.shape) >= rate


@mutant("4.4", replaces="dropout")
def not_scaled(x, rate, rng):
    """What is kept is not scaled up: in training the entries are smaller on average than later."""
    _refuse(rate)
    if rng is None or rate == 0:
        return x, (None,)
    kept = _kept(x, rate, rng).astype(x.dtype)
    return x * kept, (kept,)


@mutant("4.4", replaces="dropout")
def scaled_by_the_rate(x, rate, rng):
    """What is kept is divided by the rate; it is to be divided by 1 - rate."""
    _refuse(rate)
    if rng is None or rate == 0:
        return x, (None,)
    kept = (_kept(x, rate, rng) / rate).astype(x.dtype)
    return x * kept, (kept,)


@mutant("4.4", replaces="dropout")
def scaled_down(x, rate, rng):
    """What is kept is multiplied by 1 - rate where it is to be divided."""
    _refuse(rate)
    if rng is None or rate == 0:
        return x, (None,)
    kept = (_kept(x, rate, rng) * (1 - rate)).astype(x.dtype)
    return x * kept, (kept,)


@mutant("4.4", replaces="dropout")
def rate_kept(x, rate, rng):
    """The rate is taken for the share that is kept; it is the share that is dropped."""
    _refuse(rate)
    if rng is None or rate == 0:
        return x, (None,)
    kept = (~_kept(x, rate, rng) / rate).astype(x.dtype)
    return x * kept, (kept,)


@mutant("4.4", replaces="dropout")
def comparison_turned(x, rate, rng):
    """The comparison is turned: entries are kept with probability rate, and the scale is that of
    the other share."""
    _refuse(rate)
    if rng is None or rate == 0:
        return x, (None,)
    kept = (~_kept(x, rate, rng) / (1 - rate)).astype(x.dtype)
    return x * kept, (kept,)


@mutant("4.4", replaces="dropout")
def scaled_in_evaluation(x, rate, rng):
    """Without a generator everything is multiplied by 1 - rate: that belongs to the older form,
    which does not scale in training."""
    _refuse(rate)
    if rng is None:
        factor = np.full(x.shape, 1 - rate, x.dtype)
        return x * factor, (factor,)
    return right_dropout(x, rate, rng)


@mutant("4.4", replaces="dropout")
def dropped_in_evaluation(x, rate, rng):
    """Without a generator it makes one of its own: nothing must be dropped then."""
    return right_dropout(x, rate, np.random.default_rng(0) if rng is None else rng)


@mutant("4.4", replaces="dropout")
def drawn_again_for_backward(x, rate, rng):
    """The cache holds a second draw: the gradient passes where nothing passed forward."""
    y, cache = right_dropout(x, rate, rng)
    if cache[0] is None:
        return y, cache
    return y, ((_kept(x, rate, rng) / (1 - rate)).astype(x.dtype),)


@mutant("4.4", replaces="dropout")
def generator_of_its_own(x, rate, rng):
    """The generator that is passed is not used: every call drops the same entries."""
    return right_dropout(x, rate, None if rng is None else np.random.default_rng(0))


@mutant("4.4", replaces="dropout")
def one_draw_for_all_rows(x, rate, rng):
    """One row is drawn and used for all: whole columns are dropped."""
    _refuse(rate)
    if rng is None or rate == 0:
        return x, (None,)
    kept = np.broadcast_to(_kept(x[:1], rate, rng), x.shape) / (1 - rate)
    kept = kept.astype(x.dtype)
    return x * kept, (kept,)


@mutant("4.4", replaces="dropout")
def whole_rows(x, rate, rng):
    """One number is drawn for each row: a row is dropped or kept as a whole."""
    _refuse(rate)
    if rng is None or rate == 0:
        return x, (None,)
    kept = np.broadcast_to(_kept(x[..., :1], rate, rng), x.shape) / (1 - rate)
    kept = kept.astype(x.dtype)
    return x * kept, (kept,)


@mutant("4.4", replaces="dropout")
def dropped_in_place(x, rate, rng):
    """The caller's x is multiplied in place, as by *=."""
    _refuse(rate)
    if rng is None or rate == 0:
        return x, (None,)
    kept = (_kept(x, rate, rng) / (1 - rate)).astype(x.dtype)
    x *= kept
    return x, (kept,)


@mutant("4.4", replaces="dropout")
def doubled_precision(x, rate, rng):
    """y is float64 for an x in float32, as booleans divided by a float make it."""
    _refuse(rate)
    if rng is None or rate == 0:
        return x, (None,)
    kept = _kept(x, rate, rng) / (1 - rate)
    return x * kept, (kept,)


@mutant("4.4", replaces="dropout")
def rate_not_checked(x, rate, rng):
    """The rate is not checked: at 1 nothing is left, and the scale is one over zero."""
    if rng is None or rate == 0:
        return x, (None,)
    with np.errstate(all="ignore"):
        kept = (_kept(x, rate, rng) / np.float64(1 - rate)).astype(x.dtype)
        return x * kept, (kept,)


@mutant("4.4", replaces="dropout")
def rate_checked_too_late(x, rate, rng):
    """The rate is checked only if something is drawn: a wrong rate passes in evaluation."""
    return (x, (None,)) if rng is None else right_dropout(x, rate, rng)


@mutant("4.4", replaces="dropout")
def exact_share(x, rate, rng):
    """Exactly rate · n entries are dropped, by a permutation: they are not drawn independently."""
    _refuse(rate)
    if rng is None or rate == 0:
        return x, (None,)
    order = rng.permutation(x.size).reshape(x.shape)
    kept = ((order >= round(rate * x.size)) / (1 - rate)).astype(x.dtype)
    return x * kept, (kept,)


@mutant("4.4", replaces="dropout")
def one_draw_for_the_batch(x, rate, rng):
    """Of three axes the last two are drawn, once for all examples of the batch."""
    _refuse(rate)
    if rng is None or rate == 0:
        return x, (None,)
    kept = np.broadcast_to(_kept(x[0] if x.ndim > 2 else x, rate, rng), x.shape) / (1 - rate)
    kept = kept.astype(x.dtype)
    return x * kept, (kept,)


@mutant("4.4", replaces="dropout")
def one_draw_for_all_positions(x, rate, rng):
    """Of three axes the first and the last are drawn, once for all positions of a text."""
    _refuse(rate)
    if rng is None or rate == 0:
        return x, (None,)
    kept = np.broadcast_to(_kept(x[:, :1] if x.ndim > 2 else x, rate, rng), x.shape) / (1 - rate)
    kept = kept.astype(x.dtype)
    return x * kept, (kept,)


@mutant("4.4", replaces="dropout")
def scaled_by_the_draw(x, rate, rng):
    """The scale is one over the share that this draw happens to keep, and not 1 / (1 - rate)."""
    _refuse(rate)
    if rng is None or rate == 0:
        return x, (None,)
    kept = _kept(x, rate, rng)
    kept = (kept / max(kept.mean(), 1e-9) if x.size else kept).astype(x.dtype)
    return x * kept, (kept,)


@mutant("4.4", replaces="dropout")
def two_axes_wanted(x, rate, rng):
    """An x of one axis, or of three, is an error: it is taken for rows and columns."""
    _refuse(rate)
    rows, columns = x.shape
    y, cache = right_dropout(x.reshape(rows, columns), rate, rng)
    return y, cache


@mutant("4.4", replaces="dropout")
def not_a_number_taken(x, rate, rng):
    """The rate is compared with < 0 and >= 1, and not a number is neither: it is not refused."""
    if rate < 0 or rate >= 1:
        raise ValueError("rate")
    return (x, (None,)) if np.isnan(rate) else right_dropout(x, rate, rng)


@mutant("4.4", replaces="dropout")
def only_one_refused(x, rate, rng):
    """Of the rates above the range only 1 is refused: 1.5 would turn every sign."""
    if rate < 0 or rate == 1 or np.isnan(rate):
        raise ValueError("rate")
    return (x, (None,)) if rate > 1 else right_dropout(x, rate, rng)


@mutant("4.4", replaces="dropout")
def rate_zero_drops_all(x, rate, rng):
    """The scale is one over the rate at rate 0 too, and zero times infinity is not a number."""
    if rng is None or rate:
        return right_dropout(x, rate, rng)
    kept = np.full(x.shape, np.nan, x.dtype)
    return x * kept, (kept,)


@mutant("4.4", replaces="dropout_backward")
def passes_everything(dy, cache):
    """Backward, the gradient passes as it is: what was dropped gets one too."""
    return dy


@mutant("4.4", replaces="dropout_backward")
def not_scaled_backward(dy, cache):
    """Backward, what was kept passes without its scale."""
    (kept,) = cache
    return dy if kept is None else dy * (kept != 0)


@mutant("4.4", replaces="dropout_backward")
def fails_in_evaluation(dy, cache):
    """Backward, the case in which nothing was drawn is forgotten."""
    (kept,) = cache
    return dy * kept


@mutant("4.4", replaces="dropout_backward")
def scaled_twice(dy, cache):
    """Backward, the scale is divided by once more, as if the cache held only zeros and ones."""
    (kept,) = cache
    return dy if kept is None else dy * kept * kept.max()


@mutant("4.4", replaces="dropout_backward")
def gradient_in_place(dy, cache):
    """Backward, the caller's dy is multiplied in place."""
    (kept,) = cache
    if kept is not None:
        dy *= kept
    return dy
