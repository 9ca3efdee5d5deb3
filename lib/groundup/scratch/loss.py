"""Cross-entropy: the surprise, in nats, at the right answer."""

import numpy as np

from groundup.scratch.activations import softmax
from groundup.scratch.types import Array, Cache, IntArray


def cross_entropy(logits: Array, targets: IntArray) -> tuple[float, Cache]:
    r"""Mean of −log p(target) over the rows.

    Args:
        logits: (N, C) unnormalised scores.
        targets: (N,) the right class of each row, in [0, C).

    Returns:
        The loss in nats, and the cache :func:`cross_entropy_backward` needs.

    Raises:
        ValueError: there are no rows, there is not one whole number a row, or it is no class.

    Derivation:
        :math:`-\log p_t = \log\sum_j e^{z_j} - z_t`, so the gradient with respect to
        :math:`z_j` is :math:`p_j - [j = t]`: the probabilities, with one taken off the right one.
    """
    if not len(targets):
        raise ValueError("cross_entropy needs at least one row: got an empty batch")
    if targets.shape != logits.shape[:-1] or logits.ndim != 2:
        raise ValueError(
            f"cross_entropy takes logits (N, C) and targets (N,): got {logits.shape} and "
            f"{targets.shape}"
        )
    if targets.min() < 0 or targets.max() >= logits.shape[-1] or targets.dtype.kind not in "iu":
        raise ValueError(
            f"targets must be integers in [0, {logits.shape[-1]}): got {targets.min()} to "
            f"{targets.max()} of {targets.dtype}"
        )
    rows = np.arange(len(targets))
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_total = np.log(np.exp(shifted).sum(axis=-1))
    loss = (log_total - shifted[rows, targets]).mean()
    return float(loss), (logits, targets)


def cross_entropy_backward(cache: Cache) -> Array:
    """Gradient of :func:`cross_entropy`.

    Returns:
        dlogits (N, C); the mean over N rows puts 1/N in front.
    """
    logits, targets = cache
    dlogits = softmax(logits)
    dlogits[np.arange(len(targets)), targets] -= 1
    return dlogits / len(targets)


def smoothed_cross_entropy(
    logits: Array, targets: IntArray, smoothing: float = 0.0, ignore: int | None = None
) -> tuple[float, Cache]:
    r"""Cross-entropy for tokens: some may be left out, and the target may be less than certain.

    Args:
        logits: (..., C) unnormalised scores, such as (B, T, V).
        targets: (...) the right class of each row.
        smoothing: ε, the share of the target's certainty that is spread over all classes
            (Szegedy et al., 2016, arXiv 1512.00567).
        ignore: targets of this value do not count, such as those at padding.

    Returns:
        The mean loss in nats over the rows that count, and the cache
        :func:`smoothed_cross_entropy_backward` needs.

    Raises:
        ValueError: no row counts, there is not one target a row, a target is no class, or the
            smoothing lies outside [0, 1).

    Derivation:
        The target distribution is :math:`y_j = (1-\epsilon)[j=t] + \epsilon/C`, and the loss
        :math:`-\sum_j y_j \log p_j`. As :math:`\sum y_j = 1`, its gradient with respect to
        :math:`z_j` is :math:`p_j - y_j`; a row that does not count has none.
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing must lie in [0, 1): got {smoothing}")
    if targets.shape != logits.shape[:-1]:
        raise ValueError(
            f"logits {logits.shape} need targets {logits.shape[:-1]}: got {targets.shape}"
        )
    classes = logits.shape[-1]
    flat = targets.reshape(-1)
    counted = np.flatnonzero(flat != ignore) if ignore is not None else np.arange(flat.size)
    if not len(counted):
        raise ValueError("smoothed_cross_entropy needs at least one row that counts: got none")
    chosen = flat[counted]
    if chosen.min() < 0 or chosen.max() >= classes or chosen.dtype.kind not in "iu":
        raise ValueError(
            f"targets must be integers in [0, {classes}): got {chosen.min()} to {chosen.max()} of "
            f"{chosen.dtype}"
        )
    rows = logits.reshape(-1, classes)[counted]
    shifted = rows - rows.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    right = log_p[np.arange(len(chosen)), chosen]
    # A class ruled out has log p = -inf, and zero times that would be NaN.
    spread = smoothing * log_p.mean(axis=-1) if smoothing else 0.0
    loss = -((1 - smoothing) * right + spread).mean()
    return float(loss), (np.exp(log_p), chosen, counted, smoothing, logits.shape)


def smoothed_cross_entropy_backward(cache: Cache) -> Array:
    """Gradient of :func:`smoothed_cross_entropy`.

    Returns:
        dlogits (..., C), zero at rows that do not count.
    """
    p, chosen, counted, smoothing, shape = cache
    drows = p - smoothing / shape[-1]
    drows[np.arange(len(chosen)), chosen] -= 1 - smoothing
    dlogits = np.zeros((int(np.prod(shape[:-1])), shape[-1]), p.dtype)
    dlogits[counted] = drows / len(chosen)
    return dlogits.reshape(shape)
