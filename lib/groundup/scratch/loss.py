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
        ValueError: there are no rows, there is not one target a row, or a target is no class.

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
    if targets.min() < 0 or targets.max() >= logits.shape[-1]:
        raise ValueError(
            f"targets must lie in [0, {logits.shape[-1]}): got {targets.min()} to {targets.max()}"
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
