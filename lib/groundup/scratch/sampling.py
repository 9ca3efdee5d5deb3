"""Which token comes next: ways to choose one from logits."""

from collections.abc import Callable

import numpy as np

from groundup.scratch.activations import softmax
from groundup.scratch.inputs import require_whole
from groundup.scratch.types import Array, BoolArray, IntArray

Choose = Callable[[Array], IntArray]
"""Picks the next token of each row: logits (B, V) in, ids (B,) out."""


def greedy(logits: Array) -> IntArray:
    """The likeliest token of each row; of equals the one with the lowest id.

    Args:
        logits: (..., V).

    Returns:
        ids (...).

    Raises:
        ValueError: a row holds NaN or infinity, or nothing but minus infinity.
    """
    _largest(logits)
    best: IntArray = logits.argmax(axis=-1)
    return best


def top_k(logits: Array, k: int) -> Array:
    """Keep the k largest logits of each row; the others become minus infinity.

    Of equal logits the lower id is kept, so exactly k stay. A k above V keeps all.

    Args:
        logits: (..., V).
        k: at least 1.

    Raises:
        ValueError: k is below 1, or a row is as in :func:`greedy`.
    """
    if k < 1:
        raise ValueError(f"top_k keeps at least one token: got k={k}")
    return mask_logits(logits, rank_logits(logits) < k)


def top_p(logits: Array, p: float) -> Array:
    """Keep the nucleus: the fewest tokens whose probabilities reach p (Holtzman et al., 2020).

    A token is kept if those before it, from the likeliest on, do not yet reach p. So the first is
    always kept, and the one that crosses p is too.

    Args:
        logits: (..., V).
        p: in (0, 1]. 1 keeps all.

    Returns:
        (..., V) logits, minus infinity at the tokens that are out; of equals the lower id stays.

    Raises:
        ValueError: p lies outside (0, 1], or a row is as in :func:`greedy`.
    """
    if not 0 < p <= 1:
        raise ValueError(f"top_p needs 0 < p <= 1: got {p}")
    rank = rank_logits(logits)
    if p == 1:
        return logits
    probabilities = softmax(logits.astype(np.float64))
    falling = np.empty_like(probabilities)
    np.put_along_axis(falling, rank, probabilities, axis=-1)
    before = np.zeros_like(falling)
    before[..., 1:] = falling.cumsum(axis=-1)[..., :-1]
    return mask_logits(logits, np.take_along_axis(before, rank, axis=-1) < p)


def scale(logits: Array, temperature: float) -> Array:
    """Logits over the temperature, the largest of each row moved to zero.

    Args:
        logits: (..., V), each row with a finite largest entry.
        temperature: above 0; below 1 sharpens, above 1 flattens.

    Returns:
        (..., V) in float64: so a tiny temperature can only overflow to minus infinity.

    Raises:
        ValueError: the temperature is not above 0 and finite, or a row is as in :func:`greedy`.
    """
    if temperature == 0:
        raise ValueError("nothing can be divided by a temperature of 0: it stands for greedy")
    if not 0 < temperature < np.inf:
        raise ValueError(f"the temperature must be finite and at least 0: got {temperature}")
    top = _largest(logits)
    with np.errstate(over="ignore"):
        return (logits - top) / temperature


def sample(rng: np.random.Generator, logits: Array, temperature: float = 1.0) -> IntArray:
    """Draw a token for each row, with probability softmax(logits / temperature).

    One number u, uniform in [0, 1), is drawn for each row, in the order of the rows; the token is
    the first whose cumulated probability exceeds it.

    Args:
        rng: the generator.
        logits: (..., V); minus infinity is never drawn.
        temperature: 1 follows the model, below 1 sharpens, 0 is :func:`greedy`, with no draw.

    Returns:
        ids (...).

    Raises:
        ValueError: the temperature is negative or not finite, or a row is as in :func:`greedy`.
    """
    if temperature == 0:
        return greedy(logits)
    cumulated = softmax(scale(logits, temperature)).cumsum(axis=-1)
    u = rng.random((*logits.shape[:-1], 1)) * cumulated[..., -1:]  # the sum is 1 but for rounding
    drawn: IntArray = (cumulated <= u).sum(axis=-1)
    return drawn


def sampler(
    rng: np.random.Generator,
    temperature: float = 1.0,
    k: int | None = None,
    p: float | None = None,
) -> Choose:
    """A way to choose: the temperature first, then the k likeliest, then the nucleus of those.

    Args:
        rng: the generator.
        temperature: see :func:`sample`.
        k: see :func:`top_k`. None: all.
        p: see :func:`top_p`. None: all.

    Raises:
        ValueError: a number that cannot be, with its name.
    """
    if not 0 <= temperature < np.inf:
        raise ValueError(f"the temperature must be finite and at least 0: got {temperature}")
    if k is not None:
        require_whole(k=k)
    if p is not None and not 0 < p <= 1:
        raise ValueError(f"top_p needs 0 < p <= 1: got {p}")

    def choose(logits: Array) -> IntArray:
        if temperature == 0:
            return greedy(logits)
        logits = scale(logits, temperature)
        if k is not None:
            logits = top_k(logits, k)
        if p is not None:
            logits = top_p(logits, p)
        return sample(rng, logits)

    return choose


def _largest(logits: Array) -> Array:
    """(..., 1) The largest of each row, in float64; NaN is the largest where there is one."""
    top: Array = logits.max(axis=-1, keepdims=True).astype(np.float64)
    if not np.isfinite(top).all():
        raise ValueError("the logits hold NaN or infinity, or leave no token to choose")
    return top


def rank_logits(logits: Array) -> IntArray:
    """(..., V) The place of each entry from the largest on, 0 first; of equals the lower id."""
    _largest(logits)
    rank: IntArray = (-logits).argsort(axis=-1, kind="stable").argsort(axis=-1, kind="stable")
    return rank


def mask_logits(logits: Array, kept: BoolArray) -> Array:
    return np.where(kept, logits, -np.inf)
