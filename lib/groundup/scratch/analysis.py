"""What a trained encoder does: its mistakes, where its heads look, and which of them it needs.

Nothing here draws or prints, and no function changes the model that it is given.
"""

import numpy as np
from numpy.typing import NDArray

from groundup.scratch.encoder import Encoder
from groundup.scratch.examples import Examples
from groundup.scratch.masks import key_mask
from groundup.scratch.tasks.digits import OPERATIONS, accuracy
from groundup.scratch.types import Array, BoolArray, IntArray


def confusion(answers: IntArray, predictions: IntArray, classes: int) -> IntArray:
    """Count which answer was given for which: the confusion matrix.

    Args:
        answers: (N,) the right classes, in [0, C), of any integer type.
        predictions: (N,) the classes that were given, likewise.
        classes: C.

    Returns:
        (C, C) counts. The row is the right class, the column the one that was given, so the
        diagonal counts what was right.

    Raises:
        ValueError: answers and predictions are not two arrays (N,) of one length, or a class lies
            outside [0, C).
    """
    if answers.shape != predictions.shape or answers.ndim != 1:
        raise ValueError(
            f"each answer needs one prediction: got {answers.shape} and {predictions.shape}"
        )
    for name, given in (("answers", answers), ("predictions", predictions)):
        if given.size and (given.min() < 0 or given.max() >= classes):
            raise ValueError(
                f"{name} must lie in [0, {classes}): got {given.min()} to {given.max()}"
            )
    # Each pair (row, column) gets a number of its own, and equal numbers are counted. A small type
    # has no room for these numbers: in uint8 they would begin again at 256.
    rows, columns = (each.astype(int, casting="same_kind") for each in (answers, predictions))
    return np.bincount(rows * classes + columns, minlength=classes**2).reshape(-1, classes)


def attention_entropy(weights: Array) -> Array:
    r"""How spread out attention is, in bits (Shannon, 1948).

    Zero bits: all weight lies on one token. :math:`\log_2 n` bits: evenly on n tokens. A token
    without weight adds nothing.

    Args:
        weights: (..., T), each row not negative and with the sum 1; or a row of zeros, for a query
            that may look nowhere.

    Returns:
        (...,) the entropy of each row, in the dtype of the weights.

    Derivation:
        :math:`-\sum_t p_t \log_2 p_t`, where :math:`0 \log_2 0 = 0`, the limit of
        :math:`p \log_2 p` as p goes to 0.
    """
    logs = np.log2(np.where(weights > 0, weights, 1))  # a weight of zero gets log 1 = 0
    entropy: Array = -(weights * logs).sum(axis=-1)
    return entropy + 0.0  # -0.0 becomes 0.0


def entropy_share(weights: Array, mask: BoolArray | None = None) -> Array:
    r"""The entropy of attention as a share of the most that it could be.

    0: all weight on one token; 1: spread evenly over all tokens that may be looked at. The most
    possible is :math:`\log_2` of their number. Where there is at most one, the share is 0.

    Args:
        weights: (..., T), as for :func:`attention_entropy`; zero where the mask is False.
        mask: broadcastable to (..., T), True at tokens that may be looked at. None: all of them.

    Returns:
        (...,) shares, in [0, 1], in the dtype of the weights.
    """
    # Broadcast first: a mask (T, 1) holds one value for all tokens of a row.
    visible = np.broadcast_to(True if mask is None else mask, weights.shape)
    most = np.log2(np.maximum(visible.sum(axis=-1), 1)).astype(weights.dtype)
    share: Array = attention_entropy(weights) / np.where(most > 0, most, 1)
    return share


def head_entropy(model: Encoder, data: Examples) -> Array:
    """How spread out each head's attention is where the answer is read, for each operation.

    The row of attention is the first token's. Its :func:`entropy_share` is taken for each example,
    and then averaged. (The entropy of averaged weights is another thing: a head that looks at one
    digit, but at another one in each question, has low entropy and a spread-out average.)

    Args:
        model: an encoder that reads its answer from the first token.
        data: N examples.

    Returns:
        (layers, H, operations) shares in [0, 1], NaN for an operation that the data lacks.

    Raises:
        ValueError: the model reads its answer elsewhere.
    """
    if model.config.pooling != "first":
        raise ValueError(
            f"the answer must be read from the first token: got pooling={model.config.pooling!r}"
        )
    _, cache = model.forward(data.ids, data.mask)
    mask = key_mask(data.mask)[:, :, 0]  # (N, 1, T)
    shares = np.array([entropy_share(maps[:, :, 0], mask) for maps in model.attention_maps(cache)])
    result = np.full((*shares.shape[::2], len(OPERATIONS)), np.nan)  # shares: (layers, N, H)
    for operation in np.unique(data.operations):
        result[..., operation] = shares[:, data.operations == operation].mean(axis=1)
    return result


def verdicts(shares: Array, threshold: float = 0.5) -> NDArray[np.str_]:
    """Call each head "focused" or "distributed".

    Args:
        shares: of any shape, from :func:`head_entropy`.
        threshold: the share from which a head is distributed. A share s of n tokens is the entropy
            of looking evenly at n**s of them, so one half is the root of n: 2.6 of the digit
            task's 7 tokens. A head that shares its weight between two digits is then focused
            (0.36), and one that shares it among all three is distributed (0.56).

    Returns:
        The words, in the shape of ``shares``; empty where the share is NaN.
    """
    words = np.where(shares < threshold, "focused", "distributed")
    return np.where(np.isnan(shares), "", words)


def without_head(wo: Array, heads: int, head: int) -> Array:
    """The output projection of multi-head attention, deaf to one head.

    Args:
        wo: (D, D), the matrix that mixes the heads' outputs: y = concat(heads) @ wo + bo.
        heads: H, which divides D.
        head: which one to remove, from 0.

    Returns:
        (D, D), a copy, with which y is what it would be if that head had returned zeros.

    Raises:
        ValueError: there is no such head, or H does not divide D.

    Derivation:
        Head h fills the entries h·K to (h+1)·K of the concatenation, with K = D/H. They meet the
        rows of wo of the same numbers, so these rows become zero.
    """
    if not 0 <= head < heads:
        raise ValueError(f"head must lie in [0, {heads}): got {head}")
    if len(wo) % heads:
        raise ValueError(f"heads must divide the width: got width={len(wo)}, heads={heads}")
    size = len(wo) // heads
    result = wo.copy()
    result[head * size : (head + 1) * size] = 0
    return result


def ablate_heads(model: Encoder, data: Examples) -> Array:
    """The accuracy that is left when a head is removed, for each head alone (Michel et al., 2019).

    Args:
        model: an encoder. It is not changed.
        data: the questions that it is asked.

    Returns:
        (layers, H, operations) shares of right answers without that head, NaN for an operation
        that the data lacks.
    """
    config = model.config
    result = np.full((config.layers, config.heads, len(OPERATIONS)), np.nan)
    for layer, head in np.ndindex(config.layers, config.heads):
        name = f"layers.{layer}.wo"
        changed = {name: without_head(model.params[name], config.heads, head)}
        scores = accuracy(Encoder(config, model.params | changed), data)
        result[layer, head] = [scores.get(operation, np.nan) for operation in OPERATIONS]
    return result


def overfitting_warning(
    train_losses: list[float],
    validation_losses: list[float],
    patience: int = 3,
    rise: float = 0.05,
    least: float = 0.01,
) -> str | None:
    """Say whether a model has begun to memorise: unseen losses rise while training losses fall.

    Args:
        train_losses: at each evaluation, in order.
        validation_losses: at the same evaluations, on data that is not trained on.
        patience: how many evaluations must have passed since the lowest validation loss.
        rise: by which share the mean of the last ``patience`` validation losses must exceed it.
        least: and by how many nats: where nearly all is right, a loss may double and mean nothing.

    Returns:
        A sentence that names the evaluation (from 1) with the lowest validation loss, or None.

    Raises:
        ValueError: the lists differ in length, patience is below 1, or rise or least is negative.
    """
    if len(train_losses) != len(validation_losses):
        raise ValueError(
            "each evaluation has two losses: "
            f"got {len(train_losses)} of training and {len(validation_losses)} of validation"
        )
    if not (patience >= 1 and rise >= 0 and least >= 0):
        raise ValueError(
            f"need patience >= 1, rise and least >= 0: got {patience}, {rise} and {least}"
        )
    if len(validation_losses) <= patience:
        return None
    best = int(np.argmin(validation_losses))
    lowest, recent = validation_losses[best], float(np.mean(validation_losses[-patience:]))
    waited = len(validation_losses) - 1 - best >= patience
    learned = train_losses[-1] < train_losses[best]
    if not (waited and learned and recent > lowest + max(rise * lowest, least)):
        return None
    return (
        f"The validation loss was lowest at evaluation {best + 1}, {lowest:.4g}, and has risen to "
        f"{recent:.4g} (mean of the last {patience}), while the training loss fell from "
        f"{train_losses[best]:.4g} to {train_losses[-1]:.4g}: the model has begun to memorise."
    )
